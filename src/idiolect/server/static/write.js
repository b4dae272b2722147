// Voices side by side: an item, a rating, a title; several methods, and what the user wrote themselves.

import { ApiError, call, chat, get } from "./api.js";
import { likenessMeter } from "./charts.js";
import { fill, h, newId, said } from "./dom.js";
import { count, duration, method } from "./format.js";
import { traitText } from "./marks.js";
import { note } from "./nav.js";
import { combobox } from "./search.js";

/** @typedef {import("./person.js").Person} Person */
/** @typedef {Record<string, any>} Json */

/**
 * @param {HTMLElement} place
 * @param {Person} person
 * @returns {(why: string) => void} writes again, if something was written
 */
export function writingPanel(place, person) {
  const { context, user } = person;
  const { params, overview, signal } = context;
  /** @type {{methods: string[], item: string, own: Json | undefined, texts: Map<string, string>, started: boolean, running: AbortController}} */
  const state = {
    methods: (params.get("methods") ?? preferred(overview)).split(",").filter((name) => overview["methods"].some((/** @type {Json} */ one) => one.name === name)),
    item: params.get("item") ?? "", own: undefined, texts: new Map(), started: false, running: new AbortController(),
  };
  const [rating, title] = [newId(), newId()];
  const fields = {
    rating: h("input", { id: rating, type: "number", min: 0, max: 100, step: "any", value: params.get("rating") ?? "" }),
    title: h("input", { id: title, maxlength: 2000, value: params.get("title") ?? "" }),
  };
  const itemBox = combobox({
    id: newId(), label: "Item", class: "item", value: state.item, free: true, placeholder: "What to write about",
    find: async (text, asked) => (await items(person, text, asked)),
    choose: (choice) => { name(choice); void setItem(choice.value); },
  });
  /** What the box shows, which is a title where there is one; typed by hand it is an id. */
  const named = { text: state.item, value: state.item };
  const name = (/** @type {{text: string, value: string}} */ choice) => { Object.assign(named, choice); itemBox.input.value = choice.text; };
  const typed = () => (itemBox.input.value.trim() === named.text ? named.value : itemBox.input.value.trim());
  const outputs = h("div", { class: "voices" });
  const steering = overview["units"] && state.methods.length ? steer(person) : null;
  const setItem = async (/** @type {string} */ item, keep = false) => {
    state.item = item;
    state.own = item ? (await ownReview(user, item, signal)) : undefined;
    if (state.own && !keep) {
      fields.rating.value = state.own["rating"] === null ? "" : String(state.own["rating"]);
      fields.title.value = state.own["title"];
    }
  };
  const run = (/** @type {string} */ why) => {
    if (!state.item) { itemBox.input.focus(); return; }
    note({ item: state.item, rating: fields.rating.value, title: fields.title.value, methods: state.methods.join(",") });
    state.running.abort();
    state.running = new AbortController();
    state.started = true;
    const both = AbortSignal.any([state.running.signal, signal]);
    const asked = { item: state.item, ...(fields.rating.value ? { rating: Number(fields.rating.value) } : {}), title: fields.title.value };
    const units = steering?.factors() ?? {};
    fill(outputs, state.own ? ownCard(state.own, person, both) : null, state.methods.map((name) => voice(name, asked, person, both, state.texts, why)),
      Object.keys(units).length ? voice("dep", { ...asked, units }, person, both, state.texts, why) : null);
  };
  fill(place, h("div", { class: "row between" }, h("h2", null, "Hear the voice"), overview["toy"] ? h("p", { class: "quiet small toy" }, "A toy model writes here: it knows made-up reviews only.") : null),
    h("form", { class: "compose card", onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (typed() !== state.item) await setItem(typed());
      run("");
    } },
    h("div", { class: "fields" }, h("div", { class: "wide" }, h("label", { for: itemBox.input.id, "aria-hidden": "true" }, "Item"), itemBox.root),
      h("div", null, h("label", { for: rating }, "Rating"), fields.rating), h("div", { class: "wide" }, h("label", { for: title }, "Title"), fields.title)),
    h("fieldset", null, h("legend", null, "Methods"), h("div", { class: "row" }, overview["methods"].map((/** @type {Json} */ one) => methodChoice(one["name"], state)))),
    steering?.root ?? null,
    h("div", { class: "row" }, h("button", { class: "primary" }, "Write"), h("span", { class: "quiet small" }, "Marked: words and signs that carry this user's differences."))),
    outputs);
  void (async () => {
    if (!state.item) {
      const mine = await items(person, "", signal).catch(() => []);
      const first = mine[0];
      if (first) name(first);
      await setItem(first?.value ?? "").catch(() => {});
    } else await setItem(state.item, Boolean(params.get("rating"))).catch(() => {});
    if (state.own?.["item_title"]) name({ text: state.own["item_title"], value: state.item });
    if (params.get("item") && params.get("methods")) run("");
  })();
  return (why) => { if (state.started) run(why); };
}

/**
 * Sliders for units of DEP's code: those in which the user stands out, and all of them together.
 * @param {Person} person
 */
