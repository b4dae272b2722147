// The entry of an exported file: evaluations alone, from what the file holds.

import { fill, h } from "./dom.js";
import { evaluationsPage } from "./evaluations.js";
import { route } from "./nav.js";

let ending = new AbortController();

async function showFile() {
  ending.abort();
  ending = new AbortController();
  const main = /** @type {HTMLElement} */ (document.getElementById("main"));
  try {
    await evaluationsPage(main, { overview: {}, params: route().params, signal: ending.signal });
  } catch (error) {
    fill(main, h("p", { class: "error pad", role: "alert" }, error instanceof Error ? error.message : String(error)), h("p", { class: "pad" }, h("a", { href: "#/evaluations" }, "All evaluations")));
  }
}

if (document.getElementById("held")) {
  window.addEventListener("hashchange", () => { void showFile(); window.scrollTo(0, 0); });
  void showFile();
}
