// Voices side by side: an item, a rating, a title; several methods, and what the user wrote themselves.

import { get } from "./api.js";
import { fill, h, newId } from "./dom.js";
import { method } from "./format.js";
import { METHODS } from "./methods.js";
import { note } from "./nav.js";
import { calm } from "./panel.js";
import { combobox } from "./search.js";
import { steer } from "./steer.js";
import { knowsUser, ownCard, voice } from "./voice.js";

/** @typedef {import("./person.js").Person} Person */
/** @typedef {import("./voice.js").Asked} Asked */
/** @typedef {Record<string, any>} Json */

/**
 * @typedef {object} Writing
 * @property {(why: string, corrected: boolean, labels: [string, string]) => void} again writes again because something changed, a correction or not, if something was written; `labels`: of what was before and what is after
 * @property {() => void} compare writes without the user's corrections and with them
 */

const TOY = "The shipped toy model writes here. It was trained on made-up reviews only: its texts show how this page works, not how well a method works with a language model.";
const OLD_TEXTS = "The texts below are of what was chosen before. Press Write for new ones.";

/**
 * @param {HTMLElement} place
 * @param {Person} person
 * @returns {Writing}
 */
export function writingPanel(place, person) {
  const { context, user } = person;
  const { params, overview, signal } = context;
  /** @type {string[]} */
  const known = overview["methods"].map((/** @type {Json} */ one) => one["name"]);
  const state = {
    item: params.get("item") ?? "",
    /** What the user wrote about the item; none, if they did not. @type {Promise<Json | undefined>} */
    own: Promise.resolve(undefined),
    /** @type {Map<string, string>} */
    texts: new Map(),
    written: "", running: new AbortController(),
  };
  const fields = writingFields(params);
  const itemBox = itemChoice(person, (value) => void setItem(value));
  const methods = methodChoices(known, (params.get("methods") ?? overview["first_methods"].join(",")).split(","), () => mark());
  const steering = known.includes(overview["units"]) ? steer(person, () => mark()) : null;
  const news = h("p", { class: "news", role: "status" });
  const outputs = h("div", { class: "voices" });
  const verdict = h("p", { class: "news", role: "status" });
  /** @returns {Asked} */
  const asked = () => ({ item: state.item, ...(fields.rating.value ? { rating: Number(fields.rating.value) } : {}), title: fields.title.value });
  const wanted = () => JSON.stringify([itemBox.value(), fields.rating.value, fields.title.value, [...methods.chosen()].sort(), steering?.factors() ?? {}]);
  /** The texts are of what was asked for when they were written. */
  const mark = () => {
    const old = state.written !== "" && state.written !== wanted();
    outputs.classList.toggle("stale", old);
    fill(news, old ? OLD_TEXTS : "");
  };
  const clear = () => {
    state.running.abort();
    state.texts.clear();
    state.written = "";
    fill(outputs);
    fill(verdict);
  };
  /** Takes an item, and fills in what the user gave it unless that was filled in or written from meanwhile. */
  const setItem = async (/** @type {string} */ item, keep = false) => {
    if (item !== state.item) clear();  // the texts are of another item: nothing of them stays
    state.item = item;
    const own = item ? ownReview(user, item, signal) : Promise.resolve(undefined);
    state.own = own;
    own.catch(() => {});  // its card says so
    const given = [fields.rating.value, fields.title.value];
    const found = await own.catch(() => undefined);
    const meanwhile = state.own !== own || state.written || given.join("\n") !== [fields.rating.value, fields.title.value].join("\n");
    if (!keep && !meanwhile) fields.show(found);
    if (state.own === own) mark();
    return found;
  };
  /** @param {string} why @param {{corrected?: boolean, bare?: boolean, labels?: [string, string]}} [how] because of a correction; also without the user's corrections */
  const run = (why, { corrected = false, bare = false, labels = ["Before", "After"] } = {}) => {
    if (!state.item) { itemBox.input.focus(); return; }
    const chosen = methods.chosen();
    note({ item: state.item, rating: fields.rating.value, title: fields.title.value, methods: chosen.join(",") });
    state.running.abort();
    state.running = new AbortController();
    state.written = wanted();
    const both = AbortSignal.any([state.running.signal, signal]);
    const units = steering?.factors() ?? {};
    fill(verdict);
    /** @type {Map<string, number>} */
    const scores = new Map();
    const scored = (/** @type {string} */ name, /** @type {number} */ score) => { scores.set(name, score); fill(verdict, noBetter(scores)); };
    const shared = { person, signal: both, before: state.texts, why, corrected, labels, scored };
    fill(outputs, ownCard(state.own, person, both),
      chosen.map((one) => voice(one, asked(), { ...shared, bare: bare && knowsUser(one) })),
      Object.keys(units).length ? voice(overview["units"], { ...asked(), units }, { ...shared, bare: false }) : null);
    outputs.classList.remove("stale");
    fill(news, why);
  };
  const compare = () => {
    if (!methods.chosen().some(knowsUser)) methods.add(overview["first_methods"].find(knowsUser));
    place.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
    run("Each text twice: as if nothing was muted or corrected, and as it is now.", { corrected: true, bare: true, labels: ["As if nothing was muted", "As it is now"] });
  };
  for (const field of [fields.rating, fields.title]) field.addEventListener("input", mark);
  fill(place, h("h2", null, "Hear the voice"),
    h("form", { class: "compose card", onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      await itemBox.settle();  // a title that was typed, and not chosen from the list
      if (itemBox.value() !== state.item) void setItem(itemBox.value());
      run("");
    } },
    h("div", { class: "fields" }, h("div", { class: "wide" }, h("label", { for: itemBox.input.id }, "Item"), itemBox.root), fields.nodes),
    methods.root,
    steering?.root ?? null,
    h("div", { class: "row" }, h("button", { class: "primary" }, "Write"), h("span", { class: "quiet small" }, "Marked: words and signs that this user writes ", h("mark", { class: "more" }, "more"), " or ", h("mark", { class: "less" }, "less"), " than others."))),
    overview["toy"] ? h("p", { class: "notice", role: "note" }, TOY) : null, news, outputs, verdict);
  const ready = begin(person, itemBox, setItem).then(() => { if (params.get("item") && params.get("methods") && !state.written) run(""); });
  return { again: (why, corrected, labels) => { if (state.written) run(why, { corrected, labels }); }, compare: () => { if (state.item) compare(); else void ready.then(compare); } };
}

