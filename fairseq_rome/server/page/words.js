// The texts of the interface, from languages/*.json. A file has the text of each key, or one text a plural form; a new
// language is a new file and its line in languages/index.json.

import { kept } from "./kept.js";

let texts = {};
let code = "en";
let plural = new Intl.PluralRules("en");

const load = async (path) => (await fetch(`static/languages/${path}`)).json();

/** The languages that there are, as `{code, name}`. */
export const interfaceLanguages = () => load("index.json");

/** The language to begin with: the one chosen earlier, or the first that the browser prefers, or English. */
export function firstLanguage(there) {
  const codes = there.map((one) => one.code);
  const wished = [kept.language, ...navigator.languages].filter(Boolean);
  const fits = wished.flatMap((one) => [one, one.split("-")[0]]).find((one) => codes.includes(one));
  return fits || "en";
}

/** Takes another language and puts its texts wherever index.html asks for them. */
export async function speak(wanted) {
  texts = await load(`${wanted}.json`);
  code = wanted;
  plural = new Intl.PluralRules(wanted);
  document.documentElement.lang = wanted;
  document.documentElement.dir = texts["language.dir"];
  document.title = say("title");
  for (const one of document.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of document.querySelectorAll("[data-say-placeholder]")) one.placeholder = say(one.dataset.sayPlaceholder);
  for (const one of document.querySelectorAll("[data-say-label]")) one.setAttribute("aria-label", say(one.dataset.sayLabel));
}

/** Whether there is a text for a key: states and stages of a newer server may have none. */
export const canSay = (key) => key in texts;

/** The text of a key with its values put in; `n` chooses the plural form. */
export function say(key, values = {}) {
  const found = texts[key];
  if (found === undefined) return key;
  const text = typeof found === "string" ? found : found[plural.select(values.n)] || found.other;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? number(value) : value;
  });
}

export const number = (value, options = {}) => new Intl.NumberFormat(code, options).format(value);
export const percent = (value) => number(value, { style: "percent", maximumFractionDigits: 0 });

/** The name of a language in the language of the interface, or else the one given. */
export function languageName(tag, given) {
  try {
    // XX is the country of mBART's codes for a language of no country.
    const name = new Intl.DisplayNames(code, { type: "language", fallback: "none" }).of(tag.replace(/-XX$/, ""));
    return name ? name[0].toLocaleUpperCase(code) + name.slice(1) : given;
  } catch {
    return given; // The tag is none that the browser can read.
  }
}

/** Seconds as a person reads them. */
export const seconds = (value) =>
  number(value, { style: "unit", unit: "second", maximumFractionDigits: value < 10 ? 1 : 0 });

/** A time, short where it is today. */
export function when(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return String(iso);
  const today = time.toDateString() === new Date().toDateString();
  const options = today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(code, options).format(time);
}
