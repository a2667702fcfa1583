// Starts the page: the language of the interface, what the server is, and its parts joined with one another.

import { Baking } from "./baking.js";
import { byId, element } from "./build.js";
import { Correcting } from "./correcting.js";
import { Following } from "./following.js";
import { kept } from "./kept.js";
import { problemText, speakAloud, toast, toastProblem } from "./notices.js";
import { Queue } from "./queue.js";
import * as server from "./server.js";
import { setSides, sides, stateName } from "./shown.js";
import { startShortcuts } from "./shortcuts.js";
import { askForToken, startToken } from "./token.js";
import { firstLanguage, interfaceLanguages, say, speak } from "./words.js";

let information = null;
let connection = "connecting";

function showConnection(state) {
  connection = state;
  byId("connection").dataset.state = state;
  byId("connection").textContent = say(`connection.${state}`);
}

// The texts that depend on the server, in the language that was just chosen.
function showInformation() {
  const { model, version } = information;
  setSides(information);
  byId("model").replaceChildren(
    say("direction", { source: sides.source.name, target: sides.target.name }), " · ", element("bdi", {}, model), ` · ${version}`);
  for (const side of ["source", "target"]) {
    byId(`${side}-name`).textContent = sides[side].name;
    for (const id of [side, `${side}-marks`]) Object.assign(byId(id), { lang: sides[side].lang, dir: sides[side].dir });
  }
}

async function startLanguage() {
  const there = await interfaceLanguages();
  const select = byId("interface");
  select.replaceChildren(...there.map(({ code, name }) => element("option", { value: code, lang: code }, name)));
  select.value = firstLanguage(there);
  await speak(select.value);
}

async function undo(fix, parts) {
  try {
    take(await server.undo(fix.id), parts);
    toast(say("undone", { id: String(fix.id) }));
  } catch (error) {
    toastProblem(error);
  }
}

// A fix from an answer or an event goes to every part that shows it.
function take(fix, { correcting, following, queue }) {
  const moved = queue.take(fix);
  const followed = following.follows(fix.id);
  if (followed) following.update(fix);
  if (!moved) return;
  if (followed) speakAloud(say("spoken.state", { id: String(fix.id), state: stateName(fix.state) }));
  if (fix.state !== "submitted") correcting.again(fix.source).then((output) => {
    if (output !== null && following.follows(fix.id)) following.translatesAs(output);
  });
}

// After a fix was submitted: with a keyboard the next sentence is typed at once, on a phone what becomes of the fix is seen.
function goOn() {
  if (matchMedia("(pointer: coarse)").matches) {
    byId("followed").scrollIntoView({ block: "center" });
    return;
  }
  byId("source").focus();
  byId("source").select();
}

function startParts() {
  const parts = {};
  const onUndo = (fix) => undo(fix, parts);
  parts.baking = new Baking(information.bakes);
  parts.queue = new Queue({ onUndo, onCounts: (counts) => parts.baking.count(counts.proven || 0) });
  parts.following = new Following({ onUndo, onDetails: (fix) => parts.queue.show(fix.id) });
  parts.correcting = new Correcting({ limits: information.limits, onSubmitted: (fix) => {
    parts.following.follow(fix);
    take(fix, parts);
    goOn();
  } });
  return parts;
}

// Another language of the interface, wherever a text was already written.
async function relabel(code, { queue, following, correcting, baking }) {
  kept.language = code;
  await speak(code);
  showInformation();
  showConnection(connection);
  queue.relabel();
  correcting.relabel();
  baking.show();
  if (following.fix) following.update(following.fix);
}

// Events may have been missed while there was no connection.
async function catchUp({ queue, following }) {
  await queue.load();
  const fix = following.fix && queue.rows.get(following.fix.id)?.fix;
  if (fix) following.update(fix);
}

function listen(parts) {
  let lost = false;
  server.listen({
    events: {
      fix: (fix) => take(fix, parts),
      bake: (bake) => parts.baking.take(bake),
      progress: ({ id, stage, done, of }) => {
        const told = { id, stage, progress: of ? done / of : null };
        parts.queue.progress(told);
        if (parts.following.follows(id)) parts.following.progress(told);
      },
    },
    onState: (state) => {
      if (state === "open" && lost) catchUp(parts);
      lost = state === "lost";
      showConnection(state);
    },
  });
}

// Shows the fix that the address names, as in `#fix-12`; returns whether it names one.
function showAddressed(queue) {
  const wanted = /^#fix-(\d+)$/.exec(location.hash);
  if (wanted) queue.show(Number(wanted[1]));
  return wanted !== null;
}

async function start() {
  byId("no-server").hidden = true;
  try {
    information = await server.information();
  } catch (error) {
    byId("no-server-text").textContent = problemText(error).meaning;
    byId("no-server").hidden = false;
    return;
  }
  showInformation();
  byId("main").hidden = false;
  startShortcuts();
  const parts = startParts();
  byId("interface").addEventListener("change", (event) => relabel(event.target.value, parts));
  listen(parts);
  await parts.queue.load();
  window.addEventListener("hashchange", () => showAddressed(parts.queue));
  if (!showAddressed(parts.queue)) byId("source").focus({ preventScroll: true });
}

await startLanguage();
startToken();
server.onTokenNeeded(askForToken);
showConnection("connecting");
byId("again").addEventListener("click", start);
await start();
