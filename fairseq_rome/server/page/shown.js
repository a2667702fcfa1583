// Parts that several places show: a change, two texts with what differs, a state.

import { element } from "./build.js";
import { difference } from "./difference.js";
import { canSay, languageName, say } from "./words.js";

/** What both languages are, for `lang` and `dir`. */
export const sides = {
  source: { lang: "", dir: "auto", spaced: true, name: "" },
  target: { lang: "", dir: "auto", spaced: true, name: "" },
};

/** Takes the languages from /api/info; their names are those of the interface's language then. */
export function setSides(info) {
  for (const side of ["source", "target"]) {
    const lang = info[side].replace(/_/g, "-");
    sides[side] = {
      code: info[side],
      lang,
      dir: info.dir[side],
      spaced: info.spaced[side],
      name: languageName(lang, info[`${side}_name`] || info[side]),
    };
  }
}

/** A text of one side, with its language and direction. */
export const sideText = (side, text, attributes = {}) =>
  element("span", { lang: sides[side].lang, dir: sides[side].dir, ...attributes }, text);

/** `before` with what goes and comes marked in it. */
export function changedText(before, after) {
  const { lang, dir, spaced } = sides.target;
  const names = { gone: "del", new: "ins" };
  const parts = difference(before, after, spaced).map(({ kind, text }) =>
    kind === "same" ? text : element(names[kind], {}, text));
  return element("span", { lang, dir, class: "changed-text" }, ...parts);
}

/** A hunk as `old → new`. */
export function hunkText({ unwanted, wanted }) {
  const { lang, dir } = sides.target;
  return element("span", { class: "change" },
    unwanted ? element("del", { lang, dir }, unwanted) : element("span", { class: "quiet" }, say("hunk.nothing")),
    element("span", { class: "arrow", "aria-hidden": true }, "→"),
    element("span", { class: "hidden-label" }, say("hunk.becomes")),
    wanted ? element("ins", { lang, dir }, wanted) : element("span", { class: "quiet" }, say("hunk.nothing")));
}

/** The name of a state; the server's own word where the interface has none. */
export const stateName = (state) => (canSay(`state.${state}`) ? say(`state.${state}`) : state);

/** What is being done for a fix; the server tells the part of the work in its own words. */
export const stageName = (stage) => say("stage", { stage });

/** Shows a share of the work in a bar; one that has not begun or is at its end, while work goes on, says no share. */
export function showShare(bar, progress) {
  if (progress > 0 && progress < 1) bar.value = progress;
  else bar.removeAttribute("value");
}

/** The hunk that tells a fix best: one that is carried, or the first. */
export const chiefHunk = (fix) => (fix.hunks || []).find((one) => one.carried) || (fix.hunks || [])[0] || null;
