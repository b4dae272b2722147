// Units of an adapter's sparse code: what each stands for, how well that is known, and who has it.

import { get } from "./api.js";
import { button, fill, h, newId, said } from "./dom.js";
import { amount, count, percent, plural, signed } from "./format.js";
import { to } from "./nav.js";
import { ifAny, nothingYet } from "./panel.js";

/** @typedef {Record<string, any>} Json */

/** Of the table of units: name, and what it means. */
const COLUMNS = [["unit", ""], ["label", "words of its reviews, not of peers' on the same items"], ["found again", "how well the label finds its reviews (AUC), 0.5 is chance"],
  ["silenced", "change of soft prompts"], ["active", "share of reviews"], ["between users", "share of variance"], ["goes with", "measures of style that rise and fall with it (Spearman's correlation)"]];

/**
 * @param {HTMLElement} main
 * @param {import("./nav.js").Context} context
 */
export async function unitsPage(main, { params, signal, overview }) {
  fill(main, h("p", { class: "quiet pad" }, "Looking at all units …"));
  const number = params.get("unit");
  if (number !== null) return unitPage(main, Number(number), overview, signal);
  const found = await ifAny(get("units", {}, signal));
  if (!found) { nothingYet(main, "No units yet", "Units are shown by reviews in which they are active, and this store has too few."); return; }
  const idle = found.streams.every((/** @type {Json} */ one) => one.explained_variance <= 0);
  const table = unitTable(found);
  fill(main, h("h1", { class: "h2" }, "Units"),
    h("p", { class: "lead" }, "DEP puts a user's difference through a sparse code. Each of its units is a direction in which people differ; in one review, ", activity(found), "."),
    idle ? h("p", { class: "notice", role: "note" }, "This adapter explains nothing of these reviews: it was fitted to others. The table below says what its units do here, and little about your users.") : null,
    h("p", { class: "facts" }, `${plural(found.width, "unit")} on ${plural(found.reviews, "review")} by ${plural(found.users, "user")} · adapter `, h("code", null, said(found.adapter))),
    h("ul", { class: "streams" }, found.streams.map((/** @type {Json} */ one) => h("li", { class: "card" }, h("strong", null, one.stream === "his" ? "own vectors" : "differences to peers"),
      h("span", null, `${one.l0.toFixed(1)} units active per review`), h("span", null, one.explained_variance > 0 ? `${percent(one.explained_variance)} of the variance explained` : "nothing of these vectors explained"), h("span", { class: "quiet" }, `${one.dead} never active (dead), ${one.dense} active in most reviews (dense)`)))),
    idle ? h("details", { class: "fold card" }, h("summary", null, `All ${plural(found.width, "unit")}`), table) : table);
}

/** How many units are active in a review, by stream. @param {Json} found */
function activity({ streams, width }) {
  const least = Math.min(...streams.map((/** @type {Json} */ one) => one["l0"])).toFixed(0);
  const most = Math.max(...streams.map((/** @type {Json} */ one) => one["l0"])).toFixed(0);
  return `${least === most ? "" : `${least} to `}${most} of ${width} are active on average`;
}

/** @param {Json} found */
function unitTable(found) {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "All units" }, h("table", { class: "units stacked" },
      h("thead", null, h("tr", null, COLUMNS.map(([text, what]) => h("th", { scope: "col" }, text, h("span", { class: "way" }, what))))),
      h("tbody", null, found.units.map((/** @type {Json} */ one) => h("tr", null,
        h("th", { scope: "row" }, h("a", { href: to("units", { unit: String(one.number) }) }, String(one.number))),
        h("td", null, one.label ? labelOf(one.label) : h("span", { class: "quiet" }, "open it for a label")),
        numberOf(2, one.auc === null || one.auc === undefined ? "–" : `${one.auc.toFixed(2)}${one.auc_sd ? ` ± ${one.auc_sd.toFixed(2)}` : ""}`),
        [one.shift, one.active, one.user_share].map((share, k) => numberOf(3 + k, percent(share))), h("td", { class: "quiet whole", "data-label": COLUMNS[6]?.[0] }, styleOf(one.style)))))));
}

/** A cell of the table of units. @param {number} column @param {string} text */
function numberOf(column, text) {
  return h("td", { class: "numbers", "data-label": COLUMNS[column]?.[0] }, text);
}

/** @param {string[]} label */
function labelOf(label) {
  return label.length ? label.map((word) => [h("span", { class: "chip" }, said(word)), " "]) : h("span", { class: "quiet" }, "no word sets it apart");
}

/** @param {[string, number][]} style */
function styleOf(style) {
  return style.map(([name, rho]) => `${name.replaceAll("_", " ")} ${signed(rho)}`).join(", ");
}

/**
 * @param {HTMLElement} main
 * @param {number} number
 * @param {Json} overview
 * @param {AbortSignal} signal
 */