/**
 * Which texts are no more like the user than one that was written without them; empty if there is none.
 * @param {Map<string, number>} scores likeness by method
 */
function noBetter(scores) {
  const plain = [...scores].find(([name]) => !knowsUser(name));
  if (!plain) return "";
  const points = (/** @type {number} */ score) => Math.round(100 * score);
  const same = [...scores].filter(([name, score]) => knowsUser(name) && points(score) <= points(plain[1])).map(([name, score]) => `${method(name)[0]} (${points(score)} of 100)`);
  return same.length ? `No more like the user than the text of ${method(plain[0])[0]} (${points(plain[1])}), which knows nothing of them: ${same.join(", ")}. A single text says little of a method.` : "";
}

/**
 * Take the item of the address, or the first of the user's own.
 * @param {Person} person
 * @param {ReturnType<typeof itemChoice>} itemBox
 * @param {(item: string, keep?: boolean) => Promise<Json | undefined>} setItem
 */
async function begin(person, itemBox, setItem) {
  const { params, signal } = person.context;
  const item = params.get("item");
  if (item) {
    const own = await setItem(item, Boolean(params.get("rating")));
    const title = own?.["item_title"] || (await titleOf(item, signal).catch(() => ""));
    if (title && itemBox.value() === item) itemBox.show(title, item);
    return;
  }
  const [first] = await items(person, "", signal).catch(() => []);
  if (!first || itemBox.value()) return;  // another was chosen meanwhile
  itemBox.show(first.text, first.value);
  await setItem(first.value);
}

/** Rating and title. @param {URLSearchParams} params */
function writingFields(params) {
  const [rating, title] = [
    h("input", { id: newId(), type: "number", min: 0, max: 100, step: "any", value: params.get("rating") ?? "" }),
    h("input", { id: newId(), maxlength: 2000, value: params.get("title") ?? "" }),
  ];
  return {
    rating, title,
    /** What the user gave an item. @param {Json | undefined} own */
    show(own) {
      rating.value = own ? String(own["rating"] ?? "") : rating.value;
      title.value = own?.["title"] ?? "";
    },
    nodes: [h("div", null, h("label", { for: rating.id }, "Rating"), rating), h("div", { class: "wide" }, h("label", { for: title.id }, "Title"), title)],
  };
}

/**
 * The box for an item. It shows a title where there is one; what is typed by hand is an id.
 * @param {Person} person
 * @param {(item: string) => void} choose
 */
