// Voices side by side: an item, a rating, a title; several methods, and what the user wrote themselves.

import { ApiError, call, chat, get } from "./api.js";
import { likenessMeter } from "./charts.js";
import { fill, h, newId, said } from "./dom.js";
import { count, duration, method } from "./format.js";
import { traitText } from "./marks.js";
import { METHODS } from "./methods.js";
import { note } from "./nav.js";
import { combobox } from "./search.js";

/** @typedef {import("./person.js").Person} Person */
/** @typedef {Record<string, any>} Json */

/** Methods that write from a profile in words, of which a person can mute parts. */
const IN_WORDS = Object.keys(METHODS).filter((one) => METHODS[one]?.profile);

/**
 * @typedef {object} Writing
 * @property {(why: string, corrected: boolean) => void} again writes again because something changed, a correction or not, if something was written
 * @property {() => void} compare writes without the user's corrections and with them
 */

/**
 * What is written, and for what.
 * @typedef {object} Asked
 * @property {string} item
 * @property {number} [rating]
 * @property {string} title
 * @property {Record<string, number>} [units]
 */

/**
 * @param {HTMLElement} place
 * @param {Person} person
 * @returns {Writing}
 */
export function writingPanel(place, person) {
  const { context, user } = person;
  const { params, overview, signal } = context;
  const known = overview["methods"].map((/** @type {Json} */ one) => one["name"]);
  /** @type {{methods: string[], item: string, own: Json | undefined, texts: Map<string, string>, written: string, running: AbortController}} */
  const state = {
    methods: (params.get("methods") ?? overview["first_methods"].join(",")).split(",").filter((/** @type {string} */ name) => known.includes(name)),
    item: params.get("item") ?? "", own: undefined, texts: new Map(), written: "", running: new AbortController(),
  };
  const [rating, title] = [newId(), newId()];
  const fields = {
    rating: h("input", { id: rating, type: "number", min: 0, max: 100, step: "any", value: params.get("rating") ?? "" }),
    title: h("input", { id: title, maxlength: 2000, value: params.get("title") ?? "" }),
  };
  const itemBox = combobox({
    id: newId(), label: "Item", class: "item", value: state.item, free: true, named: true, placeholder: "What to write about", none: "no item of this name",
    find: async (text, asked) => (await items(person, text, asked)),
    choose: (choice) => { name(choice); void setItem(choice.value); },
  });
  /** What the box shows, which is a title where there is one; typed by hand it is an id. */
  const named = { text: state.item, value: state.item };
  const name = (/** @type {{text: string, value: string}} */ choice) => { Object.assign(named, { text: choice.text, value: choice.value }); itemBox.show(choice.text); };
  const typed = () => (itemBox.input.value.trim() === named.text ? named.value : itemBox.input.value.trim());
  const news = h("p", { class: "news", role: "status" });
  const outputs = h("div", { class: "voices" });
  const steering = overview["units"] && known.includes(overview["units"]) ? steer(person, () => mark()) : null;
  const boxes = new Map(known.map((/** @type {string} */ one) => [one, h("input", { type: "checkbox", checked: state.methods.includes(one), onchange: (/** @type {Event} */ event) => {
    const { checked } = /** @type {HTMLInputElement} */ (event.target);
    state.methods = checked ? [...state.methods, one] : state.methods.filter((other) => other !== one);
    mark();
  } })]));
  /** @returns {Asked} */
  const asked = () => ({ item: state.item, ...(fields.rating.value ? { rating: Number(fields.rating.value) } : {}), title: fields.title.value });
  const wanted = () => JSON.stringify([typed(), fields.rating.value, fields.title.value, [...state.methods].sort(), steering?.factors() ?? {}]);
  /** The texts are of what was asked for when they were written. */
  const mark = () => {
    const old = state.written !== "" && state.written !== wanted();
    outputs.classList.toggle("stale", old);
    fill(news, old ? "The texts below are of what was chosen before. Press Write for new ones." : "");
  };
  const setItem = async (/** @type {string} */ item, keep = false) => {
    const changed = item !== state.item;
    state.item = item;
    if (changed) {  // the texts are of another item: nothing of them stays
      state.running.abort();
      state.texts.clear();
      state.written = "";
      fill(outputs);
    }
    state.own = item ? (await ownReview(user, item, signal)) : undefined;
    if (state.item !== item) return;
    if (!keep) {
      fields.rating.value = state.own ? String(state.own["rating"] ?? "") : fields.rating.value;
      fields.title.value = state.own?.["title"] ?? "";
    }
    mark();
  };
  /** @param {string} why @param {{corrected?: boolean, bare?: boolean}} [how] because of a correction; also without the user's corrections */
  const run = (why, { corrected = false, bare = false } = {}) => {
    if (!state.item) { itemBox.input.focus(); return; }
    note({ item: state.item, rating: fields.rating.value, title: fields.title.value, methods: state.methods.join(",") });
    state.running.abort();
    state.running = new AbortController();
    state.written = wanted();
    const both = AbortSignal.any([state.running.signal, signal]);
    const units = steering?.factors() ?? {};
    const shared = { person, signal: both, before: state.texts };
    fill(outputs, state.own ? ownCard(state.own, person, both) : null,
      state.methods.map((one) => voice(one, asked(), { ...shared, why, corrected, bare: bare && IN_WORDS.includes(one) })),
      Object.keys(units).length ? voice(overview["units"], { ...asked(), units }, { ...shared, why, corrected, bare: false }) : null);
    outputs.classList.remove("stale");
    fill(news, why);
  };
  const compare = () => {
    const best = [overview["best_in_words"], ...IN_WORDS].find((one) => known.includes(one));
    if (best && !state.methods.some((one) => IN_WORDS.includes(one))) {
      state.methods = [...state.methods, best];
      const box = boxes.get(best);
      if (box) box.checked = true;
    }
    place.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
    run("Written without this user's corrections, and with them.", { corrected: true, bare: true });
  };
  for (const field of [fields.rating, fields.title]) field.addEventListener("input", mark);
  fill(place, h("div", { class: "row between" }, h("h2", null, "Hear the voice"), overview["toy"] ? h("p", { class: "quiet small toy" }, "A toy model writes here: it knows made-up reviews only.") : null),
    h("form", { class: "compose card", onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (typed() !== state.item) await setItem(typed());
      run("");
    } },
    h("div", { class: "fields" }, h("div", { class: "wide" }, h("label", { for: itemBox.input.id }, "Item"), itemBox.root),
      h("div", null, h("label", { for: rating }, "Rating"), fields.rating), h("div", { class: "wide" }, h("label", { for: title }, "Title"), fields.title)),
    h("fieldset", null, h("legend", null, "Methods"), h("div", { class: "row" }, [...boxes].map(([one, box]) => methodChoice(one, box)))),
    steering?.root ?? null,
    h("div", { class: "row" }, h("button", { class: "primary" }, "Write"), h("span", { class: "quiet small" }, "Marked: words and signs that this user writes ", h("mark", { class: "more" }, "more"), " or ", h("mark", { class: "less" }, "less"), " than others."))),
    news, outputs);
  const ready = (async () => {
    if (!state.item) {
      const mine = await items(person, "", signal).catch(() => []);
      const first = mine[0];
      if (first) name(first);
      await setItem(first?.value ?? "").catch(() => {});
    } else await setItem(state.item, Boolean(params.get("rating"))).catch(() => {});
    if (state.own?.["item_title"]) name({ text: state.own["item_title"], value: state.item });
    else if (state.item) await titleOf(state.item, signal).then((text) => { if (text) name({ text, value: state.item }); }, () => {});
    if (params.get("item") && params.get("methods")) run("");
  })();
  return { again: (why, corrected) => { if (state.written) run(why, { corrected }); }, compare: () => void ready.then(compare) };
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
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
 * Sliders for units of DEP's code: those in which the user stands out, and all of them together.
 * @param {Person} person
 * @param {() => void} changed
 */
