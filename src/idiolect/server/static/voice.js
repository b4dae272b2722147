// One text: written piece by piece, marked, and scored; beside it, what it was before.

import { ApiError, call, chat } from "./api.js";
import { likenessMeter } from "./charts.js";
import { fill, h, said } from "./dom.js";
import { count, duration, method } from "./format.js";
import { traitText } from "./marks.js";
import { METHODS } from "./methods.js";

/** @typedef {import("./person.js").Person} Person */
/** @typedef {Record<string, any>} Json */

const SLOW_MS = 4000;
/** Whether a text has come since the page was opened: the model is loaded. */
let loaded = false;

/**
 * What is written, and for what.
 * @typedef {object} Asked
 * @property {string} item
 * @property {number} [rating]
 * @property {string} title
 * @property {Record<string, number>} [units] of DEP's code
 * @property {boolean} [corrections] false: the user's corrections do not count
 */

/**
 * How a text is written.
 * @typedef {object} Telling
 * @property {Person} person
 * @property {AbortSignal} signal
 * @property {Map<string, string>} before texts of the last time
 * @property {string} why it is written again; empty if it is not
 * @property {boolean} corrected that is because of a correction
 * @property {boolean} bare also without the user's corrections, as what was before
 * @property {[string, string]} labels of the text before and of the one after
 * @property {(name: string, score: number) => void} scored hears of a method's likeness
 */

/** What a written text is and how it came about. @typedef {{text: string, about: Json}} Written */

/**
 * One method's text: written, marked, scored; if it was written before, beside what it was.
 * @param {string} name
 * @param {Asked} asked
 * @param {Telling} telling
 */
export function voice(name, asked, telling) {
  const [title, reads] = method(name);
  const [label, what] = asked.units ? [`${title}, steered`, "units silenced or boosted"] : [title, reads && `reads ${reads}`];
  const card = voiceCard(label, what);
  void speak(card, name, asked, telling);
  return card.root;
}

/**
 * The card of a text.
 * @typedef {object} VoiceCard
 * @property {HTMLElement} root
 * @property {TextPart} now
 * @property {HTMLElement} place holds the text, or what it was and what it is
 * @property {HTMLElement} again says whether it has changed
 * @property {HTMLElement} meter
 * @property {HTMLElement} foot
 */

/**
 * @param {string} label
 * @param {string} what
 * @returns {VoiceCard}
 */
function voiceCard(label, what) {
  const now = textPart();
  const place = h("div", { class: "written" }, now.root);
  const again = h("p", { class: "again", hidden: true });
  const [meter, foot] = [h("div", null), h("footer", { class: "quiet small" })];
  const root = h("article", { class: "voice" }, h("header", null, h("h3", null, label), h("span", { class: "quiet" }, what)), again, place, meter, foot);
  return { root, now, place, again, meter, foot };
}

/**
 * @param {VoiceCard} card
 * @param {string} name
 * @param {Asked} asked
 * @param {Telling} telling
 */
async function speak(card, name, asked, telling) {
  const { person, signal, before, why, bare } = telling;
  const kept = asked.units ? `${name} steered` : name;
  const started = performance.now();
  // Two texts will stand here: room for both is made at once.
  if (bare || (why && before.has(kept) && (!telling.corrected || knowsUser(name)))) card.root.classList.add("wide");
  try {
    const old = bare ? await bareText(card, name, asked, telling) : before.get(kept);
    const found = await streamed(card.now, name, asked, person, signal);
    before.set(kept, found.text);
    fill(card.foot, ...footnotes(found.about, performance.now() - started));
    const was = (why || bare) && old !== undefined ? compare(card, old, found.text, name, telling) : undefined;
    const [is, score] = await Promise.all([decorate(card.now, found.text, person, signal), likeness(card.meter, found.text, person, signal)]);
    if (typeof score === "number" && !asked.units) telling.scored(name, score);
    const risen = rises(person, await was, is);
    if (risen.length && telling.corrected) fill(card.again, `${card.again.textContent} ${risen.join(" ")}`);
  } catch (error) {
    if (!signal.aborted) fill(card.now.body, h("span", { class: "error" }, said(error instanceof Error ? error.message : String(error))));
  } finally { card.now.body.setAttribute("aria-busy", "false"); }
}

/**
 * What is muted and yet shown more often than before, in words.
 * @param {Person} person
 * @param {Map<string, number> | undefined} was how often the text before shows each trait
 * @param {Map<string, number> | undefined} is
 * @returns {string[]}
 */
