// What is claimed of a user, each claim with its evidence; what they say about it; all measures.

import { call, get } from "./api.js";
import { effectChart, pairChart, voiceprint } from "./charts.js";
import { ask, button, failed, fill, h, message, newId, said, toast } from "./dom.js";
import { amount, count, percent, plural, sentence, signed } from "./format.js";
import { markedText } from "./marks.js";
import { note } from "./nav.js";
import { calm, panel } from "./panel.js";

/** @typedef {import("./person.js").Person} Person */
/** @typedef {Record<string, any>} Json */

/**
 * @param {HTMLElement} place
 * @param {Person} person
 */
export function drawDifferences(place, person) {
  const { card } = person;
  const open = new Set([...place.querySelectorAll("[data-difference][data-open]")].map((one) => one.getAttribute("data-difference")));
  const active = card.differences;
  const own = card.corrections.filter((/** @type {Json} */ one) => one.text);
  fill(place,
    h("h2", null, active.length ? "Compared with others on the same items, this user …" : "Nothing is claimed"),
    active.length ? null : abstention(card),
    own.length ? h("div", { class: "card ownwords" }, h("h3", null, "In the user's own words"), own.map((/** @type {Json} */ one) => h("p", null, said(one.text, "quote")))) : null,
    active.length ? h("p", { class: "legend small quiet" }, h("span", { class: "key bell" }, "others' reviews of the same item"), h("span", null, h("span", { class: "dot", "aria-hidden": "true" }), "this user; the line is how far off that could be")) : null,
    h("ol", { class: "claims" }, active.map((/** @type {Json} */ one) => claim(one, person))),
    recurring(card),
    card.left_out ? h("p", { class: "quiet" }, sentence(card.left_out)) : null,
    rejected(card),
    h("details", { class: "method" }, h("summary", null, "How this is measured"), h("p", null, sentence(card.method))));
  for (const name of open) place.querySelector(`[data-difference="${CSS.escape(name ?? "")}"] .toggle`)?.dispatchEvent(new MouseEvent("click"));
}

/** Phrases that the user repeats: counted, not tested. @param {Json} card */
function recurring(card) {
  if (!card.recurring.length) return null;
  return h("div", { class: "card recurring" }, h("h3", null, "Repeats"),
    h("ul", null, card.recurring.map((/** @type {Json} */ one) => h("li", null, `${sentence(one.sentence).slice(0, -1)} `, said(one.text, "quote"),
      h("span", { class: "quiet small" }, ` ${one.n} of ${one.of} reviews, and ${one.others} of ${count(one.of_others)} by others on the same items`)))));
}

/** @param {Json} card */
function abstention(card) {
  const { counts } = card;
  return h("div", { class: "card stack" },
    h("p", null, sentence(card.verdict)),
    h("p", { class: "quiet" }, counts.items
      ? `${plural(counts.measures, "measure")} of style were tested on ${plural(counts.items, "item")}. What is seen could be chance, so that nothing is said of the user rather than something untrue.`
      : "A difference needs items that others wrote about, too. Add reviews, or look at somebody else."));
}

/**
 * @param {Json} one
 * @param {Person} person
 */
function claim(one, person) {
  const way = one.direction;
  const state = one.state;
  const rests = h("div", { class: "rests" });
  const evidence = h("div", { class: "evidence", hidden: true }, sureness(one), rests);
  const toggle = button("", { class: "ghost small toggle" });
  const name = (/** @type {boolean} */ open) => {
    toggle.textContent = open ? "Hide evidence" : "Evidence";
    toggle.setAttribute("aria-expanded", String(open));
    toggle.setAttribute("aria-label", `${toggle.textContent}: ${one.phrase}`);
  };
  name(false);
  const root = h("li", { class: `claim ${way} ${state}`, "data-difference": one.difference },
    h("div", { class: "row between top" }, h("h3", null, one.phrase), h("span", { class: "row" }, state === "active" ? null : h("span", { class: "tag state" }, state), h("span", { class: "tag" }, one.category))),
    effectChart(/** @type {any} */ (one)),
    h("p", { class: "figures" }, figures(one)),
    one.quotes.map((/** @type {Json} */ quote) => h("blockquote", null, markedText(quote.text, person.context.signal, [one.difference], way))),
    state === "active" ? null : h("p", { class: "state" }, state === "muted" ? "Muted: every method leaves it out. It is in no profile, is taken out of the vectors, and past texts without it are preferred." : "Corrected by the user: it is left out, and methods that read words get the user's own instead."),
    h("div", { class: "row" }, toggle, ...corrections(one, person)),
    evidence);
  toggle.addEventListener("click", () => {
    const open = root.toggleAttribute("data-open");
    evidence.hidden = !open;
    name(open);
    note({ difference: open ? one.difference : undefined });
    if (open && !rests.childElementCount) void showEvidence(rests, one, person);
  });
  return root;
}

