// What this browser keeps between visits: the interface language and the name in localStorage, the token only in
// sessionStorage. A browser may refuse both; the page then works without.

const read = (storage, key) => {
  try { return window[storage].getItem(`fairseq_rome.${key}`) || ""; } catch { return ""; }
};
const write = (storage, key, value) => {
  try {
    if (value) window[storage].setItem(`fairseq_rome.${key}`, value);
    else window[storage].removeItem(`fairseq_rome.${key}`);
  } catch { /* Nothing is kept then. */ }
};

export const kept = {
  get language() { return read("localStorage", "language"); },
  set language(code) { write("localStorage", "language", code); },
  get who() { return read("localStorage", "who"); },
  set who(name) { write("localStorage", "who", name); },
};

// The token also stands in memory, for a browser that keeps nothing.
let token = read("sessionStorage", "token");

export const keptToken = () => token;

export function keepToken(given) {
  token = given;
  write("sessionStorage", "token", given);
}
