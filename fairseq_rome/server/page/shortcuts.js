// The keys that work anywhere on the page, and the list of all of them.

import { byId, element } from "./build.js";
import { say } from "./words.js";

// Alt with a digit, by the place of the key: single letters would be typed in a text field, and take keys from screen
// readers outside of one.
const PLACES = {
  Digit1: () => byId("source"),
  Digit2: () => byId("target"),
  Digit3: () => byId("hunks").querySelector("input:checked") || byId("understood"),
  Digit4: () => byId("queue"),
  Digit5: () => byId("filter-text"),
};

const SHOWN = [
  ["Enter", "keys.translate"],
  ["Ctrl+Enter", "keys.submit"],
  ["Esc", "keys.restore"],
  ["Alt+1", "keys.source"],
  ["Alt+2", "keys.target"],
  ["Alt+3", "keys.understood"],
  ["Alt+4", "keys.queue"],
  ["Alt+5", "keys.filter"],
  ["← →", "keys.switch"],
  ["Alt+0", "keys.list"],
];

export function startShortcuts() {
  const show = () => {
    byId("shortcuts-list").replaceChildren(...SHOWN.flatMap(([keys, text]) => [
      element("dt", {}, ...keys.split("+").flatMap((key, index) => [index ? "+" : null, element("kbd", {}, key)])),
      element("dd", {}, say(text)),
    ]));
    byId("shortcuts").showModal();
  };
  byId("show-shortcuts").addEventListener("click", show);
  document.addEventListener("keydown", (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    if (event.code === "Digit0") {
      event.preventDefault();
      show();
    }
    const place = PLACES[event.code]?.();
    if (!place) return;
    event.preventDefault();
    if (place.offsetParent !== null) place.focus();
  });
}
