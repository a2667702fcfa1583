// One fix in the queue: a row that is changed in place, so that the focus stays where it is while events arrive.

import { element } from "./build.js";
import { showDetail } from "./fix_detail.js";
import { changedText, chiefHunk, hunkText, showShare, sides, stageName, stateName } from "./shown.js";
import { say, when } from "./words.js";

/** `onUndo(fix)` undoes it; `onOpen(fix, open)` is told when its details are opened or closed. */
export class FixRow {
  constructor(fix, { onUndo, onOpen }) {
    const part = (name, attributes = {}) => element(name, attributes);
    this.badge = part("span", { class: "badge" });
    this.what = part("span", { class: "row-what" });
    this.source = part("p", { class: "row-source" });
    this.meta = part("p", { class: "row-meta quiet" });
    this.reason = part("p", { class: "row-reason", lang: "en" });
    this.stage = part("p", { class: "row-stage quiet", id: `stage-${fix.id}` });
    this.bar = part("progress", { max: 1, "aria-labelledby": `stage-${fix.id}` });
    this.detail = part("div", { class: "detail", id: `detail-${fix.id}`, hidden: true });
    this.undo = element("button", { type: "button", onclick: () => onUndo(this.fix) }, say("undo"));
    this.toggle = element("button", { type: "button", class: "plain", "aria-expanded": "false",
      "aria-controls": `detail-${fix.id}`, onclick: () => this.open(this.detail.hidden) }, say("details"));
    this.onOpen = onOpen;
    this.item = element("li", { class: "fix", id: `fix-${fix.id}` },
      element("div", { class: "row" },
        element("h3", { class: "row-head", id: `head-${fix.id}` }, this.badge, this.what),
        element("p", { class: "row-actions" }, this.toggle, this.undo),
        element("div", { class: "row-body" }, this.source, this.meta, this.reason, this.stage, this.bar)),
      this.detail);
    this.update(fix);
  }

  update(fix) {
    const moved = !this.fix || this.fix.state !== fix.state;
    this.fix = fix;
    this.item.dataset.state = fix.state;
    this.badge.textContent = stateName(fix.state);
    this.badge.className = `badge ${fix.state}`;
    const hunk = chiefHunk(fix);
    const more = (fix.hunks || []).length - 1;
    this.what.replaceChildren(hunk ? hunkText(hunk) : changedText(fix.before || "", fix.target));
    if (hunk && more > 0) this.what.append(" ", element("span", { class: "quiet" }, say("row.more", { n: more })));
    Object.assign(this.source, { textContent: fix.source, lang: sides.source.lang, dir: sides.source.dir });
    this.meta.replaceChildren(`#${fix.id} · `, element("time", { datetime: fix.created }, when(fix.created)),
      fix.who ? " · " : "", fix.who ? element("bdi", {}, fix.who) : "");
    this.reason.textContent = fix.reason || "";
    this.reason.hidden = !fix.reason;
    const left = fix.state === "undone" && this.undo === document.activeElement;
    this.undo.hidden = fix.state === "undone";
    if (left) this.toggle.focus();
    for (const [button, text] of [[this.undo, "undo.of"], [this.toggle, "details.of"]]) {
      button.setAttribute("aria-label", say(text, { id: String(fix.id) }));
    }
    this.progress(fix);
    if (moved && !this.detail.hidden) this.load();
  }

  progress({ stage, progress }) {
    this.stage.hidden = !stage;
    this.bar.hidden = !stage;
    this.stage.textContent = stage ? stageName(stage) : "";
    showShare(this.bar, progress);
  }

  open(open) {
    if (open === !this.detail.hidden) return;
    this.detail.hidden = !open;
    this.toggle.setAttribute("aria-expanded", String(open));
    if (open) this.load();
    this.onOpen(this.fix, open);
  }

  load() { return showDetail(this.detail, this.fix); }
}
