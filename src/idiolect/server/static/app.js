// The shell: header, address, and which page is shown. A page gets its place, its parameters and a signal that ends it.

import { ApiError, get, key, setKey, takeKey } from "./api.js";
import { button, fill, h, newId, said, shown, svg } from "./dom.js";
import { plural } from "./format.js";
import { route, to } from "./nav.js";
import { personPage } from "./person.js";
import { searchBox } from "./search.js";

/** @typedef {import("./nav.js").Context} Context */

/** @type {Record<string, (place: HTMLElement, context: Context) => Promise<void> | void>} */
const PAGES = {
  "": startPage,
  person: personPage,
  map: loaded(async () => (await import("./map.js")).mapPage),
  units: loaded(async () => (await import("./units.js")).unitsPage),
  evaluations: loaded(async () => (await import("./evaluations.js")).evaluationsPage),
};

/**
 * A page whose module is read when it is first shown, and which is not begun if it was left meanwhile.
 * @param {() => Promise<(place: HTMLElement, context: Context) => Promise<void>>} load
 * @returns {(place: HTMLElement, context: Context) => Promise<void>}
 */
function loaded(load) {
  return async (place, context) => {
    const page = await load();
    context.signal.throwIfAborted();
    await page(place, context);
  };
}

/** @type {Record<string, any> | null} */
let overview = null;
let ending = new AbortController();

async function show() {
  ending.abort();
  ending = new AbortController();
  const main = /** @type {HTMLElement} */ (document.getElementById("main"));
  const { signal } = ending;
  const { name, params } = route();
  try {
    if (!key()) { askKey(main); return; }
    main.setAttribute("aria-busy", "true");
    leave(main);
    document.title = shown(`${params.get("user") ?? (name || "studio")} · idiolect`);
    const about = overview ?? await get("overview", {}, signal);
    overview = about;
    header(about, name);
    const page = PAGES[name] ?? missingPage;
    await page(main, { overview: about, params, signal });
  } catch (error) {
    if (signal.aborted) return;
    failed(main, error);
  } finally {
    if (!signal.aborted) main.setAttribute("aria-busy", "false");
  }
}

/**
 * What is still shown belongs to an earlier address: until the next page is here, nothing of it can be pressed.
 * @param {HTMLElement} main
 */
function leave(main) {
  for (const old of main.children) {
    old.classList.add("leaving");
    if (old instanceof HTMLElement) old.inert = true;
  }
  for (const dialog of document.querySelectorAll("dialog")) dialog.close("");
}

/**
 * @param {HTMLElement} main
 * @param {unknown} error
 */
function failed(main, error) {
  if (error instanceof ApiError && error.status === 401) {
    setKey("");
    overview = null;
    return askKey(main, "This key is not valid, or not any more.");
  }
  const message = error instanceof Error ? error.message : String(error);
  fill(main, h("section", { class: "empty", role: "alert" },
    h("h1", null, error instanceof ApiError && error.status === 404 ? "Not found" : "This did not work"),
    h("p", null, message),
    h("p", { class: "row" }, button("Try again", { class: "primary", onclick: show }), h("a", { href: "#/" }, "Start page"))));
}

/**
 * @param {HTMLElement} main
 * @param {string} [why]
 */
function askKey(main, why) {
  fill(/** @type {HTMLElement} */ (document.getElementById("top")), wordmark());
  const id = newId();
  const input = h("input", { id, type: "password", autocomplete: "off", required: true, placeholder: "idl_…" });
  fill(main, h("section", { class: "empty" },
    h("h1", null, "Whose reviews?"),
    h("p", null, "This server keeps one store per API key. The key stays in this tab."),
    why ? h("p", { class: "error", role: "alert" }, why) : null,
    h("form", { class: "row", onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      setKey(input.value.trim());
      void show();
    } }, h("label", { for: id }, "API key"), input, h("button", { class: "primary" }, "Open")),
    h("p", { class: "quiet" }, "On your own machine, ", h("code", null, "idiolect studio"), " opens this page without a key; the link it prints works, too.")));
  input.focus();
}

function wordmark() {
  return h("a", { class: "wordmark", href: "#/", "aria-label": "idiolect studio, start page" },
    svg("svg", { viewBox: "0 0 32 20", "aria-hidden": "true" },
      svg("path", { d: "M2 14C6 2 10 2 14 10s8 10 14-6", class: "wave" }), svg("circle", { cx: 15, cy: 11.5, r: 3, class: "dot" })),
    h("span", null, "idiolect"));
}

/**
 * @param {Record<string, any>} about
 * @param {string} here
 */