function steer(person, changed) {
  /** @type {Map<string, number>} */
  const factors = new Map();
  const sliders = h("div", { class: "sliders" }, h("p", { class: "quiet" }, "Looking …"));
  const details = h("details", { class: "steer" }, h("summary", null, "Steer DEP: silence or boost parts of the difference"), sliders);
  let width = 0;
  /** @param {string} name @param {string} text @param {import("./dom.js").Child} [aside] */
  const slider = (name, text, aside) => {
    const id = newId();
    const value = h("output", { for: id, class: "numbers" }, "×1");
    const input = h("input", { id, type: "range", min: 0, max: 3, step: 0.25, value: "1", "aria-valuetext": "as it is", oninput: () => {
      const factor = Number(input.value);
      value.textContent = factor === 0 ? "silent" : `×${factor}`;
      input.setAttribute("aria-valuetext", factor === 0 ? "silent" : factor === 1 ? "as it is" : `times ${factor}`);
      if (factor === 1) factors.delete(name); else factors.set(name, factor);
      changed();
    } });
    return h("div", null, h("div", null, h("label", { for: id }, said(text)), aside ? h("p", { class: "quiet small" }, aside) : null), input, value);
  };
  details.addEventListener("toggle", async () => {
    if (!details.open || width) return;
    try {
      const [{ units }, all] = await Promise.all([get("units/user", { user: person.user }, person.context.signal), get("units", {}, person.context.signal)]);
      width = all.width;
      fill(sliders, slider("all", "The whole difference", `all ${width} units of the code`), units.map((/** @type {Json} */ one) => slider(String(one["number"]), unitName(one),
        [h("a", { href: `#/units?unit=${one["number"]}` }, "about this unit"), styles(one) ? ` · goes with ${styles(one)}` : null])),
      h("p", { class: "quiet small" }, units.length ? "Units in which this user stands out. A steered text stands beside the one that is not." : "This user stands out in no unit."));
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

/** The words of a unit's label, or the measures that it goes with if its label is signs alone; and its number. @param {Json} one */
function unitName(one) {
  const words = one["label"].filter((/** @type {string} */ word) => /\p{L}/u.test(word)).slice(0, 3).join(", ");
  return `${words ? `“${words}”` : styles(one) || "without words of its own"} (unit ${one["number"]})`;
}

/** The measures of style that a unit goes with. @param {Json} one */
function styles(one) {
  return one["style"].slice(0, 2).map((/** @type {[string, number]} */ [name, rho]) => `${rho < 0 ? "fewer " : ""}${name.replaceAll("_", " ")}`).join(", ");
}

/**
 * @param {string} name
 * @param {HTMLInputElement} box
 */
function methodChoice(name, box) {
  const [label, what] = method(name);
  return h("label", { class: "pill", title: what }, box, h("span", null, label), h("span", { class: "quiet small" }, what));
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
 * How a text is written.
 * @typedef {object} Telling
 * @property {Person} person
 * @property {AbortSignal} signal
 * @property {Map<string, string>} before texts of the last time
 * @property {string} why it is written again; empty if it is not
 * @property {boolean} corrected that is because of a correction
 * @property {boolean} bare also without the user's corrections, as what was before
 */

/**
 * One method's text: written, marked, scored; if it was written before, beside what it was.
 * @param {string} name
 * @param {Asked} asked
 * @param {Telling} telling
 */
function voice(name, asked, { person, signal, before, why, corrected, bare }) {
  const [label, what] = asked.units ? [`${method(name)[0]}, steered`, "units silenced or boosted"] : method(name);
  const kept = asked.units ? `${name} steered` : name;
  const now = textPart();
  const place = h("div", { class: "written" }, now.root);
  const [meter, foot, again] = [h("div", null), h("footer", { class: "quiet small" }), h("p", { class: "again", hidden: true })];
  const root = h("article", { class: "voice" }, h("header", null, h("h3", null, label), h("span", { class: "quiet" }, what)), again, place, meter, foot);
  /** @param {string} old @param {string} text */
  const compared = (old, text) => {
    again.hidden = false;
    if (old.trim() === text.trim()) { fill(again, corrected ? `The text is unchanged: ${unmoved(name)}` : "The text is unchanged."); return; }
    fill(again, "The text has changed.");
    const then = textPart();
    fill(then.body, said(old));
    then.body.setAttribute("aria-busy", "false");
    fill(place, h("div", null, h("h4", null, "Before"), then.root), h("div", null, h("h4", null, "After"), now.root));
    root.classList.add("wide");
    void decorate(then.body, then.chips, old, person, signal);
  };
  void (async () => {
    const slow = setTimeout(() => fill(now.body, h("span", { class: "writing" }, "writing … The model is loaded at the first text, which can take a minute.")), 4000);
    const started = performance.now();
    try {
      const without = bare ? (await written(name, { ...asked, corrections: false }, person, signal, () => {}))["text"] : undefined;
      const found = await written(name, asked, person, signal, (text) => { clearTimeout(slow); fill(now.body, said(text), h("span", { class: "caret", "aria-hidden": "true" })); });
      clearTimeout(slow);
      const took = performance.now() - started;
      const old = without ?? before.get(kept);
      before.set(kept, found["text"]);
      fill(now.body, found["text"].trim() ? said(found["text"]) : h("span", { class: "quiet" }, "(nothing was written)"));
      const { cost, notes, evidence } = found["idiolect"];
      const price = cost?.price ? ` · price ${cost.price}` : "";
      fill(foot, h("p", null, cost ? `${count(cost.prompt_tokens)} + ${count(cost.completion_tokens)} tokens${price} · ` : "", duration(took), evidence?.length ? ` · from ${evidence.length} of their reviews` : ""),
        (notes ?? []).filter((/** @type {string} */ one) => !one.startsWith("written by the toy")).map((/** @type {string} */ one) => h("p", { class: "note" }, said(one.replace(/^1 of 1 texts were cut off at the token limit.*$/, "The text was cut off at the longest length that this server writes.")))));
      if ((why || bare) && old !== undefined) compared(old, found["text"]);
      await Promise.all([decorate(now.body, now.chips, found["text"], person, signal), likeness(meter, found["text"], person, signal)]);
    } catch (error) {
      clearTimeout(slow);
      if (signal.aborted) return;
      fill(now.body, h("span", { class: "error" }, said(error instanceof Error ? error.message : String(error))));
    } finally { now.body.setAttribute("aria-busy", "false"); }
  })();
  return root;
}

/** A text that is being written, and what is found in it. */
function textPart() {
  const body = h("p", { class: "text", "aria-live": "polite", "aria-busy": "true" }, h("span", { class: "writing" }, "writing …"));
  const chips = h("p", { class: "chips" });
  return { body, chips, root: h("div", { class: "textpart" }, body, chips) };
}

/** @param {string} name */
function unmoved(name) {
  const of = METHODS[name];
  if (of && !of.history) return "it knows nothing of the user.";
  if (of && !of.adapter && !of.profile) return "it reads past reviews, not differences.";
  return of?.adapter ? `its vectors have no part for a single difference. These methods write from differences in words: ${IN_WORDS.map((one) => method(one)[0]).join(", ")}.` : "the model wrote the same without the difference.";
}

/**
 * @param {string} name
 * @param {Asked & {corrections?: boolean}} asked
 * @param {Person} person
 * @param {AbortSignal} signal
 * @param {(text: string) => void} show
 * @returns {Promise<Json>}
 */
async function written(name, asked, person, signal, show) {
  const of = person.context.overview["methods"].find((/** @type {Json} */ one) => one["name"] === name);
  if (asked.units || asked.corrections === false || !of?.["streams"] || METHODS[name]?.history === false) return call("POST", "write", { user: person.user, method: name, ...asked }, {}, signal);
  let text = "";
  const content = "Write this person's review of what is described above. Answer with the review only.";
  const about = await chat({ model: `idiolect/${name}`, stream: true, stream_options: { include_usage: true },
    messages: [{ role: "user", content }], idiolect: { user: person.user, ...asked } }, (piece) => { text += piece; show(text); }, signal);
  if (!text) throw new ApiError(502, "The model wrote nothing.");
  return { text: text.trim(), idiolect: about };
}

/**
 * Mark the user's traits in a text and count them; muted ones, too, as such.
 * @param {HTMLElement} body
 * @param {HTMLElement} chips
 * @param {string} text
 * @param {Person} person
 * @param {AbortSignal} signal
 */
async function decorate(body, chips, text, person, signal) {
  const traits = person.card["differences"];
  if (!traits.length || !text.trim()) return;
  try {
    const { marks } = await call("POST", "marks", { text, differences: traits.map((/** @type {Json} */ one) => one["difference"]) }, {}, signal);
    fill(body, h("bdi", null, traitText(text, marks, traits)));
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const [name] of marks) counts.set(name, (counts.get(name) ?? 0) + 1);
    const muted = (/** @type {Json} */ one) => one["state"] !== "active";
    fill(chips, traits.filter((/** @type {Json} */ one) => counts.has(one["difference"]) || muted(one)).map((/** @type {Json} */ one) => h("span", { class: `chip ${muted(one) ? "muted" : one["direction"]}`,
      title: muted(one) ? "muted or corrected by the user" : one["direction"] === "more" ? "shows it, as the user does" : "shows what the user does less than others" },
    `${muted(one) ? `${one["state"]}: ` : ""}${one["difference"].replaceAll("_", " ")} ×${counts.get(one["difference"]) ?? 0}`)));
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