function itemChoice(person, choose) {
  const item = person.context.params.get("item") ?? "";
  const named = { text: item, value: item };
  const box = combobox({
    id: newId(), label: "Item", class: "item", value: item, free: true, named: true, placeholder: "What to write about", none: "no item of this name",
    find: async (text, asked) => (await items(person, text, asked)),
    choose: (choice) => { show(choice.text, choice.value); choose(choice.value); },
  });
  const show = (/** @type {string} */ text, /** @type {string} */ value) => { Object.assign(named, { text, value }); box.show(text); };
  const value = () => { const typed = box.input.value.trim(); return typed === named.text.trim() ? named.value : typed; };
  return { ...box, show, value };
}

/**
 * A box for each method; those chosen later come later.
 * @param {string[]} known
 * @param {string[]} first
 * @param {() => void} changed
 */
function methodChoices(known, first, changed) {
  let chosen = first.filter((name) => known.includes(name));
  const boxes = new Map(inOrder(known).map((one) => [one, h("input", { type: "checkbox", checked: chosen.includes(one), onchange: (/** @type {Event} */ event) => {
    const { checked } = /** @type {HTMLInputElement} */ (event.target);
    chosen = checked ? [...chosen, one] : chosen.filter((other) => other !== one);
    changed();
  } })]));
  return {
    chosen: () => chosen,
    add(/** @type {string} */ one) {
      chosen = [...chosen, one];
      const box = boxes.get(one);
      if (box) box.checked = true;
    },
    root: h("fieldset", null, h("legend", null, "Who writes? Choose one or several, to read them side by side"), h("div", { class: "choices" }, [...boxes].map(([one, box]) => methodChoice(one, box)))),
  };
}

/** From what knows nothing of the user to what was trained for users. @param {string[]} names */
function inOrder(names) {
  const rank = (/** @type {string} */ name) => { const of = METHODS[name]; return of ? Number(of.history) + Number(of.profile) + Number(of.peers) + 3 * Number(of.adapter) : 9; };
  return names.toSorted((a, b) => rank(a) - rank(b));
}

/**
 * A method with a sentence on what it does.
 * @param {string} name
 * @param {HTMLInputElement} box
 */
function methodChoice(name, box) {
  const [label, reads] = method(name);
  const [title, what] = [newId(), newId()];
  box.setAttribute("aria-labelledby", title);
  box.setAttribute("aria-describedby", what);
  return h("label", { class: "choice" }, box, h("span", { id: title, class: "name" }, label), h("span", { id: what, class: "quiet small" }, METHODS[name]?.about || (reads ? `Reads ${reads}.` : "")));
}

/**
 * @param {string} item
 * @param {AbortSignal} signal
 */
async function titleOf(item, signal) {
  const found = await get("items", { q: item, limit: 20 }, signal);
  return /** @type {string} */ (found.items.find((/** @type {Json} */ one) => one["id"] === item)?.["title"] ?? "");
}

/**
 * The user's own items first, then those of the store.
 * @param {Person} person
 * @param {string} text
 * @param {AbortSignal} signal
 */
export async function items(person, text, signal) {
  const [{ reviews }, found] = await Promise.all([get("reviews", { user: person.user, limit: 200 }, signal), get("items", { q: text, limit: 12 }, signal)]);
  const small = text.toLowerCase();
  /** @type {Map<string, string>} */
  const own = new Map(reviews.reverse().map((/** @type {Json} */ one) => [one["item"], one["item_title"]]));
  const mine = [...own].filter(([id, title]) => `${id}\n${title}`.toLowerCase().includes(small)).slice(0, 6).map(([id, title]) => ({ id, title, aside: "reviewed by this user" }));
  const rest = found.items.filter((/** @type {Json} */ one) => !own.has(one["id"])).slice(0, 10).map((/** @type {Json} */ one) => ({ id: one["id"], title: one["title"], aside: "new to this user" }));
  const all = [...mine, ...rest];
  const often = (/** @type {string} */ title) => all.filter((one) => one.title === title).length > 1;
  return all.map(({ id, title, aside }) => ({ value: id, text: title || id, aside: title && often(title) ? `${id}, ${aside}` : aside }));
}

/**
 * @param {string} user
 * @param {string} item
 * @param {AbortSignal} signal
 * @returns {Promise<Json | undefined>}
 */
async function ownReview(user, item, signal) {
  const { reviews } = await get("reviews", { user, limit: 1000 }, signal);
  return reviews.filter((/** @type {Json} */ one) => one["item"] === item).pop();
}
