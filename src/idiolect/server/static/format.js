// Numbers, dates and methods as people read them.

import { METHODS } from "./methods.js";

/** @param {number} value */
export function amount(value) {
  const size = Math.abs(value);
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.95) return value.toFixed(1);
  if (size >= 0.995) return value.toFixed(1);
  return value === 0 ? "0" : value.toPrecision(2).replace(/\.?0+$/, "");
}

/** @param {number} value */
export function signed(value) {
  return `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(2)}`;
}

/** @param {number} value */
export function percent(value) {
  return `${Math.round(100 * value)}\u00a0%`;
}

/** @param {number} value */
export function count(value) {
  return value.toLocaleString("en-US");
}

/**
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** @param {number | null | undefined} seconds since 1970 */
export function day(seconds) {
  if (seconds === null || seconds === undefined) return "undated";
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "undated" : date.toISOString().slice(0, 10);
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}

/** Name and what it reads. @param {string} name @returns {[string, string]} */
export function method(name) {
  const of = METHODS[name];
  return of ? [of.title, of.reads] : [name, ""];
}

/** A line as a sentence: with a capital and a full stop. @param {string} text */
export function sentence(text) {
  return text ? `${text[0]?.toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}` : "";
}
