// Asking for the token, only when the server wants one.

import { byId } from "./build.js";
import { say } from "./words.js";

/** Asks for the token; resolves to what was given, or to "" where the user gave none. */
export function askForToken(refused) {
  const [dialog, field] = [byId("token-dialog"), byId("token")];
  byId("token-text").textContent = say(refused ? "token.refused" : "token.text");
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "yes" ? field.value.trim() : "";
      field.value = "";
      resolve(given);
    }, { once: true });
  });
}

/** Enter in the field means the token, not the first button of the form. */
export function startToken() {
  byId("token").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (byId("token").value.trim()) byId("token-dialog").close("yes");
  });
}
