// The two texts side by side: a sentence, and what the model says for it.

import { byId } from "./build.js";
import { MarkedField } from "./marked_field.js";
import { showProblem, speakAloud } from "./notices.js";
import * as server from "./server.js";
import { sides } from "./shown.js";
import { number, say } from "./words.js";

// From this share of the most characters on, the count is shown.
const COUNT_FROM = 0.8;

/** `onBegin()` is told before a translation comes, `onSource()` that the source was edited. */
export class Translating {
  constructor({ characters, onBegin, onSource }) {
    this.characters = characters;
    this.onBegin = onBegin;
    this.onSource = onSource;
    this.source = new MarkedField(byId("source"), byId("source-marks"));
    this.target = new MarkedField(byId("target"), byId("target-marks"));
    this.known = null; // {source, output}: what the translation on the page is a translation of
    this.running = null; // the request that runs, which a newer one ends
    for (const { field } of [this.source, this.target]) field.maxLength = characters;
    byId("translate").addEventListener("click", () => this.translate());
    this.source.field.addEventListener("input", () => this.sourceChanged());
    this.source.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing || event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.translate();
    });
  }

  /** Whether the translation was changed by hand. */
  get corrected() {
    return this.known !== null && this.target.text.trim() !== this.known.output;
  }

  /** Whether the translation is one of another text than the source is by now. */
  get stale() {
    return this.known === null || this.source.text.trim() !== this.known.source;
  }

  sourceChanged() {
    const { length } = this.source.text;
    byId("source-count").textContent =
      length < this.characters * COUNT_FROM ? "" : `${number(length)} / ${number(this.characters)}`;
    this.allowCorrecting();
    this.onSource();
  }

  allowCorrecting() {
    this.target.field.disabled = this.stale;
    this.target.field.classList.toggle("stale", this.stale);
  }

  /** Translates the source; the focus then stands in the translation when it stood in the source. */
  async translate() {
    const text = this.source.text.trim();
    if (!text) {
      byId("source").focus();
      return;
    }
    this.running?.abort();
    this.running = new AbortController();
    this.onBegin();
    byId("target-pane").setAttribute("aria-busy", "true");
    byId("target-state").textContent = say("target.translating");
    const atSource = [byId("source"), byId("translate")].includes(document.activeElement);
    try {
      const output = await server.translate(text, sides.source.code, sides.target.code, this.running.signal);
      this.take(text, output);
      speakAloud(say("spoken.translated", { text: output }));
      if (atSource) byId("target").focus();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.ready();
      showProblem(byId("work-problem"), error, () => this.translate());
    }
  }

  take(source, output) {
    this.known = { source, output: output.trim() };
    this.target.text = this.known.output;
    this.allowCorrecting();
    byId("restore").hidden = true;
    this.ready();
    showProblem(byId("work-problem"), null);
  }

  ready() {
    byId("target-pane").removeAttribute("aria-busy");
    byId("target-state").textContent = "";
  }

  /** Puts the model's translation back. */
  restore() {
    this.target.text = this.known.output;
  }

  /**
   * Translates the sentence on the page again, since a fix of it changed; `mayTake()` says whether its field may change.
   * Resolves to the translation, or to null where another sentence is on the page.
   */
  async again(source, mayTake) {
    if (this.stale || this.known.source !== source) return null;
    const shown = this.target.text;
    const output = await server.translate(source, sides.source.code, sides.target.code).catch(() => null);
    if (output !== null && !this.stale && this.target.text === shown && mayTake()) this.take(source, output);
    return output;
  }
}
