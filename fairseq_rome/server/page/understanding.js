// What was understood of a correction: its hunks with their switches, and the other sentences that would change.

import { byId, element } from "./build.js";
import { placesOf } from "./difference.js";
import { changedText, hunkText, sideText, sides } from "./shown.js";
import { percent, say } from "./words.js";

// What makes it the same change, in a text that was edited further.
const nameOf = ({ unwanted, wanted, trigger }) => JSON.stringify([unwanted, wanted, trigger]);

/** The panel below the two texts. `onSwitch()` is told when a switch changes, `onPoint(number)` which hunk is meant. */
export class Understanding {
  constructor({ onSwitch, onPoint }) {
    this.onSwitch = onSwitch;
    this.onPoint = onPoint;
    this.hunks = [];
    this.target = ""; // the correction that the hunks are of
    this.wished = new Map(); // a change to whether it is carried, where the user chose
    this.items = new Map();
  }

  /** What the user chose, by the numbers of a correction's hunks; undefined where the server is to decide. */
  choicesFor(target) {
    if (target !== this.target || !this.hunks.some((one) => this.wished.has(nameOf(one)))) return undefined;
    // An edit carries one change, so a change that the user carries stands alone.
    const chosen = this.hunks.find((one) => this.wished.get(nameOf(one)));
    return this.hunks.map((one) => ({
      number: one.number, carried: chosen ? one === chosen : this.wished.get(nameOf(one)) ?? one.carried,
    }));
  }

  /** Whether the hunks on the page are not as the user chose in a text that was edited further. */
  get differsFromChoices() {
    const choices = this.choicesFor(this.target) || [];
    return choices.some(({ carried }, index) => carried !== this.hunks[index].carried);
  }

  clear() {
    this.hunks = [];
    this.target = "";
    this.wished.clear();
    this.items.clear();
    byId("hunks").replaceChildren();
    byId("scope-hint").textContent = "";
    byId("notes").replaceChildren();
    byId("others").hidden = true;
  }

  show(target, { hunks, would_change: others, notes }) {
    const names = (list) => list.map((one) => `${one.number} ${nameOf(one)}`).join();
    // The same list stays as it is, so that switches keep their focus while their consequences change.
    const same = names(hunks) === names(this.hunks);
    this.target = target;
    this.hunks = hunks;
    if (!same) this.showHunks();
    for (const hunk of hunks) this.items.get(hunk.number).update(hunk);
    byId("notes").replaceChildren(...(notes || []).map((note) => element("li", {}, note)));
    this.showOthers(others || []);
  }

  /** Writes the texts anew, in another language of the interface. */
  relabel(found) {
    this.showHunks();
    this.show(this.target, found);
  }

  showHunks() {
    this.items.clear();
    byId("hunks").replaceChildren(...this.hunks.map((hunk) => this.item(hunk)));
  }

  item(hunk) {
    const why = element("p", { class: "why", lang: "en" });
    const scopes = ["everywhere", "here"].map((scope) => this.scope(hunk, scope));
    const item = element("li", { class: "hunk", "data-number": hunk.number },
      element("div", { class: "hunk-what" }, hunkText(hunk), this.hangsOn(hunk)),
      element("fieldset", { class: "scope" },
        element("legend", { class: "hidden-label" }, say("scope.of", { change: `${hunk.unwanted} → ${hunk.wanted}` })),
        ...scopes.map((one) => one.label)),
      why);
    for (const event of ["focusin", "mouseenter"]) item.addEventListener(event, () => this.onPoint(hunk.number));
    for (const event of ["focusout", "mouseleave"]) item.addEventListener(event, () => this.onPoint(null));
    this.items.set(hunk.number, { item, update: (now) => {
      item.classList.toggle("carried", now.carried);
      scopes[0].input.checked = now.carried;
      scopes[1].input.checked = !now.carried;
      why.textContent = [now.why, now.confidence === null || now.confidence === undefined ? "" :
        `(${say("hunk.confidence", { share: percent(now.confidence) })})`].filter(Boolean).join(" ");
    } });
    return item;
  }

  hangsOn({ trigger }) {
    if (!trigger) return element("span", { class: "hangs quiet" }, say("hunk.hangsOnNothing"));
    return element("span", { class: "hangs" }, element("span", { class: "quiet" }, say("hunk.hangsOn")), " ",
      element("mark", { class: "trigger", lang: sides.source.lang, dir: sides.source.dir }, trigger));
  }

  scope(hunk, scope) {
    // A change that hangs on no source word has nothing by which other sentences could be known.
    const impossible = scope === "everywhere" && !hunk.trigger;
    const input = element("input", { type: "radio", name: `scope-${hunk.number}`, value: scope, disabled: impossible,
      onchange: () => this.flip(hunk.number, scope === "everywhere") });
    return { input, label: element("label", {}, input, element("span", {}, say(`scope.${scope}`))) };
  }

  // An edit carries one change: with another one everywhere, the one before applies only here.
  flip(number, carried) {
    const before = this.hunks.some((one) => one.number !== number && one.carried);
    for (const one of this.hunks) {
      if (one.number === number) one.carried = carried;
      else if (carried) one.carried = false;
      this.wished.set(nameOf(one), one.carried);
      this.items.get(one.number).update(one);
    }
    byId("scope-hint").textContent = carried && before ? say("scope.oneOnly") : "";
    this.onSwitch();
  }

  /** Shows which hunk the cursor of the translation stands in. */
  point(number) {
    for (const [one, { item }] of this.items) item.classList.toggle("pointed", one === number);
  }

  showOthers(others) {
    const carried = this.hunks.filter((one) => one.carried);
    byId("others").hidden = !this.hunks.length;
    byId("others-title").textContent = others.length ? say("others.some", { n: others.length }) : say("others.title");
    byId("others-hint").textContent = say(
      others.length ? "others.hint" : carried.length ? "others.none" : "others.hereAlone");
    byId("others-list").replaceChildren(...others.map((one) => element("li", {},
      element("p", { class: "example-source", lang: sides.source.lang, dir: sides.source.dir },
        ...this.withTriggers(one.source, carried)),
      element("p", {}, one.before === one.after ? sideText("target", one.after) : changedText(one.before, one.after)))));
  }

  withTriggers(text, carried) {
    const places = carried.flatMap(({ trigger }) => placesOf(trigger, text, sides.source.spaced))
      .sort((one, other) => one.start - other.start);
    const parts = [];
    let at = 0;
    for (const { start, end } of places) {
      if (start < at) continue;
      parts.push(text.slice(at, start), element("mark", { class: "trigger" }, text.slice(start, end)));
      at = end;
    }
    return [...parts, text.slice(at)];
  }
}
