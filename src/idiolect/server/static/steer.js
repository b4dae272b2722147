// Sliders for units of DEP's code: parts of a user's difference that are silenced or boosted.

import { get } from "./api.js";
import { fill, h, newId, said } from "./dom.js";

/** @typedef {import("./person.js").Person} Person */
/** @typedef {Record<string, any>} Json */

/**
 * Those in which the user stands out, and all of them together.
 * @param {Person} person
 * @param {() => void} changed
 */
export function steer(person, changed) {
  /** @type {Map<string, number>} */
  const factors = new Map();
  const set = (/** @type {string} */ name, /** @type {number} */ factor) => {
    if (factor === 1) factors.delete(name); else factors.set(name, factor);
    changed();
  };
  const sliders = h("div", { class: "sliders" }, h("p", { class: "quiet" }, "Looking …"));
  const details = h("details", { class: "steer" }, h("summary", null, "Steer DEP: silence or boost parts of the difference"), sliders);
  let width = 0;
  details.addEventListener("toggle", async () => {
    if (!details.open || width) return;
    try { width = await drawSliders(sliders, person, set); }
    catch (error) { fill(sliders, h("p", { class: "quiet" }, said(error instanceof Error ? error.message : String(error)))); }
  });
  return { root: details, factors: () => everyFactor(factors, width) };
}

/**
 * @param {HTMLElement} place
 * @param {Person} person
 * @param {(name: string, factor: number) => void} set
 * @returns {Promise<number>} how many units there are
 */
async function drawSliders(place, person, set) {
  const { signal } = person.context;
  const [{ units }, all] = await Promise.all([get("units/user", { user: person.user }, signal), get("units", {}, signal)]);
  fill(place, slider("The whole difference", `all ${all.width} units of the code`, (factor) => set("all", factor)),
    units.map((/** @type {Json} */ one) => slider(unitName(one),
      [h("a", { href: `#/units?unit=${one["number"]}` }, "about this unit"), styles(one) ? ` · goes with ${styles(one)}` : null],
      (factor) => set(String(one["number"]), factor))),
    h("p", { class: "quiet small" }, units.length ? "Units in which this user stands out. A steered text stands beside the one that is not." : "This user stands out in no unit."));
  return all.width;
}

/**
 * @param {string} text
 * @param {import("./dom.js").Child} aside
 * @param {(factor: number) => void} set
 */
function slider(text, aside, set) {
  const id = newId();
  const value = h("output", { for: id, class: "numbers" }, "×1");
  const input = h("input", { id, type: "range", min: 0, max: 3, step: 0.25, value: "1", "aria-valuetext": "as it is", oninput: () => {
    const factor = Number(input.value);
    value.textContent = factor === 0 ? "silent" : `×${factor}`;
    input.setAttribute("aria-valuetext", factor === 0 ? "silent" : factor === 1 ? "as it is" : `times ${factor}`);
    set(factor);
  } });
  return h("div", null, h("div", null, h("label", { for: id }, said(text)), h("p", { class: "quiet small" }, aside)), input, value);
}

/**
 * The factor of every unit, that of the whole difference included.
 * @param {Map<string, number>} factors
 * @param {number} width
 * @returns {Record<string, number>}
 */
function everyFactor(factors, width) {
  const whole = factors.get("all") ?? 1;
  /** @type {Record<string, number>} */
  const found = whole === 1 ? {} : Object.fromEntries(Array.from({ length: width }, (_, k) => [String(k), whole]));
  for (const [name, value] of factors) if (name !== "all") found[name] = value * whole;
  return found;
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