function rises(person, was, is) {
  if (!was || !is) return [];
  const more = person.card["differences"].filter((/** @type {Json} */ one) => one["state"] !== "active" && (is.get(one["difference"]) ?? 0) > (was.get(one["difference"]) ?? 0));
  return more.map((/** @type {Json} */ { state, difference }) => `It shows what is ${state} (${difference.replaceAll("_", " ")}) more often than before, ${is.get(difference)} times instead of ${was.get(difference) ?? 0}: the method was not told of it, but nothing forbids the model to write it.`);
}

/**
 * The text without the user's corrections, which streams in a place of its own.
 * @param {VoiceCard} card
 * @param {string} name
 * @param {Asked} asked
 * @param {Telling} telling
 */
async function bareText(card, name, asked, { person, signal, labels }) {
  const without = textPart();
  const holder = h("div", null, h("h4", null, labels[0]), without.root);
  card.place.prepend(holder);
  try {
    return (await streamed(without, name, { ...asked, corrections: false }, person, signal)).text;
  } finally { holder.remove(); }
}

/**
 * @param {TextPart} part
 * @param {string} name
 * @param {Asked} asked
 * @param {Person} person
 * @param {AbortSignal} signal
 * @returns {Promise<Written>}
 */
async function streamed(part, name, asked, person, signal) {
  const slow = setTimeout(() => fill(part.body, h("span", { class: "writing" }, loaded ? "writing … The model is busy." : "writing … The model is loaded at the first text, which can take a minute.")), SLOW_MS);
  try {
    const found = await written(name, asked, person, signal, (text) => { clearTimeout(slow); loaded = true; fill(part.body, said(text), h("span", { class: "caret", "aria-hidden": "true" })); });
    fill(part.body, found.text ? said(found.text) : h("span", { class: "quiet" }, "(nothing was written)"));
    return found;
  } finally { clearTimeout(slow); }
}

/**
 * A text of the chat route, piece by piece.
 * @param {string} name
 * @param {Asked} asked
 * @param {Person} person
 * @param {AbortSignal} signal
 * @param {(text: string) => void} show
 * @returns {Promise<Written>}
 */
async function written(name, asked, person, signal, show) {
  const whose = METHODS[name]?.history === false ? "a review" : "this person's review";
  let text = "";
  const about = await chat({
    model: `idiolect/${name}`, stream: true, stream_options: { include_usage: true },
    messages: [{ role: "user", content: `Write ${whose} of what is described above. Answer with the review only.` }],
    idiolect: { user: person.user, ...asked },
  }, (piece) => { text += piece; show(text); }, signal);
  if (!text) throw new ApiError(502, "The model wrote nothing.");
  return { text: text.trim(), about };
}

/**
 * @param {Json} about
 * @param {number} took milliseconds
 */
function footnotes({ cost, notes, evidence, finish }, took) {
  const price = cost?.price ? ` · price ${cost.price}` : "";
  const tokens = cost ? `${count(cost.prompt_tokens)} + ${count(cost.completion_tokens)} tokens${price} · ` : "";
  const others = (notes ?? []).filter((/** @type {string} */ one) => !/^(written by the toy|1 of 1 texts were cut off)/.test(one));
  const cut = finish === "length" ? ["The text was cut off at the longest length that this server writes."] : [];
  return [h("p", null, tokens, duration(took), evidence?.length ? ` · from ${evidence.length} of their reviews` : ""),
    [...cut, ...others].map((one) => h("p", { class: "note" }, said(one)))];
}

/**
 * What the text was beside what it is, or that nothing has changed.
 * @param {VoiceCard} card
 * @param {string} old
 * @param {string} text
 * @param {string} name
 * @param {Telling} telling
 * @returns {Promise<Map<string, number> | undefined> | undefined} how often the old text shows each trait
 */
function compare(card, old, text, name, { person, signal, corrected, labels }) {
  card.again.hidden = false;
  if (old.trim() === text.trim()) { fill(card.again, corrected ? `The text is unchanged: ${unmoved(name)}` : "The text is unchanged."); return undefined; }
  fill(card.again, "The text has changed.");
  const then = textPart();
  fill(then.body, said(old));
  then.body.setAttribute("aria-busy", "false");
  const meter = h("div", null);
  fill(card.place, h("div", { class: "stack" }, h("h4", null, labels[0]), then.root, meter), h("div", { class: "stack" }, h("h4", null, labels[1]), card.now.root, card.meter));
  card.root.classList.add("wide");
  void likeness(meter, old, person, signal);
  return decorate(then, old, person, signal);
}

