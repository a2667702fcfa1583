// The queue of all fixes, newest first, with its filters.

import { afterPause, byId, element } from "./build.js";
import { FixRow } from "./fix_row.js";
import { showProblem } from "./notices.js";
import * as server from "./server.js";
import { stateName } from "./shown.js";
import { say } from "./words.js";

export const STATES = ["submitted", "live", "proven", "failed", "baked", "undone"];
// Fixes that come with one request.
const PAGE = 30;
// How long typing in a filter, and a burst of events, may pause before the server is asked, in milliseconds.
const PAUSE = 300;

// The address names the fix whose details were opened last, so that it can be handed on.
function address(fix, open) {
  const own = `#fix-${fix.id}`;
  if (open) history.replaceState(null, "", own);
  else if (location.hash === own) history.replaceState(null, "", location.pathname + location.search);
}

/** `onUndo(fix)` undoes a fix; `onCounts(counts)` is told how many there are of each state. */
export class Queue {
  constructor({ onUndo, onCounts }) {
    this.onUndo = onUndo;
    this.onCounts = onCounts;
    this.rows = new Map();
    this.states = new Map(); // the number of every fix that was seen to its state
    this.state = "";
    this.counts = {};
    this.asked = null;
    this.soon = afterPause(PAUSE, () => this.load());
    this.countSoon = afterPause(PAUSE, () => this.count());
    this.showStates();
    for (const id of ["filter-text", "filter-who"]) byId(id).addEventListener("input", () => this.soon());
    byId("filters").addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
    byId("more").addEventListener("click", () => this.more());
  }

  get filters() {
    return { state: this.state, q: byId("filter-text").value.trim(), who: byId("filter-who").value.trim(), limit: PAGE };
  }

  get filtered() { return Boolean(this.state || this.filters.q || this.filters.who); }

  showStates() {
    this.totals = new Map();
    const choices = ["", ...STATES].map((state) => {
      const total = element("span", { class: "total" });
      this.totals.set(state, total);
      return element("label", {},
        element("input", { type: "radio", name: "state", value: state, checked: state === this.state, onchange: () => {
          this.state = state;
          this.load();
        } }),
        element("span", {}, state ? stateName(state) : say("filters.all"), " ", total));
    });
    byId("states").replaceChildren(byId("states").firstElementChild, ...choices);
    this.showCounts(this.counts);
  }

  showCounts(counts) {
    this.counts = counts;
    for (const [state, total] of this.totals) {
      const all = Object.values(counts).reduce((sum, one) => sum + one, 0);
      total.textContent = String(state ? counts[state] || 0 : all);
    }
    this.onCounts(counts);
  }

  // The counts of a fix that changed its state; those of fixes that are not listed come from the server a little later.
  moveCount(from, to) {
    if (from === to) return;
    this.showCounts({ ...this.counts, [from]: (this.counts[from] || 1) - 1, [to]: (this.counts[to] || 0) + 1 });
  }

  async count() {
    const found = await server.list({ limit: 1 }).catch(() => null);
    if (found) this.showCounts(found.counts);
  }

  /** Asks for the newest fixes that pass the filters. */
  async load() {
    this.soon.cancel();
    this.asked?.abort();
    this.asked = new AbortController();
    if (!this.rows.size) byId("queue-state").textContent = say("queue.loading");
    try {
      const { fixes, counts } = await server.list(this.filters, this.asked.signal);
      const open = [...this.rows.values()].filter((row) => !row.detail.hidden).map((row) => row.fix.id);
      const old = this.rows;
      this.rows = new Map(fixes.map((fix) => [fix.id, this.row(fix, old.get(fix.id))]));
      this.put();
      for (const id of open) this.rows.get(id)?.open(true);
      byId("more").hidden = fixes.length < PAGE;
      this.showCounts(counts);
      this.told();
    } catch (error) {
      if (error.name !== "AbortError") showProblem(byId("queue-state"), error, () => this.load());
    }
  }

  // Lays the rows anew; a row that had the focus keeps it.
  put() {
    const focused = document.activeElement;
    byId("fixes").replaceChildren(...[...this.rows.values()].map((row) => row.item));
    if (byId("fixes").contains(focused)) focused.focus({ preventScroll: true });
  }

  async more() {
    const before = Math.min(...this.rows.keys());
    try {
      const { fixes } = await server.list({ ...this.filters, before });
      for (const fix of fixes) {
        this.rows.set(fix.id, this.row(fix));
        byId("fixes").append(this.rows.get(fix.id).item);
      }
      byId("more").hidden = fixes.length < PAGE;
      if (fixes.length) this.rows.get(fixes[0].id).toggle.focus();
      this.told();
    } catch (error) {
      showProblem(byId("queue-state"), error, () => this.more());
    }
  }

  row(fix, old = null) {
    this.states.set(fix.id, fix.state);
    if (!old) return new FixRow(fix, { onUndo: this.onUndo, onOpen: address });
    old.update(fix);
    return old;
  }

  told() {
    const names = new Set([...this.rows.values()].map((row) => row.fix.who).filter(Boolean));
    byId("names").replaceChildren(...[...names].sort().map((name) => element("option", { value: name })));
    const n = this.rows.size;
    const place = byId("queue-state");
    place.hidden = false;
    place.classList.toggle("none", !n);
    place.textContent = n ? (this.filtered ? say("queue.found", { n }) : "") : say(this.filtered ? "queue.noneFound" : "queue.none");
  }

  /**
   * Takes a fix from an answer or an event: changes its row, or puts a new one on top where it passes the filters.
   * Returns whether the fix is new or in another state than before.
   */
  take(fix) {
    const [state, newest] = [this.states.get(fix.id), Math.max(0, ...this.states.keys())];
    this.states.set(fix.id, fix.state);
    this.countSoon();
    const row = this.rows.get(fix.id);
    row?.update(fix);
    if (this.filtered && (!row || state !== fix.state)) this.soon();
    else if (!row && fix.id > newest) this.putOnTop(fix);
    if (state !== undefined) this.moveCount(state, fix.state);
    return state === undefined ? fix.id > newest : state !== fix.state;
  }

  putOnTop(fix) {
    const made = this.row(fix);
    this.rows = new Map([[fix.id, made], ...this.rows]);
    byId("fixes").prepend(made.item);
    this.told();
  }

  progress(told) {
    this.rows.get(told.id)?.progress(told);
  }

  /** Opens the details of a fix and goes there; the filters give way where they hide it. */
  async show(id) {
    if (!this.rows.has(id)) {
      this.state = "";
      for (const field of ["filter-text", "filter-who"]) byId(field).value = "";
      this.showStates();
      await this.load();
    }
    const row = this.rows.get(id);
    if (!row) return;
    row.open(true);
    row.item.scrollIntoView({ block: "nearest" });
    row.toggle.focus();
  }

  /** Writes the texts anew, in another language. */
  relabel() {
    this.showStates();
    this.rows = new Map([...this.rows.values()].map(({ fix }) => [fix.id, this.row(fix)]));
    this.put();
    this.told();
  }
}
