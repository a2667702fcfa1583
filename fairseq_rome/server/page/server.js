// The routes of the server, and its events. Addresses are relative, so that the page also works below a path of a proxy.

import { keepToken, keptToken } from "./kept.js";

/** An answer that is not a success, or none at all (status 0). */
export class ServerError extends Error {
  constructor(status, message, wait = null) {
    super(message);
    this.status = status;
    this.wait = wait; // seconds after which the server takes the next request; null where it does not say
  }
}

// Asks the user for a token; resolves to it, or to "" where the user gives none.
let askForToken = async () => "";
export function onTokenNeeded(ask) { askForToken = ask; }

async function request(method, path, { body, signal } = {}) {
  const headers = { Accept: "application/json" };
  const token = keptToken();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "");
  }
  if (answer.status === 401) {
    const given = await askForToken(Boolean(token));
    keepToken(given);
    if (given) return request(method, path, { body, signal });
  }
  const found = await answer.json().catch(() => null);
  if (!answer.ok) {
    const said = found && typeof found.error === "string" ? found.error : "";
    throw new ServerError(answer.status, said, Number(answer.headers.get("Retry-After")) || null);
  }
  return found;
}

const query = (values) => {
  const filled = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return filled.length ? `?${new URLSearchParams(filled)}` : "";
};

export const information = () => request("GET", "api/info");
export const translate = (q, source, target, signal) =>
  request("POST", "translate", { body: { q, source, target, format: "text" }, signal }).then((got) => got.translatedText);
export const understand = (asked, signal) => request("POST", "api/understand", { body: asked, signal });
export const submit = (fix) => request("POST", "fixes", { body: fix }).then((got) => got.fix);
export const list = (filters, signal) => request("GET", `fixes${query(filters)}`, { signal });
export const detail = (id) => request("GET", `fixes/${id}`);
export const undo = (id) => request("POST", `fixes/${id}/undo`, { body: {} }).then((got) => got.fix);
export const bake = () => request("POST", "fixes/bake", { body: {} }).then((got) => got.bake);
export const reportAddress = (id) => `fixes/${id}/report`;

// How long to wait before a stream that ended with an error status is opened anew, in milliseconds.
const REOPEN = 3000;

/**
 * Listens to the server while the page is seen: a stream holds one of the few connections that a browser has for a server,
 * which many tabs would use up. A stream that breaks connects again by itself and says which event it had last.
 * `onState` is told `open` and `lost`.
 */
export function listen({ events, onState }) {
  let stream = null;
  const open = () => {
    if (document.hidden || stream !== null) return;
    stream = new EventSource("events");
    for (const [name, handle] of Object.entries(events)) {
      stream.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
    stream.addEventListener("open", () => onState("open"));
    stream.addEventListener("error", () => {
      onState("lost");
      if (stream === null || stream.readyState !== EventSource.CLOSED) return;
      stream = null;
      setTimeout(open, REOPEN);
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && stream !== null) {
      stream.close();
      stream = null;
      onState("lost");
    }
    open();
  });
  open();
}
