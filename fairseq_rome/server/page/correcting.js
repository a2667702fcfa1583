// Correcting a translation in place: what the changes mean is shown, and only then may they be submitted.

import { afterPause, byId } from "./build.js";
import { changedRanges, placesOf, unitsOf } from "./difference.js";
import { kept } from "./kept.js";
import { showProblem, speakAloud } from "./notices.js";
import * as server from "./server.js";
import { sides } from "./shown.js";
import { Translating } from "./translating.js";
import { Understanding } from "./understanding.js";
import { say } from "./words.js";

// How long a person pauses when a correction is worth a look, in milliseconds: less asks at each letter.
const PAUSE = 600;

/** `onSubmitted(fix)` is told of each fix that the server took. */
export class Correcting {
  constructor({ limits, onSubmitted }) {
    this.onSubmitted = onSubmitted;
    this.texts = new Translating({
      characters: limits.characters, onBegin: () => this.close(), onSource: () => this.changed(),
    });
    this.understanding = new Understanding({ onSwitch: () => this.understand(), onPoint: (one) => this.point(one) });
    this.understood = null; // the correction that the panel below speaks of, once it does
    this.looking = null; // the request that asks what a correction means
    this.soon = afterPause(PAUSE, () => this.understand());
    this.listen();
  }

  listen() {
    const { field } = this.texts.target;
    field.addEventListener("input", () => this.changed());
    field.addEventListener("keydown", (event) => {
      // A translation is one line, as its source is: Enter asks at once what is understood.
      if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.understand();
    });
    for (const event of ["keyup", "click"]) {
      field.addEventListener(event, () => this.understanding.point(this.texts.target.numberAtCursor()));
    }
    byId("restore").addEventListener("click", () => this.restore());
    byId("work").addEventListener("keydown", (event) => this.key(event));
    byId("accept").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    byId("who").value = kept.who;
    byId("who").addEventListener("change", () => { kept.who = byId("who").value.trim(); });
  }

  // Keys that work in the translation and in what was understood of it alike.
  key(event) {
    if (event.isComposing || byId("understood").hidden) return;
    if (event.key === "Escape") this.restore();
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.submit();
  }

  /** Whether there is a correction to speak of. */
  get open() {
    return !this.texts.stale && this.texts.corrected && this.texts.target.text.trim() !== "";
  }

  // One of the two texts is another one now.
  changed() {
    this.understood = null;
    this.allowSubmit();
    showProblem(byId("work-problem"), null);
    if (!this.open) {
      this.close();
      return;
    }
    byId("restore").hidden = false;
    // What changed is seen at once; what it hangs on, once the server has looked.
    const ranges = changedRanges(this.texts.known.output, this.texts.target.text, sides.target.spaced);
    this.texts.source.mark([]);
    this.texts.target.mark(ranges.map((one) => ({ ...one, kind: "fresh" })));
    byId("understood").hidden = false;
    byId("understood-state").textContent = say("understood.looking");
    this.soon();
  }

  close() {
    this.stopLooking();
    this.understood = null;
    this.understanding.clear();
    for (const field of [this.texts.source, this.texts.target]) field.mark([]);
    byId("understood").hidden = true;
    byId("restore").hidden = this.texts.stale || !this.texts.corrected;
    this.allowSubmit();
  }

  stopLooking() {
    this.soon.cancel();
    this.looking?.abort();
    this.looking = null;
  }

  async understand() {
    this.stopLooking();
    if (!this.open) return;
    const asked = { ...this.texts.known, target: this.texts.target.text.trim() };
    const looking = new AbortController();
    this.looking = looking;
    this.understood = null;
    this.allowSubmit();
    byId("understood-state").textContent = say("understood.looking");
    try {
      const hunks = this.understanding.choicesFor(asked.target);
      this.show(asked, await server.understand({ ...asked, hunks }, looking.signal));
      if (!hunks && this.understanding.differsFromChoices) this.understand();
    } catch (error) {
      this.fail(error, () => this.understand());
    }
    if (this.looking === looking) this.looking = null;
    this.allowSubmit();
  }

  show(asked, found) {
    this.understood = { ...asked, found };
    this.understanding.show(asked.target, found);
    this.mark(found.hunks);
    this.tell();
    showProblem(byId("work-problem"), null);
  }

  fail(error, again) {
    if (error.name === "AbortError") return;
    byId("understood-state").textContent = "";
    showProblem(byId("work-problem"), error, again);
  }

  tell() {
    const { hunks } = this.understood.found;
    const key = hunks.some((one) => one.carried) ? "understood.everywhere" : "understood.here";
    byId("understood-state").textContent = hunks.length ? say(key, { n: hunks.length }) : say("understood.none");
  }

  /** Writes the texts anew, in another language of the interface. */
  relabel() {
    if (!this.understood) return;
    this.understanding.relabel(this.understood.found);
    this.tell();
  }

  mark(hunks) {
    const { source, target } = this.texts;
    const trimmed = target.text.trimStart();
    const lead = target.text.length - trimmed.length;
    const kind = ({ carried }) => (carried ? "carried" : "here");
    target.mark(hunks.map((one) => ({
      start: lead + unitsOf(trimmed, one.start), end: lead + unitsOf(trimmed, one.end), kind: kind(one), number: one.number,
    })));
    source.mark(hunks.flatMap((one) => placesOf(one.trigger, source.text, sides.source.spaced).slice(0, 1)
      .map((place) => ({ ...place, kind: kind(one), number: one.number }))));
  }

  point(number) {
    this.texts.source.point(number);
    this.texts.target.point(number);
    this.understanding.point(number);
  }

  /** A correction can be submitted once the page shows what it would change. */
  get submittable() {
    return this.understood !== null && this.understood.target === this.texts.target.text.trim();
  }

  allowSubmit() {
    byId("submit").setAttribute("aria-disabled", String(!this.submittable));
  }

  restore() {
    this.texts.restore();
    this.close();
    showProblem(byId("work-problem"), null);
    byId("target").focus();
    speakAloud(say("spoken.restored"));
  }

  async submit() {
    if (!this.submittable) {
      if (!this.looking) this.understand();
      return;
    }
    const { source, target } = this.understood;
    const who = byId("who").value.trim() || undefined;
    byId("submit").setAttribute("aria-disabled", "true");
    byId("understood-state").textContent = say("understood.submitting");
    try {
      const fix = await server.submit({ source, target, who, hunks: this.understanding.choicesFor(target) });
      this.close();
      this.onSubmitted(fix);
    } catch (error) {
      this.fail(error, () => this.submit());
      this.allowSubmit();
    }
  }

  /** Translates a sentence again if it is on the page and nothing is being written; its translation, or null. */
  again(source) { return this.texts.again(source, () => byId("understood").hidden); }
}