function steer(person) {
  /** @type {Map<string, number>} */
  const factors = new Map();
  const sliders = h("div", { class: "sliders" }, h("p", { class: "quiet" }, "Looking …"));
  const details = h("details", { class: "steer" }, h("summary", null, "Steer DEP: silence or boost parts of the difference"), sliders);
  let width = 0;
  /** @param {string} name @param {import("./dom.js").Child} text */
  const slider = (name, text) => {
    const id = newId();
    const value = h("output", { for: id, class: "numbers" }, "×1");
    const input = h("input", { id, type: "range", min: 0, max: 3, step: 0.25, oninput: () => {
      value.textContent = Number(input.value) === 0 ? "silent" : `×${Number(input.value)}`;
      if (Number(input.value) === 1) factors.delete(name); else factors.set(name, Number(input.value));
    } });
    input.value = "1";
    return h("div", null, h("label", { for: id }, text), input, value);
  };
  details.addEventListener("toggle", async () => {
    if (!details.open || width) return;
    try {
      const [{ units }, all] = await Promise.all([get("units/user", { user: person.user }, person.context.signal), get("units", {}, person.context.signal)]);
      width = all.width;
      fill(sliders, slider("all", "all units: strength of the code"), units.map((/** @type {Json} */ one) => slider(String(one["number"]),
        [h("a", { href: `#/units?unit=${one["number"]}` }, `unit ${one["number"]}`), " ", one["label"].map((/** @type {string} */ word) => [said(word), " "]), h("span", { class: "quiet" }, one["style"].slice(0, 2).map((/** @type {[string, number]} */ [name]) => name.replaceAll("_", " ")).join(", "))])),
      h("p", { class: "quiet small" }, "A steered text stands beside the one that is not."));
    } catch (error) { fill(sliders, h("p", { class: "quiet" }, said(error instanceof Error ? error.message : String(error)))); }
  });
  const chosen = () => {
    const whole = factors.get("all") ?? 1;
    /** @type {Record<string, number>} */
    const found = whole === 1 ? {} : Object.fromEntries(Array.from({ length: width }, (_, k) => [String(k), whole]));
    for (const [name, value] of factors) if (name !== "all") found[name] = value * whole;
    return found;
  };
  return { root: details, factors: chosen };
}

/** @param {Json} overview */
function preferred(overview) {
  const names = overview["methods"].map((/** @type {Json} */ one) => one["name"]);
  const best = ["dep", "drp"].find((name) => names.includes(name) && (name !== "drp" || !names.includes("dep"))) ?? overview["default_method"];
  return [...new Set(["nonpersonalized", best])].join(",");
}

/**
 * @param {string} name
 * @param {{methods: string[]}} state
 */
function methodChoice(name, state) {
  const [label, what] = method(name);
  const box = h("input", { type: "checkbox", checked: state.methods.includes(name), onchange: () => {
    state.methods = box.checked ? [...state.methods, name] : state.methods.filter((one) => one !== name);
  } });
  return h("label", { class: "pill", title: what }, box, h("span", null, label), h("span", { class: "quiet small" }, what));
}

/**
 * The user's own items first, then those of the store.
 * @param {Person} person
 * @param {string} text
 * @param {AbortSignal} signal
 */