/** @param {string} name */
function unmoved(name) {
  return knowsUser(name) ? "the model wrote the same without the difference." : "it knows nothing of the user.";
}

/** Whether a method reads anything of the user, so that what is muted counts. @param {string} name */
export function knowsUser(name) {
  return METHODS[name]?.history !== false;
}

/** A text that is being written, and what is found in it. @typedef {{body: HTMLElement, chips: HTMLElement, root: HTMLElement}} TextPart */

/** @returns {TextPart} */
function textPart() {
  const body = h("p", { class: "text", "aria-live": "polite", "aria-busy": "true" }, h("span", { class: "writing" }, "writing …"));
  const chips = h("p", { class: "chips" });
  return { body, chips, root: h("div", { class: "textpart" }, body, chips) };
}

/**
 * What the user wrote themselves, as soon as it is read; nothing if they wrote nothing about the item.
 * @param {Promise<Json | undefined>} review
 * @param {Person} person
 * @param {AbortSignal} signal
 */
export function ownCard(review, person, signal) {
  const [body, chips] = [h("p", { class: "text" }), h("p", { class: "chips" })];
  const meter = h("div", null);
  const root = h("article", { class: "voice own", hidden: true }, h("header", null, h("h3", null, "The user's own text"), h("span", { class: "quiet" }, "hidden from the methods")), body, chips, meter);
  review.then((found) => {
    if (!found) { root.remove(); return; }
    fill(body, said(found["text"]));
    root.hidden = false;
    void decorate({ body, chips }, found["text"], person, signal);
    void likeness(meter, found["text"], person, signal);
  }, (error) => {
    if (signal.aborted) return;
    fill(body, h("span", { class: "error" }, said(error instanceof Error ? error.message : String(error))));
    root.hidden = false;
  });
  return root;
}

/**
 * Mark the user's traits in a text and count them; muted ones, too, as such.
 * @param {{body: HTMLElement, chips: HTMLElement}} part
 * @param {string} text
 * @param {Person} person
 * @param {AbortSignal} signal
 * @returns {Promise<Map<string, number> | undefined>} how often the text shows each trait
 */
async function decorate({ body, chips }, text, person, signal) {
  const traits = person.card["differences"];
  if (!traits.length || !text.trim()) return undefined;
  try {
    const { marks } = await call("POST", "marks", { text, differences: traits.map((/** @type {Json} */ one) => one["difference"]) }, {}, signal);
    fill(body, h("bdi", null, traitText(text, marks, traits)));
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const [name] of marks) counts.set(name, (counts.get(name) ?? 0) + 1);
    fill(chips, traitChips(traits, counts));
    return counts;
  } catch { return undefined; /* the text stays as it is */ }
}

/**
 * How often each trait is shown; a muted one even if it is not.
 * @param {Json[]} traits
 * @param {Map<string, number>} counts
 */
function traitChips(traits, counts) {
  const muted = (/** @type {Json} */ one) => one["state"] !== "active";
  return traits.filter((one) => counts.has(one["difference"]) || muted(one)).map((one) => h("span", {
    class: `chip ${muted(one) ? "muted" : one["direction"]}`,
    title: muted(one) ? "muted or corrected by the user" : one["direction"] === "more" ? "shows it, as the user does" : "shows what the user does less than others",
  }, `${muted(one) ? `${one["state"]}: ` : ""}${one["difference"].replaceAll("_", " ")} ×${counts.get(one["difference"]) ?? 0}`));
}

/**
 * @param {HTMLElement} place
 * @param {string} text
 * @param {Person} person
 * @param {AbortSignal} signal
 * @returns {Promise<number | null | undefined>}
 */
async function likeness(place, text, person, signal) {
  if (!text.trim()) return undefined;
  try {
    const score = await call("POST", "score", { user: person.user, text }, {}, signal);
    const unlike = score.departures.map((/** @type {Json} */ one) => one["phrase"]);
    const muted = person.card["differences"].some((/** @type {Json} */ one) => one["state"] !== "active");
    fill(place, likenessMeter(score), unlike.length ? h("p", { class: "quiet small" }, `Unlike the user: ${unlike.join("; ")}.`) : null,
      muted ? h("p", { class: "quiet small" }, "What is muted or corrected does not count here.") : null);
    return score["likeness"];
  } catch { return undefined; /* no score: the text stands for itself */ }
}
