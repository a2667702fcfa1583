// The fix that was submitted last: how far it is, and what its sentence translates as now.

import { byId, element } from "./build.js";
import { chiefHunk, showShare, sideText, stageName } from "./shown.js";
import { say, seconds } from "./words.js";

const STEPS = ["submitted", "live", "proven"];

/** `onUndo(fix)` undoes a fix; `onDetails(fix)` shows it in the queue. */
export class Following {
  constructor({ onUndo, onDetails }) {
    this.fix = null;
    this.now = null; // what the sentence translates as since the last change of state
    byId("followed-close").addEventListener("click", () => {
      this.follow(null);
      byId("source").focus();
    });
    byId("followed-undo").addEventListener("click", () => onUndo(this.fix));
    byId("followed-details").addEventListener("click", (event) => {
      event.preventDefault();
      onDetails(this.fix);
    });
  }

  /** Follows another fix; null follows none. */
  follow(fix) {
    this.fix = null;
    byId("followed").hidden = fix === null;
    if (fix) this.update(fix);
  }

  follows(id) { return this.fix !== null && this.fix.id === id; }

  update(fix) {
    // Of a fix that was just taken in or out, the server does not know yet what its sentence translates as.
    const known = !["submitted", "undone"].includes(fix.state) && fix.now;
    if (this.fix === null || this.fix.state !== fix.state) this.now = known || null;
    this.fix = fix;
    const hunk = chiefHunk(fix);
    byId("followed-title").textContent = hunk && hunk.wanted
      ? say("followed.titleWord", { id: String(fix.id), word: hunk.wanted }) : say("followed.title", { id: String(fix.id) });
    byId("followed").dataset.state = fix.state;
    byId("followed-details").setAttribute("href", `#fix-${fix.id}`);
    const left = fix.state === "undone" && byId("followed-undo") === document.activeElement;
    byId("followed-undo").hidden = fix.state === "undone";
    if (left) byId("followed-details").focus();
    byId("steps").replaceChildren(...this.steps(fix));
    this.tell();
    this.progress(fix);
  }

  progress({ stage, progress }) {
    byId("followed-work").hidden = !stage;
    showShare(byId("followed-progress"), progress);
    byId("followed-stage").textContent = stage ? stageName(stage) : "";
  }

  steps(fix) {
    const ended = ["failed", "undone"].includes(fix.state);
    const names = ended ? [...STEPS.slice(0, fix.seconds?.live ? 2 : 1), fix.state] : STEPS;
    const reached = fix.state === "baked" ? STEPS.length - 1 : names.indexOf(fix.state);
    return names.map((name, index) => {
      const state = index < reached ? "done" : index === reached ? "current" : "open";
      const time = fix.seconds?.[name];
      return element("li", { class: state, "data-step": name, "aria-current": state === "current" ? "step" : null },
        element("span", { class: "step-name" }, say(`state.${name}`)),
        typeof time === "number" ? element("span", { class: "quiet" }, say("step.after", { time: seconds(time) })) : null);
    });
  }

  /** What its sentence translates as now. */
  translatesAs(output) {
    this.now = output;
    this.tell();
  }

  tell() {
    const { state, target, reason } = this.fix;
    const place = byId("followed-text");
    place.replaceChildren(say(`followed.${state}`));
    if (reason) place.append(" ", element("span", { lang: "en" }, reason));
    if (this.now === null) return;
    place.append(" ", say(this.now === target ? "followed.asWanted" : "followed.now"), " ", sideText("target", this.now, { class: "now" }));
  }
}
