// The two texts side by side: translating, correcting in place, seeing what is understood, and submitting.

import { afterPause, byId } from "./build.js";
import { changedRanges, placesOf, unitsOf } from "./difference.js";
import { kept } from "./kept.js";
import { MarkedField } from "./marked_field.js";
import { showProblem, speakAloud } from "./notices.js";
import * as server from "./server.js";
import { sides } from "./shown.js";
import { Understanding } from "./understanding.js";
import { number, say } from "./words.js";

// How long a person pauses when a correction is worth a look, in milliseconds: less asks at each letter.
const PAUSE = 600;
// From this share of the most characters on, the count is shown.
const COUNT_FROM = 0.8;

/** `onSubmitted(fix)` is told of each fix that the server took. */
export class Correcting {
  constructor({ limits, onSubmitted }) {
    this.limits = limits;
    this.onSubmitted = onSubmitted;
    this.source = new MarkedField(byId("source"), byId("source-marks"));
    this.target = new MarkedField(byId("target"), byId("target-marks"));
    this.understanding = new Understanding({ onSwitch: () => this.understand(), onPoint: (one) => this.point(one) });
    this.translated = null; // {source, output}: what the translation on the page is a translation of
    this.understood = null; // the correction that the panel below speaks of, once it does
    this.translating = null; // the running request for a translation, which a newer one ends
    this.looking = null; // the one that asks what a correction means
    this.soon = afterPause(PAUSE, () => this.understand());
    this.listen();
  }

