// A box that finds things by name while one types: a combobox of the ARIA practices.

import { get } from "./api.js";
import { fill, h, newId, said } from "./dom.js";
import { plural } from "./format.js";

/**
 * @typedef {object} Choice
 * @property {string} value
 * @property {string} text
 * @property {string} aside
 */

/**
 * @param {{id: string, label: string, value?: string, placeholder?: string, class?: string,
 *   find: (text: string, signal: AbortSignal) => Promise<Choice[]>, choose: (choice: Choice) => void, free?: boolean}} how
 */
export function combobox(how) {
  const list = newId();
  /** @type {Choice[]} */
  let found = [];
  let at = -1;
  let asked = new AbortController();
  const input = h("input", {
    id: how.id, type: "search", role: "combobox", autocomplete: "off", spellcheck: "false", "aria-expanded": "false",
    "aria-controls": list, "aria-autocomplete": "list", placeholder: how.placeholder ?? how.label, value: how.value ?? "",
  });
  const options = h("ul", { id: list, role: "listbox", class: "options", hidden: true, "aria-label": how.label });
  const status = h("span", { class: "sr", role: "status" });

  const close = () => { options.hidden = true; at = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
  /** @param {Choice} choice */
  const choose = (choice) => { close(); how.choose(choice); };
  const draw = () => {
    fill(options, found.map((one, place) => h("li", {
      role: "option", id: `${list}-${place}`, "aria-selected": String(place === at),
      onmousedown: (/** @type {Event} */ event) => { event.preventDefault(); choose(one); },
    }, said(one.text), h("span", { class: "quiet" }, one.aside))),
    found.length ? null : h("li", { class: "quiet none" }, "nobody and nothing of this name"));
    options.hidden = false;
    input.setAttribute("aria-expanded", "true");
    if (at >= 0) {
      input.setAttribute("aria-activedescendant", `${list}-${at}`);
      options.children[at]?.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  };
  const search = async () => {
    asked.abort();
    asked = new AbortController();
    try {
      found = await how.find(input.value.trim(), asked.signal);
      at = -1;
      status.textContent = plural(found.length, "suggestion");
      if (document.activeElement === input) draw();
    } catch { /* typed on, or no answer: the next letter asks again */ }
  };
  input.addEventListener("input", () => void search());
  input.addEventListener("focus", () => void search());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (options.hidden) { void search(); return; }
      const step = event.key === "ArrowDown" ? 1 : -1;
      at = found.length ? (at + step + found.length + (at < 0 && step < 0 ? 1 : 0)) % found.length : -1;
      draw();
    } else if (event.key === "Escape") close();
    else if (event.key === "Enter") {
      const typed = input.value.trim();
      const exact = found.find((one) => one.value === typed);
      const choice = found[at] ?? exact ?? (how.free && typed ? { value: typed, text: typed, aside: "" } : found[0]);
      if (choice) { event.preventDefault(); choose(choice); }
    }
  });
  const root = h("div", { class: `combobox ${how.class ?? ""}` }, h("label", { for: how.id, class: "sr" }, how.label), input, options, status);
  return { root, input };
}

/**
 * The box that leads to a user's page.
 * @param {{id: string, label: string, small: boolean}} how
 */
export function searchBox(how) {
  return combobox({
    ...how, class: how.small ? "small" : "large", placeholder: "Find a user …", free: true,
    find: async (text, signal) => (await get("users", { q: text, limit: 8 }, signal)).users.map(
      (/** @type {any} */ one) => ({ value: one.user, text: one.user, aside: plural(one.reviews, "review") })),
    choose: (one) => { location.hash = `#/person?${new URLSearchParams({ user: one.value })}`; },
  }).root;
}