/** What was found, in plain words. @param {Json} one */
function figures(one) {
  const often = /^(\S+) times as often as others on the same /.exec(one.figures);
  const much = often ? [h("strong", null, `${often[1]}×`), ` as often as others on the same items`] : sentence(one.figures).slice(0, -1);
  return [much, `. Holds on ${one.support === one.n_items ? `all ${count(one.n_items)}` : `${one.support} of ${count(one.n_items)}`} items.`,
    counted(one) ? ` Found in ${percent(one.own_showing)} of this user's reviews and in ${percent(one.others_showing)} of others'.` : ""];
}

/** @param {Json} one */
function counted(one) {
  return /^(per |% of (sentences|texts))/.test(one.unit) && !["tone", "british_spelling"].includes(one.difference);
}

/** How sure a claim is, in plain words, and the same as statistics. @param {Json} one */
function sureness(one) {
  const p = one.p < 0.001 ? "p < 0.001" : `p = ${one.p.toFixed(3)}`;
  const false_ = one.p < 0.001 ? "fewer than 1 in 1,000" : `at most ${one.p < 0.01 ? `${Math.ceil(1000 * one.p)} in 1,000` : `${Math.ceil(100 * one.p)} in 100`}`;
  return [h("p", { class: "small" }, `On average ${amount(one.own)} ${one.unit}; others ${amount(one.others)}. Of claims as sure as this one, ${false_} are expected to be chance.`),
    h("details", { class: "small quiet" }, h("summary", null, "As statistics"),
      h("p", null, `Effect ${signed(one.effect)} standard deviations of reviews of one item, interval ${signed(one.low)} to ${signed(one.high)}; ${p} after correction for all measures.`))];
}

/**
 * @param {Json} one
 * @param {Person} person
 */
function corrections(one, person) {
  if (!person.context.overview["scopes"].includes("write")) return [];
  const path = `differences/${one.difference.split("/").map(encodeURIComponent).join("/")}`;
  /** @param {"PUT" | "DELETE"} method @param {unknown} body @param {string} done @param {[string, string]} labels of texts before and after */
  const change = async (method, body, done, labels) => {
    try {
      await call(method, path, body, { user: person.user });
      await person.reload();
      toast(done);
      person.writing.again(done, true, labels);
    } catch (error) { failed(error); }
  };
  if (one.state !== "active") {
    const named = person.card["corrections"].some((/** @type {Json} */ c) => c.difference === one.difference);
    return named ? [button("Undo", { class: "ghost small", "aria-label": `Undo: ${one.phrase}`, onclick: () => void change("DELETE", undefined, `“${one.phrase}” is claimed again.`, ["Before", "After undoing"]) }),
      button("Compare texts with and without", { class: "ghost small", "aria-label": `Compare texts with and without: ${one.phrase}`, onclick: () => person.writing.compare() })]
      : [h("span", { class: "quiet small" }, "hidden together with another difference of the same kind")];
  }
  return [
    button("Mute", { class: "ghost small", "aria-label": `Mute: ${one.phrase}`, onclick: () => void change("PUT", { state: "muted" }, `“${one.phrase}” is muted. Texts are written without it from now on.`, ["Before muting", "After muting"]) }),
    button("Correct", { class: "ghost small", "aria-label": `Correct: ${one.phrase}`, onclick: async () => {
      const id = newId();
      const field = h("textarea", { id, rows: 3, maxlength: 500, placeholder: "What this user does instead" });
      const sure = await ask({ title: "What is true instead?", confirm: "Put it in place",
        body: [h("p", null, "In place of: ", h("em", null, one.phrase)), h("label", { for: id }, "In the user's own words"), field], ready: () => field.value.trim() !== "" });
      if (sure) await change("PUT", { state: "corrected", text: field.value.trim() }, `“${one.phrase}” is corrected.`, ["Before the correction", "After it"]);
    } }),
  ];
}

/**
 * @param {HTMLElement} place
 * @param {Json} one
 * @param {Person} person
 */