async function items(person, text, signal) {
  const [{ reviews }, found] = await Promise.all([get("reviews", { user: person.user, limit: 200 }, signal), get("items", { q: text, limit: 12 }, signal)]);
  const small = text.toLowerCase();
  /** @type {Map<string, string>} */
  const own = new Map(reviews.reverse().map((/** @type {Json} */ one) => [one["item"], one["item_title"]]));
  const mine = [...own].filter(([id, title]) => `${id}\n${title}`.toLowerCase().includes(small));
  const rest = found.items.filter((/** @type {Json} */ one) => !own.has(one["id"]));
  return [...mine.slice(0, 6).map(([id, title]) => ({ value: id, text: title || id, aside: "reviewed by this user" })),
    ...rest.slice(0, 10).map((/** @type {Json} */ one) => ({ value: one["id"], text: one["title"] || one["id"], aside: "new to this user" }))];
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

/**
 * @param {Json} review
 * @param {Person} person
 * @param {AbortSignal} signal
 */
function ownCard(review, person, signal) {
  const body = h("p", { class: "text" }, said(review["text"]));
  const chips = h("p", { class: "chips" });
  void decorate(body, chips, review["text"], person, signal);
  return h("article", { class: "voice own" }, h("header", null, h("h3", null, "The user's own text"), h("span", { class: "quiet" }, "hidden from the methods")), body, chips);
}

/**
 * One method's text: written, marked, scored.
 * @param {string} name
 * @param {Json} asked
 * @param {Person} person
 * @param {AbortSignal} signal
 * @param {Map<string, string>} before texts of the last time
 * @param {string} why it is written again
 */
function voice(name, asked, person, signal, before, why) {
  const [label, what] = asked["units"] ? ["DEP, steered", "units silenced or boosted"] : method(name);
  const kept = asked["units"] ? `${name} steered` : name;
  const body = h("p", { class: "text", "aria-live": "polite", "aria-busy": "true" }, h("span", { class: "writing" }, "writing …"));
  const slow = setTimeout(() => fill(body, h("span", { class: "writing" }, "writing … The model is loaded at the first text, which can take a minute.")), 4000);
  const [chips, meter, foot] = [h("p", { class: "chips" }), h("div", null), h("footer", { class: "quiet small" })];
  const root = h("article", { class: "voice" }, h("header", null, h("h3", null, label), h("span", { class: "quiet" }, what)), body, chips, meter, foot);
  void (async () => {
    const started = performance.now();
    try {
      const found = await written(name, asked, person, signal, (text) => { clearTimeout(slow); fill(body, said(text)); });
      clearTimeout(slow);
      const took = performance.now() - started;
      const old = before.get(kept);
      before.set(kept, found["text"]);
      fill(body, said(found["text"]));
      if (!found["text"].trim()) fill(body, h("span", { class: "quiet" }, "(nothing was written)"));
      const { cost, notes, evidence } = found["idiolect"];
      const price = cost?.price ? ` · price ${cost.price}` : "";
      fill(foot, cost ? `${count(cost.prompt_tokens)} + ${count(cost.completion_tokens)} tokens${price} · ` : "", duration(took), evidence?.length ? ` · from ${evidence.length} of their reviews` : "",
        (notes ?? []).filter((/** @type {string} */ one) => !one.startsWith("written by the toy")).map((/** @type {string} */ one) => h("span", { class: "note" }, said(one))));
      if (why) foot.prepend(h("p", { class: "again" }, old === found["text"] ? `The same text as before: ${unmoved(name)}` : "Another text than before."));
      await Promise.all([decorate(body, chips, found["text"], person, signal), likeness(meter, found["text"], person, signal)]);
    } catch (error) {
      clearTimeout(slow);
      if (signal.aborted) return;
      fill(body, h("span", { class: "error" }, said(error instanceof Error ? error.message : String(error))));
    } finally { body.setAttribute("aria-busy", "false"); }
  })();
  return root;
}

/** @param {string} name */
function unmoved(name) {
  if (name === "nonpersonalized") return "it knows nothing of the user.";
  if (name === "rag") return "it reads past reviews, not differences.";
  return name === "dep" || name === "pplug" ? "its vectors have no part for a single difference." : "the model did not need the difference here.";
}

/**
 * @param {string} name
 * @param {Json} asked
 * @param {Person} person
 * @param {AbortSignal} signal
 * @param {(text: string) => void} show
 * @returns {Promise<Json>}
 */
async function written(name, asked, person, signal, show) {
  const of = person.context.overview["methods"].find((/** @type {Json} */ one) => one["name"] === name);
  if (asked["units"] || !of?.["streams"] || name === "nonpersonalized") return call("POST", "write", { user: person.user, method: name, ...asked }, {}, signal);
  let text = "";
  const content = "Write this person's review of what is described above. Answer with the review only.";
  const about = await chat({ model: `idiolect/${name}`, stream: true, stream_options: { include_usage: true },
    messages: [{ role: "user", content }], idiolect: { user: person.user, ...asked } }, (piece) => { text += piece; show(text); }, signal);
  if (!text) throw new ApiError(502, "The model wrote nothing.");
  return { text, idiolect: about };
}

/**
 * Mark the user's traits in a text and count them.
 * @param {HTMLElement} body
 * @param {HTMLElement} chips
 * @param {string} text
 * @param {Person} person
 * @param {AbortSignal} signal
 */
async function decorate(body, chips, text, person, signal) {
  const traits = person.card["differences"].filter((/** @type {Json} */ one) => one["state"] === "active");
  if (!traits.length || !text.trim()) return;
  try {
    const { marks } = await call("POST", "marks", { text, differences: traits.map((/** @type {Json} */ one) => one["difference"]) }, {}, signal);
    fill(body, h("bdi", null, traitText(text, marks, traits)));
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const [name] of marks) counts.set(name, (counts.get(name) ?? 0) + 1);
    fill(chips, traits.filter((/** @type {Json} */ one) => counts.has(one["difference"])).map((/** @type {Json} */ one) => h("span", { class: `chip ${one["direction"]}`,
      title: one["direction"] === "more" ? "shows it, as the user does" : "shows what the user does less than others" }, `${one["difference"].replaceAll("_", " ")} ×${counts.get(one["difference"])}`)));
  } catch { /* the text stays as it is */ }
}

/**
 * @param {HTMLElement} place
 * @param {string} text
 * @param {Person} person
 * @param {AbortSignal} signal
 */
async function likeness(place, text, person, signal) {
  if (!text.trim()) return;
  try {
    const score = await call("POST", "score", { user: person.user, text }, {}, signal);
    const unlike = score.departures.map((/** @type {Json} */ one) => one["phrase"]);
    fill(place, likenessMeter(score), unlike.length ? h("p", { class: "quiet small" }, `Unlike the user: ${unlike.join("; ")}.`) : null);
  } catch { /* no score: the text stands for itself */ }
}
