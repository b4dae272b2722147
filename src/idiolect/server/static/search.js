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

const NOBODY = "no user matches";

/**
 * Opens when it is entered, with everything that can be chosen; what is typed narrows it down.
 * @param {{id: string, label: string, value?: string, placeholder?: string, class?: string, none?: string, named?: boolean,
 *   find: (text: string, signal: AbortSignal) => Promise<Choice[]>, choose: (choice: Choice) => void, free?: boolean}} how
 *   `named`: there is a visible label with `for`; `free`: what is typed can be chosen, too
 */
export function combobox(how) {
  const list = newId();
  /** @type {Choice[]} */
  let found = [];
  let at = -1;
  /** What the box holds since something was chosen: it is no search. */
  let settled = how.value ?? "";
  let asked = new AbortController();
  const input = h("input", {
    id: how.id, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", "aria-expanded": "false", enterkeyhint: "search",
    "aria-controls": list, "aria-autocomplete": "list", placeholder: how.placeholder ?? how.label, value: how.value ?? "",
  });
  const options = h("ul", { id: list, role: "listbox", class: "options", hidden: true, "aria-label": how.label });
  const status = h("span", { class: "sr", role: "status" });

  const close = () => { asked.abort(); options.hidden = true; at = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
  /** @param {Choice} choice */
  const choose = (choice) => { close(); how.choose(choice); settled = input.value; };
  const draw = () => {
    fill(options, found.map((one, place) => h("li", {
      role: "option", id: `${list}-${place}`, "aria-selected": String(place === at),
      onmousedown: (/** @type {Event} */ event) => { event.preventDefault(); choose(one); },
    }, said(one.text), h("span", { class: "quiet" }, one.aside))),
    found.length ? null : h("li", { class: "quiet none", role: "option", "aria-disabled": "true", "aria-selected": "false" }, how.none ?? NOBODY));
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
    const { signal } = asked;
    const typed = input.value.trim();
    try {
      const answer = await how.find(typed === settled.trim() ? "" : typed, signal);
      if (signal.aborted) return;
      const marked = found[at]?.value;
      found = answer;
      at = marked === undefined ? -1 : found.findIndex((one) => one.value === marked);
      status.textContent = found.length ? plural(found.length, "suggestion") : how.none ?? NOBODY;
      if (document.activeElement === input) draw();
    } catch { /* typed on, or no answer: the next letter asks again */ }
  };
  /** What no longer fits is gone at once: until the answer is here, an arrow key would mark what is not meant. */
  const narrow = () => {
    const typed = input.value.trim().toLowerCase();
    found = found.filter((one) => `${one.value}\n${one.text}`.toLowerCase().includes(typed));
    if (found.length && !options.hidden) draw(); else close();
  };
  /** Choose what is typed as soon as it is known what it names; if nothing, what is typed itself or the first that fits. */
  const settle = async () => {
    const typed = input.value.trim();
    const open = () => input.value.trim() === typed && typed !== settled.trim();
    if (!open()) return;
    const answer = await how.find(typed, new AbortController().signal).catch(() => []);
    if (!open()) return;  // typed on, or chosen
    found = answer;
    const first = named(answer, typed) ?? (how.free ? { value: typed, text: typed, aside: "" } : answer[0]);
    if (first) choose(first); else draw();
  };
  input.addEventListener("input", () => { settled = ""; at = -1; narrow(); void search(); });
  input.addEventListener("focus", () => { input.select(); void search(); });
  input.addEventListener("click", () => { if (options.hidden) void search(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const { key } = event;
    if (key === "ArrowDown" || key === "ArrowUp") {
      event.preventDefault();
      if (options.hidden) { void search(); return; }
      const step = key === "ArrowDown" ? 1 : -1;
      at = found.length ? (at + step + found.length + (at < 0 && step < 0 ? 1 : 0)) % found.length : -1;
      draw();
    } else if (key === "Escape" && !options.hidden) { event.preventDefault(); close(); }
    else if (key === "Enter") {
      const typed = input.value.trim();
      if (options.hidden && typed === settled.trim()) return;  // what was chosen stands: the form is sent
      const chosen = found[at] ?? named(found, typed);
      if (!chosen && !typed && how.free) return;
      event.preventDefault();
      if (chosen) choose(chosen); else void settle();
    }
  });
  /** Show what was chosen elsewhere. @param {string} text */
  const show = (text) => { input.value = text; settled = text; };
  const root = h("div", { class: `combobox ${how.class ?? ""}` }, how.named ? null : h("label", { for: how.id, class: "sr" }, how.label), input, options, status);
  return { root, input, show, settle };
}

/** @param {Choice[]} choices @param {string} typed an id or a text */
function named(choices, typed) {
  return choices.find((one) => one.value === typed) ?? choices.find((one) => one.text === typed);
}

/**
 * The box that leads to a user's page.
 * @param {{id: string, label: string, small: boolean}} how
 */
export function searchBox(how) {
  return combobox({
    ...how, class: how.small ? "small" : "large", placeholder: "Find a user …",
    find: async (text, signal) => (await get("users", { q: text, limit: 8 }, signal)).users.map(
      (/** @type {any} */ one) => ({ value: one.user, text: one.user, aside: plural(one.reviews, "review") })),
    choose: (one) => { location.hash = `#/person?${new URLSearchParams({ user: one.value })}`; },
  }).root;
}
