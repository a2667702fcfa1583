// Where two texts differ, word for word, or character for character in languages without spaces.

// Above this many cells of the table of common words, a difference is shown as one whole.
const MOST_CELLS = 400000;

const pieces = (text, spaced) =>
  text.match(spaced ? /[\p{L}\p{M}\p{N}]+(?:['’.,-][\p{L}\p{M}\p{N}]+)*|\s+|[^\s]/gu : /\p{L}\p{M}*|\p{N}+|\s+|[^\s]/gu) || [];

/** `before` and `after` as a list of `{kind: "same" | "gone" | "new", text}`. */
export function difference(before, after, spaced = true) {
  const [old, now] = [pieces(before, spaced), pieces(after, spaced)];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let [oldStop, nowStop] = [old.length, now.length];
  while (oldStop > start && nowStop > start && old[oldStop - 1] === now[nowStop - 1]) { oldStop -= 1; nowStop -= 1; }
  const parts = [
    ...old.slice(0, start).map((text) => ({ kind: "same", text })),
    ...middle(old.slice(start, oldStop), now.slice(start, nowStop)),
    ...old.slice(oldStop).map((text) => ({ kind: "same", text })),
  ];
  return joined(parts);
}

function middle(old, now) {
  const whole = [...old.map((text) => ({ kind: "gone", text })), ...now.map((text) => ({ kind: "new", text }))];
  if (!old.length || !now.length || old.length * now.length > MOST_CELLS) return whole;
  const common = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      common[i][j] = old[i] === now[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const parts = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      parts.push({ kind: "same", text: old[i] });
      i += 1;
      j += 1;
    } else if (j >= now.length || (i < old.length && common[i + 1][j] >= common[i][j + 1])) {
      parts.push({ kind: "gone", text: old[i] });
      i += 1;
    } else {
      parts.push({ kind: "new", text: now[j] });
      j += 1;
    }
  }
  return parts;
}

// Neighbouring changes become one old and one new text: a space alone between two changed words is part of the change.
function joined(parts) {
  const found = [];
  let [gone, now] = ["", ""];
  const flush = () => {
    if (gone) found.push({ kind: "gone", text: gone });
    if (now) found.push({ kind: "new", text: now });
    [gone, now] = ["", ""];
  };
  parts.forEach((part, index) => {
    const next = parts[index + 1];
    const between = part.kind === "same" && /^\s+$/.test(part.text) && (gone || now) && next && next.kind !== "same";
    if (part.kind === "gone") gone += part.text;
    else if (part.kind === "new") now += part.text;
    else if (between) { gone += part.text; now += part.text; }
    else {
      flush();
      const last = found[found.length - 1];
      if (last && last.kind === "same") last.text += part.text;
      else found.push({ ...part });
    }
  });
  flush();
  return found;
}

/** The ranges of `after` that are new, in UTF-16 units; an empty one where something is only gone. */
export function changedRanges(before, after, spaced = true) {
  const ranges = [];
  let at = 0;
  difference(before, after, spaced).forEach((part, index, parts) => {
    if (part.kind === "gone" && parts[index + 1]?.kind !== "new") ranges.push({ start: at, end: at });
    if (part.kind === "new") ranges.push({ start: at, end: at + part.text.length });
    if (part.kind !== "gone") at += part.text.length;
  });
  return ranges;
}

/** The place in `text` of a position counted in characters, as the server counts, in UTF-16 units. */
export const unitsOf = (text, characters) => [...text].slice(0, characters).join("").length;

/** Where a phrase stands in a text as whole words, regardless of case; in languages without spaces wherever it is. */
export function placesOf(phrase, text, spaced = true) {
  if (!phrase) return [];
  const literal = phrase.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const edge = "[\\p{L}\\p{M}\\p{N}]";
  const pattern = spaced ? `(?<!${edge})${literal}(?!${edge})` : literal;
  return [...text.matchAll(new RegExp(pattern, "giu"))].map((one) => ({ start: one.index, end: one.index + one[0].length }));
}