async function showEvidence(place, one, person) {
  const { signal } = person.context;
  fill(place, h("p", { class: "quiet" }, "Measuring …"));
  try {
    const found = await get("evidence", { user: person.user, difference: one.difference }, signal);
    const values = found.items.flatMap((/** @type {Json} */ item) => [item.own, item.others]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const least = person.context.overview["min_peers"];
    const sign = one.direction === "less" ? -1 : 1;
    const items = found.items.toSorted((/** @type {Json} */ a, /** @type {Json} */ b) => sign * (b.own - b.others - a.own + a.others));
    fill(place,
      h("h4", null, "Item by item, the clearest first"),
      h("p", { class: "legend small" }, h("span", { class: "key own" }, "this user"), h("span", { class: "key others" }, "average of others"), h("span", { class: "quiet" }, `${found.unit}${least > 1 ? ` · items that at least ${least} others wrote about` : ""}`)),
      h("ul", { class: "items" }, items.map((/** @type {Json} */ item) => evidenceItem(item, one, low, high, person))));
  } catch (error) { if (!signal.aborted) fill(place, h("p", { class: "error" }, said(message(error)))); }
}

/**
 * @param {Json} item
 * @param {Json} one
 * @param {number} low
 * @param {number} high
 * @param {Person} person
 */
function evidenceItem(item, one, low, high, person) {
  const total = item.above + item.below + item.equal;
  const body = h("div", { class: "compare" });
  const details = h("details", null,
    h("summary", null, said(item.title || item.item, "title"), pairChart(item.own, item.others, low, high),
      h("span", { class: "numbers" }, `${amount(item.own)}, others ${amount(item.others)}`),
      h("span", { class: "quiet tally" }, `of ${plural(total, "other")}: ${item.below} less, ${item.equal} equal, ${item.above} more`)),
    body);
  details.addEventListener("toggle", () => {
    if (!details.open || body.childElementCount) return;
    const peers = /** @type {string[] | undefined} */ (item.peer_texts);
    fill(body,
      h("div", null, h("h4", null, "The user wrote"), h("p", { class: "text" }, markedText(item.text, person.context.signal, [one.difference], one.direction))),
      h("div", null, h("h4", null, `${plural(total, "other")} on the same item`),
        h("p", { class: "quiet" }, `${item.below} do it less, ${item.equal} the same, ${item.above} more; ${amount(item.others)} on average.`),
        peers ? peers.map((text) => h("p", { class: "text other" }, markedText(text, person.context.signal, [one.difference], one.direction)))
          : h("p", { class: "quiet small" }, "Others' texts are not shown on this server.")));
  });
  return h("li", null, details);
}

/** @param {Json} card */
function rejected(card) {
  if (!card.rejected.length) return null;
  return h("details", { class: "rejected" }, h("summary", null, `Not claimed: ${plural(card.rejected.length, "difference")} that looked real and did not hold`),
    h("ul", null, card.rejected.map((/** @type {Json} */ one) => h("li", null, h("span", null, one.phrase), h("span", { class: "quiet" }, ` ${one.reason}${one.detail ? `: ${one.detail}` : ""}`)))));
}

/**
 * All measures, claimed or not; those that nobody here shows are named only.
 * @param {HTMLElement} place
 * @param {Person} person
 * @param {HTMLElement} differences
 */
export function drawVoiceprint(place, person, differences) {
  /** @type {Json[]} */
  const measures = person.card["measures"];
  place.hidden = !measures.length;
  if (place.hidden) return;
  const states = new Map(person.card["differences"].map((/** @type {Json} */ one) => [one["difference"], one["state"]]));
  const seen = measures.filter((one) => one["effect"] !== 0 || one["high"] > one["low"]);
  const absent = measures.filter((one) => !seen.includes(one)).map((one) => one["measure"].replaceAll("_", " "));
  const detail = h("div", { class: "evidence" });
  const chart = voiceprint(/** @type {any} */ (seen.map((one) => ({ ...one, state: states.get(one["measure"]) ?? "active" }))), (name) => {
    const claimed = differences.querySelector(`[data-difference="${CSS.escape(name)}"]`);
    if (claimed) openClaim(claimed); else showUnclaimed(detail, seen, name, person);
  });
  fill(place, panel("Voiceprint", [
    h("p", { class: "quiet" }, `How this user writes, on ${seen.length} measures of style: left, less than others; right, more. The line says how far off that could be. Coloured is what is claimed; the rest could be chance.${[...states.values()].some((one) => one !== "active") ? " Struck through is what the user muted or corrected." : ""}`),
    chart,
    absent.length ? h("p", { class: "quiet small" }, `In none of these reviews, nor in others': ${absent.join(", ")}.`) : null, detail], place.querySelector("details")?.open));
}

/** @param {Element} claimed */
function openClaim(claimed) {
  claimed.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "center" });
  if (!claimed.hasAttribute("data-open")) claimed.querySelector(".toggle")?.dispatchEvent(new MouseEvent("click"));
}

/**
 * @param {HTMLElement} place
 * @param {Json[]} measures
 * @param {string} name
 * @param {Person} person
 */
function showUnclaimed(place, measures, name, person) {
  const of = measures.find((one) => one["measure"] === name);
  if (!of) return;
  const direction = of["effect"] > 0 ? "more" : "less";
  const holder = h("div", null);
  fill(place, h("h3", null, `${name.replaceAll("_", " ")}: ${of[direction]}?`), h("p", { class: "quiet" }, "Not claimed: this could be chance, or is too small to matter."), holder);
  void showEvidence(holder, { difference: name, direction }, person);
  place.scrollIntoView({ block: "nearest" });
}
