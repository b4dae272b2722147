// Beside a user: whether they have changed over time, and who differs from others in a similar way.

import { get } from "./api.js";
import { timelineChart } from "./charts.js";
import { fill, h, said } from "./dom.js";
import { amount, day, plural, signed } from "./format.js";
import { to } from "./nav.js";
import { panel, part } from "./panel.js";

/** @typedef {import("./person.js").Person} Person */
/** @typedef {Record<string, any>} Json */

/**
 * @param {HTMLElement} place
 * @param {Person} person
 */
export async function drawHistory(place, { user, context }) {
  const { signal, overview } = context;
  const [time, near] = [h("div", { class: "stack" }, h("p", { class: "quiet" }, "Measuring …")), h("div", { class: "stack" }, h("p", { class: "quiet" }, "Comparing …"))];
  fill(place, panel("Over time", time), panel("Nearest people", near));
  void part(time, signal, async () => overTime(await get("drift", { user }, signal)));
  void part(near, signal, async () => neighbours((await get("nearest", { user, k: 5 }, signal)).nearest, overview["show_users"]));
}

/** Whether the style has changed, what was compared, and what the picture shows. @param {Json} drift */
function overTime({ changed, reason, windows, trends, p }) {
  if (changed === null) return h("p", null, `There is too little to tell whether the style has changed: ${reason}.`);
  const largest = Math.max(...windows.map((/** @type {Json} */ one) => one["distance"]));
  const out = windows.findIndex((/** @type {Json} */ one) => one["distance"] === largest);
  const [first, last] = [windows[0], windows[windows.length - 1]];
  const verdict = !changed ? "No change is seen: the user writes now as they did before."
    : windows.length === 2 ? `The style has changed: reviews since ${day(last["start"])} differ from those before.`
      : `The style has changed: reviews from ${day(windows[out]["start"])} to ${day(windows[out]["end"])} stand out most.`;
  const compared = windows.length === 2
    ? `Compared were the first ${first["n_reviews"]} reviews (from ${day(first["start"])}) and the last ${last["n_reviews"]} (from ${day(last["start"])}).`
    : `Compared were ${windows.length} stretches of about ${first["n_reviews"]} reviews each. A bar is how far a stretch lies from all others; bars of about the same height mean that none stands out.`;
  return [h("p", null, h("strong", null, verdict)), h("p", { class: "quiet" }, compared),
    windows.length > 2 ? timelineChart(windows, changed ? out : -1) : null,
    trends.length ? [h("p", null, "What rises or falls with time:"), h("ul", { class: "plain" }, trends.slice(0, 5).map((/** @type {Json} */ one) => h("li", null, `${one["measure"].replaceAll("_", " ")}: ${one["direction"] === "rises" ? "more" : "less"} and ${one["direction"] === "rises" ? "more" : "less"}`)))] : null,
    driftNumbers(p, windows.length, trends)];
}

/**
 * @param {number | null} p
 * @param {number} n
 * @param {Json[]} trends
 */
function driftNumbers(p, n, trends) {
  if (p === null) return null;
  const ranks = trends.slice(0, 5).map((one) => `${one["measure"].replaceAll("_", " ")} ${signed(one["correlation"])}`).join(", ");
  return h("details", { class: "small quiet" }, h("summary", null, "As statistics"),
    h("p", null, `Reviews in random order differ as much between ${plural(n, "stretch", "stretches")} in ${amount(100 * p)} % of trials (p = ${amount(p)}); below 5 % it is called a change.${ranks ? ` Rank correlation with time: ${ranks}.` : ""}`));
}

/**
 * @param {Json[]} nearest
 * @param {boolean} known not under pseudonyms, which have no page
 */
function neighbours(nearest, known) {
  if (!nearest.length) return h("p", { class: "quiet" }, "No other user can be compared.");
  return [h("p", { class: "quiet" }, "Who differs from others in the same ways, whatever they write about. What is said of both was seen in both, but is certain of at least one of the two only."),
    h("ul", { class: "near neighbours" }, nearest.map((one) => neighbour(one, known))),
    h("details", { class: "small quiet" }, h("summary", null, "As numbers"), neighbourNumbers(nearest))];
}

/** How alike two users are, in a word. @param {number} similarity cosine */
function alike(similarity) {
  return similarity >= 0.7 ? "very alike" : similarity >= 0.4 ? "alike" : similarity >= 0.1 ? "a little alike" : "hardly alike";
}

/**
 * Somebody similar: which differences both have, and where they are opposite.
 * @param {Json} one
 * @param {boolean} known not under a pseudonym
 */
function neighbour(one, known) {
  const name = () => said(one["user"]);
  return h("li", null, known ? h("a", { href: to("person", { user: one["user"] }) }, name()) : name(),
    h("span", { class: "alike quiet small" }, h("span", { class: "gauge", "aria-hidden": "true" }, h("span", { style: { width: `${100 * Math.max(0, one["similarity"])}%` } })), alike(one["similarity"])),
    h("ul", { class: "pairs small" }, one["shared"].map((/** @type {Json} */ pair) => h("li", null, "Both: ", pair["own_phrase"])),
      one["shared"].length ? null : h("li", { class: "quiet" }, "No single difference is clear in both: many small ones point the same way."),
      one["apart"].map((/** @type {Json} */ pair) => h("li", null, "Opposite: this user ", pair["own_phrase"], ", ", name(), " ", pair["other_phrase"]))));
}

/** @param {Json[]} nearest */
function neighbourNumbers(nearest) {
  const pairs = nearest.flatMap((one) => [...one["shared"], ...one["apart"]].map((pair) => [one, pair]));
  return [h("p", null, "Similarity is the cosine of two users' differences, from −1 to 1. A difference is given in standard deviations from others on the same items."),
    h("p", null, nearest.map((one, place) => [place ? ", " : "", said(one["user"]), ` ${one["similarity"].toFixed(2)}`]), "."),
    pairs.length ? h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Differences of both" }, h("table", { class: "pairnumbers" }, h("thead", null, h("tr", null, ["with", "measure", "this user", "the other"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", null, pairs.map(([one, pair]) => h("tr", null, h("td", null, said(one["user"])), h("td", null, pair["measure"].replaceAll("_", " ")), h("td", { class: "numbers" }, signed(pair["own"])), h("td", { class: "numbers" }, signed(pair["other"]))))))) : null];
}