async function unitPage(main, number, overview, signal) {
  const one = await get("units/unit", { number }, signal);
  fill(main, h("nav", { class: "crumbs", "aria-label": "Where this is" }, h("a", { href: to("units") }, "Units"), " / "),
    h("h1", { class: "h2" }, `Unit ${number}`), h("p", { class: "lead" }, labelOf(one.label)),
    h("p", { class: "facts" }, one.auc === null ? `The label is not tested: there are ${one.pairs} pairs of other users' texts.` : `How well the label finds its reviews among other users': ${one.auc.toFixed(2)} on ${plural(one.pairs, "same-item pair")} (AUC; 0.5 is chance, 1 is always right).`),
    h("dl", { class: "scorelist card" }, [["active", percent(one.active), "of the reviews"], ["silenced", percent(one.shift), "change of the soft prompts"], ["between users", percent(one.user_share), "of its variance"], ["between items", percent(one.item_share), "of its variance"],
      ["where strong", `${one.contrast >= 0 ? "+" : ""}${one.contrast.toFixed(1)} SD`, "above peers on the same item"]].map(([name, value, what]) => h("div", null, h("dt", null, name), h("dd", null, h("strong", null, value), ` ${what}`)))),
    one.style.length ? h("p", null, "Goes with: ", styleOf(one.style), ".") : null,
    h("p", { class: "row" }, h("a", { class: "button ghost", href: to("map", { colour: `unit:${number}` }) }, "Colour the map by it")),
    one.have.length && overview["show_users"] ? silencing(number, one.have.map((/** @type {Json} */ who) => who.user), signal) : null,
    h("div", { class: "columns" }, h("section", null, h("h2", null, "Top reviews, beside a peer's on the same item"),
      one.top.length ? h("ul", { class: "tops" }, one.top.map((/** @type {Json} */ top) => h("li", { class: "card" }, h("p", { class: "row between" }, personLink(top.user, overview["show_users"]), h("span", { class: "quiet" }, said(top.item_title || top.item))),
        top.text === undefined ? null : h("p", { class: "text" }, said(top.text)),
        h("p", { class: "quiet small" }, `code ${amount(top.code)}${top.peers_mean === null ? "" : `, peers ${amount(top.peers_mean)}`}`),
        top.peer_text ? h("p", { class: "text other" }, said(top.peer_text), h("span", { class: "small" }, ` (a peer, code ${amount(top.peer_code)})`)) : null))) : h("p", { class: "quiet" }, "It is active in no review."),
      overview["show_peers"] ? null : h("p", { class: "quiet small" }, "Texts of several users are not shown on this server (show_peers).")),
    h("section", null, h("h2", null, "Who has it"), h("ol", { class: "near" }, one.have.map((/** @type {Json} */ who) => h("li", null, personLink(who.user, overview["show_users"]), h("span", { class: "numbers" }, who.code.toFixed(2))))),
      h("p", { class: "quiet small" }, `Mean code over a user's reviews, the ${count(one.have.length)} highest. To silence or boost it, open somebody: Hear the voice, Turn parts of the voice up or down.`))));
}

/**
 * What a user's reviews lose without the unit, which the model has to be asked for.
 * @param {number} number
 * @param {string[]} users
 * @param {AbortSignal} signal
 */
function silencing(number, users, signal) {
  const id = newId();
  const choice = h("select", { id }, users.map((user) => h("option", { value: user }, user)));
  const answer = h("div", { class: "stack", role: "status" });
  const start = button("Measure", { class: "ghost", onclick: async () => {
    start.disabled = true;
    fill(answer, h("p", { class: "writing" }, "The model reads their reviews, with and without the unit …"));
    try { fill(answer, effect(await get("units/effect", { user: choice.value, number }, signal))); }
    catch (error) { if (!signal.aborted) fill(answer, h("p", { class: "error" }, said(error instanceof Error ? error.message : String(error)))); }
    start.disabled = false;
  } });
  return h("section", { class: "card stack silencing" }, h("h2", null, "When it is silenced"),
    h("p", { class: "quiet" }, "How much less likely the model finds somebody's own reviews without this unit, each from their other reviews."),
    h("div", { class: "row" }, h("label", { for: id }, "Whose reviews"), choice, start), answer);
}

/** @param {Json} found */
function effect(found) {
  const none = found.lost.every((/** @type {number} */ nats) => Math.abs(nats) < 1e-6);
  const unsure = found.low === null || (found.low <= 0 && found.high >= 0);
  const most = Math.max(...found.lost.map(Math.abs), 1e-9);
  return [
    h("p", null, none ? h("strong", null, "Nothing changes: the unit is active in none of these prompts.") : [h("strong", null, unsure ? "No clear effect" : found.mean > 0 ? "The reviews become less likely" : "The reviews become more likely"),
      `: ${signed(found.mean)} nats per review${found.low === null ? "" : `, interval ${signed(found.low)} to ${signed(found.high)}`}, on ${plural(found.reviews, "review")} of `, said(found.user), "."]),
    none ? null : h("ol", { class: "losses", "aria-label": "Nats lost per review" }, found.lost.map((/** @type {number} */ nats) => h("li", { class: nats > 0 ? "more" : "less" },
      h("span", { class: "bar", style: { width: `${(50 * Math.abs(nats)) / most}%`, left: nats > 0 ? "50%" : `${50 - (50 * Math.abs(nats)) / most}%` } }), h("span", { class: "numbers small" }, signed(nats))))),
    h("p", { class: "quiet small" }, "Above 0: the unit helps to predict what they wrote. A nat is a factor of 2.7 in likelihood."),
  ];
}

/** A user under a pseudonym has no page. @param {string} user @param {boolean} known */
function personLink(user, known) {
  return known ? h("a", { href: to("person", { user }) }, said(user)) : said(user);
}