  listen() {
    const [source, target] = [this.source.field, this.target.field];
    source.addEventListener("input", () => this.sourceChanged());
    source.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing || event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.translate();
    });
    target.addEventListener("input", () => this.targetChanged());
    target.addEventListener("keydown", (event) => {
      // A translation is one line, as its source is: Enter asks at once what is understood.
      if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      if (this.corrected) this.understand();
    });
    for (const event of ["keyup", "click"]) {
      target.addEventListener(event, () => this.understanding.point(this.target.numberAtCursor()));
    }
    byId("translate").addEventListener("click", () => this.translate());
    byId("restore").addEventListener("click", () => this.restore());
    byId("work").addEventListener("keydown", (event) => this.workKey(event));
    byId("accept").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    byId("who").value = kept.who;
    byId("who").addEventListener("change", () => { kept.who = byId("who").value.trim(); });
    byId("source").maxLength = this.limits.characters;
    byId("target").maxLength = this.limits.characters;
  }

  // Keys that work in the translation and in what was understood of it alike.
  workKey(event) {
    if (event.isComposing || !this.corrected || byId("understood").hidden) return;
    if (event.key === "Escape") this.restore();
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.submit();
  }

  /** Whether the translation was changed by hand. */
  get corrected() {
    return this.translated !== null && this.target.text.trim() !== this.translated.output;
  }

  sourceChanged() {
    const { length } = this.source.text;
    const most = this.limits.characters;
    byId("source-count").textContent = length < most * COUNT_FROM ? "" : `${number(length)} / ${number(most)}`;
    // A translation of another text is not one to correct.
    this.target.field.disabled = !this.translated || this.source.text.trim() !== this.translated.source;
    this.target.field.classList.toggle("stale", this.target.field.disabled);
    this.soon.cancel();
    if (this.target.field.disabled) this.closeUnderstood();
    else this.targetChanged();
  }

  /** Translates the source; the focus then stands in the translation when it stood in the source. */
  async translate() {
    const text = this.source.text.trim();
    if (!text) {
      byId("source").focus();
      return;
    }
    this.translating?.abort();
    this.translating = new AbortController();
    this.closeUnderstood();
    this.busy(say("target.translating"));
    const atSource = [byId("source"), byId("translate")].includes(document.activeElement);
    try {
      const output = await server.translate(text, sides.source.code, sides.target.code, this.translating.signal);
      this.take(text, output);
      speakAloud(say("spoken.translated", { text: output }));
      if (atSource) byId("target").focus();
    } catch (error) {
      this.fail(error, () => this.translate());
    }
  }

  take(source, output) {
    this.translated = { source, output };
    this.target.text = output;
    this.target.field.disabled = this.source.text.trim() !== source;
    this.target.field.classList.toggle("stale", this.target.field.disabled);
    byId("restore").hidden = true;
    this.ready();
    showProblem(byId("work-problem"), null);
  }

  busy(text) {
    byId("target-pane").setAttribute("aria-busy", "true");
    byId("target-state").textContent = text;
  }

  ready() {
    byId("target-pane").removeAttribute("aria-busy");
    byId("target-state").textContent = "";
  }

  fail(error, again) {
    if (error.name === "AbortError") return;
    this.ready();
    byId("understood-state").textContent = "";
    showProblem(byId("work-problem"), error, again);
  }

  targetChanged() {
    this.understood = null;
    this.allowSubmit();
    byId("restore").hidden = !this.corrected;
    showProblem(byId("work-problem"), null);
    this.source.mark([]);
    if (!this.corrected || !this.target.text.trim()) {
      this.closeUnderstood();
      return;
    }
    // What changed is seen at once; what it hangs on, once the server has looked.
    const ranges = changedRanges(this.translated.output, this.target.text, sides.target.spaced);
    this.target.mark(ranges.map((one) => ({ ...one, kind: "fresh" })));
    byId("understood").hidden = false;
    byId("understood-state").textContent = say("understood.looking");
    this.soon();
  }

  closeUnderstood() {
    this.stopLooking();
    this.understood = null;
    this.understanding.clear();
    this.source.mark([]);
    this.target.mark([]);
    byId("understood").hidden = true;
    byId("restore").hidden = !this.corrected;
    this.allowSubmit();
  }

  correction() {
    return { source: this.translated.source, output: this.translated.output, target: this.target.text.trim() };
  }

  stopLooking() {
    this.soon.cancel();
    this.looking?.abort();
    this.looking = null;
  }

  async understand() {
    this.stopLooking();
    if (!this.corrected) return;
    const asked = this.correction();
    const looking = new AbortController();
    this.looking = looking;
    this.understood = null;
    this.allowSubmit();
    byId("understood-state").textContent = say("understood.looking");
    try {
      const hunks = this.understanding.choicesFor(asked.target);
      const found = await server.understand({ ...asked, hunks }, looking.signal);
      this.understood = { ...asked, found };
      this.understanding.show(asked.target, found);
      this.markHunks(found.hunks);
      this.tellUnderstood();
      showProblem(byId("work-problem"), null);
      if (!hunks && this.understanding.differsFromChoices) this.understand();
    } catch (error) {
      this.fail(error, () => this.understand());
    }
    if (this.looking === looking) this.looking = null;
    this.allowSubmit();
  }

  tellUnderstood() {
    const { hunks } = this.understood.found;
    const key = hunks.some((one) => one.carried) ? "understood.everywhere" : "understood.here";
    byId("understood-state").textContent = hunks.length ? say(key, { n: hunks.length }) : say("understood.none");
  }

  /** Writes the texts anew, in another language of the interface. */
  relabel() {
    if (!this.understood) return;
    this.understanding.relabel(this.understood.found);
    this.tellUnderstood();
  }

  markHunks(hunks) {
    const text = this.target.text;
    const lead = text.length - text.trimStart().length;
    this.target.mark(hunks.map(({ start, end, carried, number: one }) => ({
      start: lead + unitsOf(text.trimStart(), start), end: lead + unitsOf(text.trimStart(), end),
      kind: carried ? "carried" : "here", number: one,
    })));
    this.source.mark(hunks.flatMap(({ trigger, carried, number: one }) =>
      placesOf(trigger, this.source.text, sides.source.spaced).slice(0, 1).map((place) => ({
        ...place, kind: carried ? "carried" : "here", number: one,
      }))));
  }

  point(one) {
    this.source.point(one);
    this.target.point(one);
    this.understanding.point(one);
  }

  /** A correction can be submitted once the page shows what it would change. */
  get submittable() {
    return this.understood !== null && this.understood.target === this.target.text.trim();
  }

  allowSubmit() {
    byId("submit").setAttribute("aria-disabled", String(!this.submittable));
  }

  restore() {
    this.target.text = this.translated.output;
    this.closeUnderstood();
    showProblem(byId("work-problem"), null);
    byId("target").focus();
    speakAloud(say("spoken.restored"));
  }

  async submit() {
    if (!this.submittable) {
      if (this.corrected && !this.looking) this.understand();
      return;
    }
    const { source, target } = this.understood;
    const who = byId("who").value.trim();
    byId("submit").setAttribute("aria-disabled", "true");
    byId("understood-state").textContent = say("understood.submitting");
    try {
      const fix = await server.submit({ source, target, who: who || undefined, hunks: this.understanding.choicesFor(target) });
      this.closeUnderstood();
      this.onSubmitted(fix);
    } catch (error) {
      this.fail(error, () => this.submit());
      this.allowSubmit();
    }
  }

  /** Translates the sentence on the page again where a fix of it changed, unless something else is being written. */
  async again(source) {
    if (!this.translated || this.translated.source !== source || this.source.text.trim() !== source) return null;
    const shown = this.target.text.trim();
    const output = await server.translate(source, sides.source.code, sides.target.code).catch(() => null);
    const untouched = this.source.text.trim() === source && this.target.text.trim() === shown && !this.understood;
    if (output !== null && untouched) this.take(source, output);
    return output;
  }
}