function header(about, here) {
  const top = /** @type {HTMLElement} */ (document.getElementById("top"));
  /** @param {string} name @param {string} text */
  const link = (name, text) => h("a", { href: to(name), "aria-current": here === name ? "page" : null }, text);
  fill(top, wordmark(),
    here === "" ? h("span", { class: "grow" }) : searchBox({ id: "search", label: "Find a user", small: true }),
    h("nav", { "aria-label": "Pages" }, link("map", "Map"), about["units"] ? link("units", "Units") : null, about["results"] ? link("evaluations", "Evaluations") : null,
      h("a", { href: "/docs" }, "API")), themeButton());
}

function themeButton() {
  const dark = () => document.documentElement.dataset["theme"] === "dark"
    || (!document.documentElement.dataset["theme"] && matchMedia("(prefers-color-scheme: dark)").matches);
  const knob = button("", { class: "ghost icon", onclick: () => { setTheme(dark() ? "light" : "dark"); name(); } });
  const name = () => {
    fill(knob, h("span", { "aria-hidden": "true" }, dark() ? "\u2600" : "\u263E"));
    knob.setAttribute("aria-label", dark() ? "Light colours" : "Dark colours");
  };
  name();
  return knob;
}

/** @param {string} theme */
function setTheme(theme) {
  document.documentElement.dataset["theme"] = theme;
  localStorage.setItem("idiolect.theme", theme);
  window.dispatchEvent(new Event("themechange"));
}

/**
 * @param {HTMLElement} main
 * @param {Context} context
 */
async function startPage(main, { overview: about, signal }) {
  const { users } = await get("users", { limit: 12 }, signal);
  const empty = !about["reviews"];
  fill(main, h("section", { class: "hero" },
    h("h1", null, "The difference is the person."),
    h("p", { class: "lead" }, "Everybody who writes about the same thing says it differently. Choose somebody: see how they differ from others, on what evidence, and read what a model writes in their voice."),
    empty
      ? h("div", { class: "card stack" }, h("h2", null, "No reviews yet"),
        h("p", null, "This store is empty. Add reviews and they appear here:"),
        h("pre", null, "idiolect ingest reviews.jsonl --store people.db"),
        h("p", { class: "quiet" }, "or ", h("code", null, "POST /v1/reviews"), ", or try ", h("code", null, "idiolect demo --out demo"), "."))
      : searchBox({ id: "search", label: "Find a user", small: false })),
  peopleCards(users, signal),
  h("p", { class: "facts" }, `${plural(about["reviews"], "review")} of ${plural(about["items"], "known item")}`, " · ", "texts by ", said(about["model"]),
    about["toy"] ? " (a toy that knows made-up reviews only)" : "", ` · version ${about["version"]}`));
}

/**
 * Users to begin with, each with what sets them apart most, which is measured meanwhile.
 * @param {{user: string, reviews: number}[]} users
 * @param {AbortSignal} signal
 */
function peopleCards(users, signal) {
  if (!users.length) return null;
  const what = new Map(users.map(({ user }) => [user, { phrase: h("span", { class: "what" }, "\u2026"), more: h("span", null) }]));
  void strongest(what, signal);
  return h("section", { class: "people", "aria-labelledby": "people" }, h("h2", { id: "people" }, "Or begin with one of these"),
    h("ul", null, users.map(({ user, reviews }) => h("li", null,
      h("a", { class: "person", href: to("person", { user }) }, said(user, "name"), what.get(user)?.phrase, h("span", { class: "quiet small" }, plural(reviews, "review"), what.get(user)?.more))))));
}

/**
 * @param {Map<string, {phrase: HTMLElement, more: HTMLElement}>} what where it is written, by user
 * @param {AbortSignal} signal
 */
async function strongest(what, signal) {
  /** @type {{user: string, phrase: string | null, claimed: number}[]} */
  let users = [];
  try { ({ users } = await get("users/differences", { user: [...what.keys()] }, signal)); } catch { /* the cards stand for themselves */ }
  for (const { user, phrase, claimed } of users) {
    const place = what.get(user);
    if (!place) continue;
    fill(place.phrase, phrase ?? "no clear difference from others");
    fill(place.more, claimed ? `, ${plural(claimed, "difference")}` : "");
  }
  for (const { user } of users) what.delete(user);
  for (const place of what.values()) fill(place.phrase, "not compared yet: open to see");
}

/** @param {HTMLElement} main */
function missingPage(main) {
  fill(main, h("section", { class: "empty" }, h("h1", null, "There is no such page"), h("p", null, h("a", { href: "#/" }, "Start page"))));
}

const chosen = localStorage.getItem("idiolect.theme");
if (chosen === "dark" || chosen === "light") document.documentElement.dataset["theme"] = chosen;
takeKey();
window.addEventListener("hashchange", () => { takeKey(); void show(); window.scrollTo(0, 0); });
void show();
