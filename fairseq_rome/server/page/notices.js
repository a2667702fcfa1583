// What the page says beside its texts: short messages that go by themselves, words for screen readers alone, and
// problems that stay where they arose.

import { byId, element } from "./build.js";
import { canSay, say, seconds } from "./words.js";

// Long enough to read two lines, in milliseconds; a message with the focus or the pointer on it stays.
const SHOWN = 8000;

/** A message that goes after a while; `action` is `{text, run}` for a button in it. */
export function toast(text, action = null) {
  const note = element("div", { class: "toast" }, element("span", {}, text));
  const leave = () => (note.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : note.remove());
  if (action) {
    note.append(element("button", { type: "button", onclick: () => { note.remove(); action.run(); } }, action.text));
  }
  byId("toasts").append(note);
  setTimeout(leave, SHOWN);
}

/** Words for screen readers alone. */
export function speakAloud(text) {
  byId("spoken").textContent = text;
}

/** A failed request in words: what it means here, and what the server said. */
export function problemText(error) {
  if (error.status === undefined) throw error;
  const key = `problem.${error.status}`;
  const general = error.status >= 500 ? "problem.500" : "problem.other";
  const meaning = say(canSay(key) ? key : general, { status: String(error.status) });
  const wait = error.wait ? ` ${say("problem.wait", { time: seconds(error.wait) })}` : "";
  return { meaning: meaning + wait, said: error.message };
}

/** Shows a failed request in `place`, with a button to do it again where that can help; null takes it away. */
export function showProblem(place, error, again = null) {
  place.replaceChildren();
  place.hidden = error === null;
  if (error === null) return;
  const { meaning, said } = problemText(error);
  place.append(element("p", {}, meaning));
  if (said) place.append(element("p", { class: "said", lang: "en" }, said));
  if (again) place.append(element("button", { type: "button", onclick: again }, say("again")));
}

/** A failed request as a message. */
export function toastProblem(error) {
  const { meaning, said } = problemText(error);
  toast(said ? `${meaning} ${said}` : meaning);
}
