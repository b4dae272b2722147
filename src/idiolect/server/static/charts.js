// Small pictures of numbers, as SVG with a text that says the same.

import { h, svg } from "./dom.js";
import { amount, day, percent, plural, signed } from "./format.js";

const REACH = 2.5;

/**
 * The place of a value on an axis from -REACH to REACH, 0 to 100.
 * @param {number} value
 */
function place(value) {
  return 50 + (50 * Math.max(-REACH, Math.min(REACH, value))) / REACH;
}

const BELL = (() => {
  const points = [];
  for (let z = -REACH; z <= REACH + 1e-9; z += 0.1) points.push(`${place(z).toFixed(2)},${(28 - 24 * Math.exp(-z * z / 2)).toFixed(2)}`);
  return `M0,28L${points.join("L")}L100,28Z`;
})();

/**
 * A difference against the spread of others on the same items: the bell is others, the mark is the user.
 * @param {{effect: number, low: number, high: number}} one
 */
export function effectChart(one) {
  const way = one.effect > 0 ? "more" : "less";
  const text = `${signed(one.effect)} standard deviations from others, interval ${signed(one.low)} to ${signed(one.high)}`;
  return h("div", { class: `effect ${way}`, role: "img", "aria-label": text },
    svg("svg", { viewBox: "0 0 100 28", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path", { d: BELL, class: "bell" })),
    h("span", { class: "zero" }),
    h("span", { class: "whisker", style: { left: `${place(one.low)}%`, width: `${Math.max(place(one.high) - place(one.low), 0.5)}%` } }),
    h("span", { class: "user", style: { left: `${place(one.effect)}%` } }));
}

/**
 * All measures of a user, by category: what is claimed stands out.
 * @param {{measure: string, category: string, more: string, less: string, effect: number, low: number, high: number, claimed: boolean, state: string}[]} measures
 * @param {(measure: string) => void} choose
 */
export function voiceprint(measures, choose) {
  const groups = [...new Set(measures.map((one) => one.category))];
  return h("div", { class: "voiceprint" },
    h("div", { class: "scale", "aria-hidden": "true" }, h("span", null, "less"), h("span", null, "as others"), h("span", null, "more")),
    groups.map((group) => h("div", { class: "group" }, h("h3", null, group),
      h("ul", null, measures.filter((one) => one.category === group).map((one) => {
        const way = one.effect > 0 ? "more" : "less";
        const name = one.measure.replaceAll("_", " ");
        const bar = [h("span", { class: "whisker", style: { left: `${place(one.low)}%`, width: `${place(one.high) - place(one.low)}%` } }),
          h("span", { class: "user", style: { left: `${place(one.effect)}%` } })];
        const hidden = one.claimed && one.state !== "active";
        const title = `${name}: ${signed(one.effect)} SD [${signed(one.low)}, ${signed(one.high)}]${hidden ? `, ${one.state}` : one.claimed ? "" : ", not claimed"}`;
        return h("li", null, h("button", {
          type: "button", class: `${way} ${hidden ? "hushed" : one.claimed ? "claimed" : ""}`, title, "aria-label": `${title}. Show evidence`, onclick: () => choose(one.measure),
        }, h("span", { class: "name" }, name), h("span", { class: "track" }, bar)));
      })))));
}

/**
 * The user's value per item beside the others' mean.
 * @param {number} own
 * @param {number} others
 * @param {number} low end of the axis
 * @param {number} high
 */
export function pairChart(own, others, low, high) {
  const at = (/** @type {number} */ value) => 2 + (96 * (value - low)) / Math.max(high - low, 1e-9);
  const [a, b] = [at(others), at(own)];
  return svg("svg", { class: `pair ${own > others ? "more" : own < others ? "less" : ""}`, viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { x1: 0, x2: 100, y1: 6, y2: 6, class: "axis" }),
    svg("line", { x1: a, x2: b, y1: 6, y2: 6, class: "gap" }),
    svg("line", { x1: a, x2: a, y1: 1, y2: 11, class: "others" }),
    svg("line", { x1: b, x2: b, y1: 0, y2: 12, class: "own" }));
}

/**
 * How far each stretch of a user's reviews lies from the rest.
 * @param {{start: number, end: number, n_reviews: number, distance: number}[]} windows
 * @param {number} standsOut the stretch that differs most; -1: none does
 */
export function timelineChart(windows, standsOut) {
  const most = Math.max(...windows.map((one) => one.distance), 1e-9);
  return h("ol", { class: "timeline" }, windows.map((one, place) => h("li", { class: place === standsOut ? "out" : "" },
    h("span", { class: "bar", style: { height: `${Math.max(6, (100 * one.distance) / most)}%` }, title: `distance ${amount(one.distance)}` }),
    h("span", { class: "quiet" }, day(one.start)), h("span", { class: "sr" }, `${plural(one.n_reviews, "review")}, distance ${amount(one.distance)} from the rest`))));
}

/**
 * How like the user a text is: how many of others' texts, and of the user's own, are less so.
 * @param {{likeness: number | null, reason: string, low: number, high: number, floor: number, ceiling: number, above_others: number, above_own: number, n_own: number, n_others: number}} score
 */
export function likenessMeter(score) {
  if (score.likeness === null) return h("p", { class: "quiet small" }, `How much it sounds like the user cannot be said: ${score.reason}.`);
  const [value, low, high] = [score.likeness, score.low, score.high].map((one) => Math.round(100 * one));
  const words = `more like the user than ${percent(score.above_others)} of others' texts and ${percent(score.above_own)} of the user's own`;
  /** @param {number} at @param {string} name */
  const tick = (at, name) => h("span", { class: `tick ${name}`, style: { left: `${100 * at}%` } });
  return h("div", { class: "meter" },
    h("p", null, h("strong", null, verdict(score)), `: ${words}.`),
    h("div", { class: "bar", role: "meter", "aria-label": "Sounds like the user", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": value, "aria-valuetext": `${value} of 100, 95 % interval ${low} to ${high}: ${words}` },
      h("span", { class: "fill", style: { width: `${value}%` } }), tick(score.floor, "floor"), tick(score.ceiling, "ceiling"),
      h("span", { class: "interval", style: { left: `${low}%`, width: `${Number(high) - Number(low)}%` } })),
    h("div", { class: "ends quiet small", "aria-hidden": "true" },
      h("span", { style: { left: `${100 * score.floor}%` } }, "others"), h("span", { style: { left: `${100 * score.ceiling}%` } }, "their own")),
    h("details", { class: "small" }, h("summary", { class: "quiet" }, `${value} of 100, interval ${low} to ${high}`),
      h("p", { class: "quiet" }, `Measured style, not content: the mean of the two shares, compared with ${plural(score.n_own, "text")} of the user and ${plural(score.n_others, "text")} of others about the same items. A text of somebody else gets ${Math.round(100 * score.floor)} on average, one of the user ${Math.round(100 * score.ceiling)}. The line is a 95 % interval.`)));
}

/** @param {{likeness: number | null, low: number, high: number, floor: number, ceiling: number}} score */
function verdict({ likeness, low, high, floor, ceiling }) {
  if (low >= (floor + ceiling) / 2) return "Sounds like the user";
  if (high <= (floor + ceiling) / 2) return "Sounds like others";
  return Number(likeness) >= (floor + ceiling) / 2 ? "Leans to the user" : "Leans to others";
}
