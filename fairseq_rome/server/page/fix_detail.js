// The details of a fix: its sentence, what was understood, and the report of its proof.

import { element } from "./build.js";
import { showProblem } from "./notices.js";
import * as server from "./server.js";
import { changedText, hunkText, sideText, sides } from "./shown.js";
import { number, percent, say, seconds } from "./words.js";

/** Fills `place` with the details of a fix; a failure is shown there, with a button to try again. */
export async function showDetail(place, fix) {
  if (!place.childElementCount) place.replaceChildren(element("p", { class: "quiet" }, say("detail.loading")));
  try {
    const found = await server.detail(fix.id);
    place.replaceChildren(...sentence(found.fix), ...understood(found.fix), ...report(found), ...evidence(found.evidence));
  } catch (error) {
    showProblem(place, error, () => showDetail(place, fix));
  }
}

const line = (name, ...content) => [element("dt", {}, name), element("dd", {}, ...content)];

function sentence(fix) {
  const lines = [
    line(sides.source.name, sideText("source", fix.source)),
    line(say("detail.change"), changedText(fix.before || "", fix.target)),
  ];
  if (fix.now && fix.state !== "undone") {
    const wanted = fix.now === fix.target;
    lines.push(line(say("detail.now"), sideText("target", fix.now), " ",
      element("span", { class: wanted ? "good" : "quiet" }, say(wanted ? "detail.asWanted" : "detail.otherwise"))));
  }
  const times = ["live", "proven"].filter((one) => typeof fix.seconds?.[one] === "number")
    .map((one) => say(`detail.seconds.${one}`, { time: seconds(fix.seconds[one]) }));
  if (times.length) lines.push(line(say("detail.seconds"), times.join(", ")));
  return [element("dl", { class: "facts" }, ...lines)];
}

function understood(fix) {
  if (!fix.hunks?.length) return [];
  const items = fix.hunks.map((hunk) => element("li", {}, hunkText(hunk), " ",
    hunk.trigger ? [element("span", { class: "quiet" }, say("hunk.hangsOn")), " ", sideText("source", hunk.trigger, { class: "word" }), " "] : null,
    element("span", { class: "scope-name" }, say(hunk.carried ? "scope.everywhere" : "scope.here"))));
  return [element("h4", {}, say("understood.title")), element("ul", { class: "told" }, ...items)];
}

// A share as "11 of 12", with its figure.
const share = ([n, of]) => (of ? `${say("report.of", { n, of })} (${percent(n / of)})` : say("report.noneSuch"));

function report({ fix, report: found }) {
  const parts = [element("h4", {}, say("report.title"))];
  if (!found) return [...parts, element("p", { class: "quiet" }, say("report.notYet"))];
  const lines = [];
  if (typeof found.efficacy === "boolean") lines.push(line(say("report.efficacy"), say(found.efficacy ? "yes" : "no")));
  else if (typeof found.efficacy === "number") lines.push(line(say("report.efficacy"), percent(found.efficacy)));
  if (found.clean) lines.push(line(say("report.clean"), share(found.clean)));
  if (found.unrelated) lines.push(line(say("report.unrelated"), share(found.unrelated)));
  parts.push(element("dl", { class: "facts" }, ...lines));
  const worstFirst = [...(found.probes || [])].sort((one, other) => Number(one.clean) - Number(other.clean));
  parts.push(...examples(say("report.probes"), worstFirst, (one) => say(one.clean ? "probe.clean" : "probe.unclean")));
  parts.push(...examples(say("report.changed"), found.changed || [], (one) => (one.wanted ? say("changed.wanted") : "")));
  if (["proven", "baked"].includes(fix.state)) {
    const link = element("a", { href: server.reportAddress(fix.id), target: "_blank", rel: "noopener" }, say("report.whole"));
    parts.push(element("p", {}, link, " ", element("span", { class: "hint" }, say("report.made"))));
  }
  return parts;
}

function examples(title, list, verdict) {
  if (!list.length) return [];
  const items = list.map((one) => element("li", { class: one.clean === false ? "unclean" : "" },
    element("p", { class: "example-source", lang: sides.source.lang, dir: sides.source.dir }, one.source),
    element("p", {}, changedText(one.before || "", one.after || "")),
    verdict(one) ? element("p", { class: one.clean || one.wanted ? "good" : "bad" }, verdict(one)) : null));
  return [element("details", {}, element("summary", {}, title, " ", element("span", { class: "quiet" }, `(${list.length})`)),
    element("ol", { class: "examples" }, ...items))];
}

function recorded(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return number(value, { maximumSignificantDigits: 4 });
  if (Array.isArray(value)) return value.map(recorded).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

// What else the server recorded, name and value, for an engineer.
function evidence(found) {
  const entries = Object.entries(found || {}).map(([key, value]) => [key, recorded(value)]).filter(([, text]) => text);
  if (!entries.length) return [];
  return [element("details", {}, element("summary", {}, say("detail.evidence")),
    element("dl", { class: "facts evidence", lang: "en" }, ...entries.map(([key, text]) => line(key, text))))];
}
