// A text field with marks. Behind the field lies the same text with <mark> elements, in the same type, so that a text
// stays editable while parts of it are marked; the text behind also gives the field its height.

import { element } from "./build.js";

/** `marks` are `{start, end, kind, number}` in UTF-16 units; those that overlap an earlier one are left out. */
export class MarkedField {
  constructor(field, behind) {
    this.field = field;
    this.behind = behind;
    this.marks = [];
    field.addEventListener("input", () => {
      this.keepToOneLine();
      this.mark([]);
    });
  }

  get text() { return this.field.value; }

  // A sentence is one line, so a pasted line break becomes a blank.
  keepToOneLine() {
    if (!this.text.includes("\n")) return;
    const { selectionStart, selectionEnd } = this.field;
    this.field.value = this.text.replace(/\n/g, " ");
    this.field.setSelectionRange(selectionStart, selectionEnd);
  }

  set text(value) {
    this.field.value = value;
    this.mark([]);
  }

  mark(marks) {
    this.marks = marks;
    const sorted = [...marks].sort((one, other) => one.start - other.start || one.end - other.end);
    const parts = [];
    let at = 0;
    for (const { start, end, kind, number } of sorted) {
      if (start < at || end > this.text.length) continue;
      parts.push(this.text.slice(at, start));
      parts.push(element("mark", { class: kind + (start === end ? " nothing" : ""), "data-number": number }, this.text.slice(start, end)));
      at = end;
    }
    // A last line break has a height only when something follows it.
    parts.push(`${this.text.slice(at)}\u200b`);
    this.behind.replaceChildren(...parts);
  }

  /** Shows which mark is meant, by its number; null for none. */
  point(number) {
    for (const mark of this.behind.querySelectorAll("mark")) {
      mark.classList.toggle("pointed", number !== null && mark.dataset.number === String(number));
    }
  }

  /** The number of the mark that the cursor stands in; null where it stands in none. */
  numberAtCursor() {
    const at = this.field.selectionStart;
    const found = this.marks.find((one) => one.number !== undefined && one.start <= at && at <= one.end);
    return found ? found.number : null;
  }
}
