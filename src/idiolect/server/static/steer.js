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
  const details = h("details", { class: "steer" }, h("summary", null, "Turn parts of the voice up or down (DEP)"), sliders);
  let [width, asked] = [0, false];
  details.addEventListener("toggle", async () => {
    if (!details.open || asked) return;
    asked = true;
    try { width = await drawSliders(sliders, person, set); }
    catch (error) {
      asked = false;
      fill(sliders, h("p", { class: "quiet" }, said(error instanceof Error ? error.message : String(error))));
    }
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
  fill(place, h("p", { class: "quiet small" }, units.length
    ? "DEP writes from the user's difference, which has parts. These are the parts that are strong in this user; a computer found them, so each is named by the words and habits that go with it. Move a slider and press Write: the changed text stands beside the unchanged one."
    : "DEP writes from the user's difference, which has parts. This user stands out in none; the whole difference can be turned up or down."),
  slider("The whole difference", `all ${all.width} parts together`, (factor) => set("all", factor)),
  units.map((/** @type {Json} */ one) => slider([unitName(one), h("span", { class: "quiet small" }, ` (unit ${one["number"]})`)],
    [styles(one) && wordsOf(one).length ? `${styles(one)} · ` : null, h("a", { href: `#/units?unit=${one["number"]}` }, "more")],
    (factor) => set(String(one["number"]), factor))));
  return all.width;
}

/**
 * @param {import("./dom.js").Child} text
 * @param {import("./dom.js").Child} aside what goes with it
 * @param {(factor: number) => void} set
 */
function slider(text, aside, set) {
  const id = newId();
  const value = h("output", { for: id, class: "numbers small" }, "as it is");
  const input = h("input", { id, type: "range", min: 0, max: 3, step: 0.25, value: "1", "aria-valuetext": "as it is", oninput: () => {
    const factor = Number(input.value);
    value.textContent = factor === 0 ? "silent" : factor === 1 ? "as it is" : `×${factor}`;
    input.setAttribute("aria-valuetext", factor > 1 || (factor > 0 && factor < 1) ? `times ${factor}` : value.textContent);
    set(factor);
  } });
  return h("div", { class: "slider" }, h("label", { for: id }, text), value, input, h("p", { class: "quiet small" }, aside));
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

/** Words of a unit's label; it may be signs alone. @param {Json} one @returns {string[]} */
function wordsOf(one) {
  return one["label"].filter((/** @type {string} */ word) => /\p{L}/u.test(word));
}

/** The words of a unit's label, or the measures that it goes with if its label is signs alone. @param {Json} one */
function unitName(one) {
  const words = wordsOf(one).slice(0, 2);
  return words.length ? said(words.map((word) => `“${word}”`).join(" ")) : styles(one) || "without words of its own";
}

/** The measures of style that a unit goes with. @param {Json} one */
function styles(one) {
  return one["style"].slice(0, 2).map((/** @type {[string, number]} */ [name, rho]) => `${rho >= 0 ? "" : name.endsWith("s") ? "fewer " : "less "}${name.replaceAll("_", " ")}`).join(", ");
}
