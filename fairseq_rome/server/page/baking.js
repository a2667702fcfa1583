// The engineer's button: all proven fixes into one checkpoint.

import { byId } from "./build.js";
import { toast, toastProblem } from "./notices.js";
import * as server from "./server.js";
import { canSay, say } from "./words.js";

/** The button, the question before it, and how far the baking is; `possible` where the server has a file for it. */
export class Baking {
  constructor(possible) {
    this.possible = possible;
    this.proven = 0;
    this.bake = null;
    byId("bake").addEventListener("click", () => this.ask());
    byId("bake-dialog").addEventListener("close", () => {
      if (byId("bake-dialog").returnValue === "yes") this.start();
    });
  }

  /** The number of proven fixes that no file holds yet. */
  count(proven) {
    this.proven = proven;
    this.show();
  }

  show() {
    const running = this.bake !== null && this.bake.state === "running";
    byId("bake").textContent = say("bake", { n: this.proven });
    byId("bake").hidden = !this.possible || (this.proven === 0 && !running);
    byId("bake").disabled = running;
    const state = this.bake?.state;
    byId("bake-state").textContent = state && canSay(`bake.${state}`)
      ? say(`bake.${state}`, { file: this.bake.file || "", reason: this.bake.reason || "" }) : state || "";
  }

  ask() {
    byId("bake-text").textContent = say("bake.text", { n: this.proven });
    byId("bake-dialog").returnValue = "";
    byId("bake-dialog").showModal();
  }

  async start() {
    try {
      this.take(await server.bake());
    } catch (error) {
      if (error.status === 409) toast(`${say("bake.refused")} ${error.message}`);
      else toastProblem(error);
    }
  }

  /** Takes the state of a bake, from an answer or an event. */
  take(bake) {
    this.bake = bake;
    this.show();
  }
}
