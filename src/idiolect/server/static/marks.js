// Text with the stretches that show a style marked.

import { call } from "./api.js";
import { fill, h } from "./dom.js";

/** @typedef {{difference: string, direction: string, phrase: string, state: string}} Trait */

/**
 * The parts of a text: each with the traits that it shows.
 * @param {string} text
 * @param {[string, number, number][]} marks in code points
 * @returns {{text: string, of: string[]}[]}
 */
export function parts(text, marks) {
  const points = [...text];
  const edges = [...new Set([0, points.length, ...marks.flatMap(([, start, end]) => [start, end])])].sort((a, b) => a - b);
  return edges.slice(0, -1).map((start, k) => {
    const end = /** @type {number} */ (edges[k + 1]);
    return { text: points.slice(start, end).join(""), of: [...new Set(marks.filter((one) => one[1] <= start && one[2] >= end).map((one) => one[0]))] };
  });
}

/**
 * A text whose marks arrive later; the text itself is there at once.
 * @param {string} text
 * @param {AbortSignal} signal
 * @param {string[]} differences
 * @param {string} direction
 */
export function markedText(text, signal, differences, direction) {
  const place = h("bdi", { class: "marked" }, text);
  call("POST", "marks", { text, differences }, {}, signal).then(({ marks }) => {
    fill(place, parts(text, marks).map((part) => part.of.length ? h("mark", { class: direction }, part.text) : part.text));
  }, () => { /* the text stays as it is */ });
  return place;
}

/**
 * A text with the marks of several traits, and how often each is shown.
 * @param {string} text
 * @param {[string, number, number][]} marks
 * @param {Trait[]} traits
 */
export function traitText(text, marks, traits) {
  const known = new Map(traits.map((one) => [one.difference, one]));
  return parts(text, marks).map((part) => {
    const shown = part.of.map((name) => known.get(name)).filter((one) => one !== undefined);
    if (!shown.length) return part.text;
    const active = shown.filter((one) => one.state === "active");
    const kind = !active.length ? "muted" : active.some((one) => one.direction === "more") ? "more" : "less";
    return h("mark", { class: kind, title: shown.map((one) => `${one.state === "active" ? "" : `${one.state}: `}${one.phrase}`).join("; "), "data-of": part.of.join(" ") }, part.text);
  });
}
