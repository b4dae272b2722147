// Panels of a page: folded on a narrow screen, and saying so themselves if they cannot be filled.

import { ApiError } from "./api.js";
import { fill, h, message, said } from "./dom.js";
import { sentence } from "./format.js";

/** Whether there is room for everything at once. */
export function wide() {
  return matchMedia("(min-width: 60rem)").matches;
}

/** Whether nothing is to move. */
export function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/**
 * A panel that can be folded. It is open where there is room.
 * @param {string} title
 * @param {import("./dom.js").Child} body
 * @param {boolean} [open]
 */
export function panel(title, body, open = wide()) {
  return h("details", { class: "panel", open }, h("summary", null, h("h2", null, title)), h("div", { class: "stack" }, body));
}

/**
 * A page of which there is nothing yet, because the store has too little for it.
 * @param {HTMLElement} main
 * @param {string} title
 * @param {string} needs
 */
export function nothingYet(main, title, needs) {
  fill(main, h("section", { class: "empty" }, h("h1", null, title), h("p", null, needs),
    h("p", { class: "quiet" }, "Reviews of an older store also need vectors of style: ", h("code", null, "idiolect embed --encoder style"), ".")));
}

/**
 * What was asked for; nothing, if the store has too little for it.
 * @template T
 * @param {Promise<T>} asked
 * @returns {Promise<T | undefined>}
 */
export function ifAny(asked) {
  return asked.catch((error) => { if (error instanceof ApiError && error.status === 404) return undefined; throw error; });
}

/**
 * Fill a part of the page, or say there why not.
 * @param {HTMLElement} place
 * @param {AbortSignal} signal
 * @param {(signal: AbortSignal) => Promise<import("./dom.js").Child>} make
 */
export async function part(place, signal, make) {
  try { fill(place, await make(signal)); } catch (error) {
    if (signal.aborted) return;
    fill(place, h("p", { class: "quiet" }, said(sentence(message(error)))));
  }
}
