// All users in difference space: a picture, a histogram and a table of the same people.

import { column, get, newest, raw } from "./api.js";
import { button, failed, fill, h, newId, said, svg } from "./dom.js";
import { amount, count, percent, plural, signed } from "./format.js";
import { note, to } from "./nav.js";
import { ifAny, nothingYet } from "./panel.js";
import { scatter } from "./scatter.js";
import { combobox } from "./search.js";

/** @typedef {Record<string, any>} Json */
const ROWS = 100;
const BINS = 48;
/** State of a point that is near the chosen one; see scatter.js. */
const NEAR = 1.25;

/**
 * @param {HTMLElement} main
 * @param {import("./nav.js").Context} context
 */
export async function mapPage(main, { params, signal }) {
  fill(main, h("p", { class: "quiet pad" }, "Placing everybody …"));
  const made = await ifAny(Promise.all([get("map", {}, signal), column("map/columns", { name: "x" }, signal),
    column("map/columns", { name: "y" }, signal), column("map/columns", { name: "items" }, signal)]));
  if (!made || made[0].users.length < 3) { nothingYet(main, "No map yet", "A map needs at least three users who wrote about items that others wrote about, too."); return; }
  const [about, x, y, items] = made;
  /** @type {string[]} */
  const users = about.users;
  const { measures } = about;
  const first = about.axes[0]?.measures[0]?.[0] ?? measures[0].name;
  const state = { colour: params.get("colour") ?? first, values: new Float32Array(users.length), selected: /** @type {Set<number>} */ (new Set()), ringed: users.indexOf(params.get("user") ?? ""), near: /** @type {number[]} */ ([]) };
  const canvas = h("canvas", { tabindex: 0, role: "img", "aria-label": `Map of ${count(users.length)} users. Arrow keys move it, plus and minus zoom, zero resets. The table beside it has the same users.` });
  const tip = h("div", { class: "tip", hidden: true });
  const line = svg("polyline", { class: "lasso" });
  const [histogram, table, picked] = [h("div", { class: "histogram" }), h("div", { class: "maptable" }), h("p", { class: "quiet small", role: "status" })];
  const chart = scatter(canvas, {
    hover: (row) => showTip(row), choose: (row) => ring(row, false), lasso: (rows) => select(rows),
  });
  const states = new Float32Array(users.length);
  const paintStates = () => {
    states.fill(state.selected.size ? 0 : 1);
    for (const row of state.selected) states[row] = 1;
    for (const row of state.near) states[row] = NEAR;
    if (state.ringed >= 0) states[state.ringed] = 2;
    chart.setStates(states);
  };
  const showTip = (/** @type {number} */ row) => {
    tip.hidden = row < 0;
    canvas.classList.toggle("over", row >= 0);
    if (row < 0) return;
    const [left, top] = chart.screen(row);
    fill(tip, said(users[row] ?? "", "name"), h("span", null, `${label(state.colour)} ${state.colour === "items" ? count(items[row] ?? 0) : `${signed(state.values[row] ?? 0)} SD`}`), h("span", { class: "quiet" }, plural(items[row] ?? 0, "compared item")));
    tip.style.left = `${Math.min(left, canvas.clientWidth - 190)}px`;
    tip.style.top = `${top + 14}px`;
  };
  const ring = (/** @type {number} */ row, /** @type {boolean} */ move) => {
    state.ringed = row;
    state.near = [];
    paintStates();
    if (row < 0) return;
    if (move) chart.lookAt(row);
    note({ user: users[row] });
    void neighbours(users[row] ?? "");
  };
  const near = h("section", { class: "nearest" });
  const neighbours = async (/** @type {string} */ user) => {
    try {
      const { nearest } = await get("nearest", { user, k: 6 }, signal);
      if (user !== users[state.ringed]) return;  // another was chosen meanwhile
      state.near = nearest.map((/** @type {Json} */ one) => users.indexOf(one["user"])).filter((/** @type {number} */ row) => row >= 0);
      paintStates();
      fill(near, h("h2", null, "Nearest to ", h("a", { href: to("person", { user }) }, said(user))), h("p", { class: "quiet small" }, "How alike their differences are (cosine, 1: the same), and what both do. They have a ring on the map."),
        h("ul", { class: "near" }, nearest.map((/** @type {Json} */ one) => h("li", null, button("", { class: "link", onclick: () => ring(users.indexOf(one["user"]), true) }), h("span", { class: "numbers" }, one["similarity"].toFixed(2)),
          h("span", { class: "quiet" }, one["shared"].map((/** @type {Json} */ s) => s["own_phrase"]).join(", "))))));
      near.querySelectorAll("button.link").forEach((one, k) => one.append(said(nearest[k].user)));
    } catch { if (user === users[state.ringed]) fill(near); }
  };
  const select = (/** @type {number[]} */ rows) => {
    state.selected = new Set(rows);
    paintStates();
    drawHistogram();
    drawTable();
  };
  const drawHistogram = () => { fill(histogram, histogramChart(state.values, state.selected, state.colour === "items", (rows) => select(rows))); };
  const drawTable = () => {
    const rows = state.selected.size ? [...state.selected] : users.map((_, row) => row);
    rows.sort((a, b) => (state.values[b] ?? 0) - (state.values[a] ?? 0));
    picked.textContent = state.selected.size ? `${plural(rows.length, "user")} chosen (${percent(rows.length / users.length)})` : plural(users.length, "user");
    fill(table, h("table", null, h("thead", null, h("tr", null, h("th", { scope: "col" }, "user"), h("th", { scope: "col" }, label(state.colour)), h("th", { scope: "col" }, "items"))),
      h("tbody", null, rows.slice(0, ROWS).map((row) => h("tr", null, h("td", null, h("a", { href: to("person", { user: users[row] }) }, said(users[row] ?? ""))),
        h("td", { class: "numbers" }, state.colour === "items" ? "" : signed(state.values[row] ?? 0)), h("td", { class: "numbers" }, count(items[row] ?? 0)))))),
    rows.length > ROWS ? h("p", { class: "quiet small" }, `The first ${ROWS} of ${count(rows.length)}, by ${label(state.colour)}.`) : null);
  };
  const [caption, spread] = [h("p", { class: "quiet small" }), h("h2", null)];
  const unit = /^unit:\d+$/.test(state.colour) ? state.colour : "";
  const asks = { colour: newest(signal), x: newest(signal), y: newest(signal) };
  const recolour = async (/** @type {string} */ name) => {
    const asked = asks.colour();
    state.values = name === "items" ? items : await column("map/columns", { name }, asked);
    state.colour = name;
    note({ colour: name });
    chart.setValues(normal(state.values, name === "items"));
    const of = measures.find((/** @type {Json} */ one) => one["name"] === name);
    fill(caption, of ? [h("span", { class: "key less" }, of["less"]), h("span", { class: "key more" }, of["more"])] : [h("span", { class: "key more" }, name === unit ? `more of ${label(unit)}` : "more compared items")]);
    spread.textContent = `Users by ${label(name)}`;
    drawHistogram();
    drawTable();
  };
  const axes = async (/** @type {"x" | "y"} */ axis, /** @type {string} */ name) => {
    const asked = asks[axis]();
    places[axis] = name === "shape" ? { x, y }[axis] : await column("map/columns", { name }, asked);
    chart.setPlaces(places);
    overall[axis] = name === "shape";
    share.hidden = !overall.x || !overall.y;
  };
  const overall = { x: true, y: true };
  const share = h("span", null, ` · the axes show ${percent(about.axes[0].explained + about.axes[1].explained)} of what they differ in`);
  const places = { x, y };
  const search = combobox({
    id: newId(), label: "Find on the map", placeholder: "A user …", named: true,
    find: async (text) => {
      const small = text.toLowerCase();
      const found = [];
      for (let row = 0; row < users.length && found.length < 8; row += 1) if (users[row]?.toLowerCase().includes(small)) found.push({ value: users[row] ?? "", text: users[row] ?? "", aside: "" });
      return found;
    },
    choose: (choice) => { search.input.value = choice.value; ring(users.indexOf(choice.value), true); },
  });
  const hint = h("p", { class: "quiet small", role: "status", hidden: true }, "Drag around a group to choose it.");
  const lasso = button("Lasso", { class: "ghost small", "aria-pressed": "false", onclick: () => {
    const on = lasso.getAttribute("aria-pressed") !== "true";
    lasso.setAttribute("aria-pressed", String(on));
    chart.setLasso(on);
    hint.hidden = !on;
  } });
  canvas.addEventListener("lasso", (event) => line.setAttribute("points", /** @type {CustomEvent<[number, number][]>} */ (event).detail.map((one) => one.join(",")).join(" ")));
  fill(main, h("div", { class: "row between" }, h("h1", { class: "h2" }, "Everybody, by how they differ"), h("p", { class: "quiet small" }, plural(users.length, "user"), share)),
    h("div", { class: "maptools" }, picker("Colour", measures, state.colour, (name) => void recolour(name).catch(failed), [...(unit ? [/** @type {[string, string]} */ ([unit, label(unit)])] : []), ["items", "compared items"]]),
      picker("Across", measures, "shape", (name) => void axes("x", name).catch(failed), [["shape", axisName(about.axes[0])]]),
      picker("Up", measures, "shape", (name) => void axes("y", name).catch(failed), [["shape", axisName(about.axes[1])]]),
      h("div", null, h("label", { for: search.input.id }, "Find on the map"), search.root),
      h("div", { class: "row" }, lasso, button("Show all", { class: "ghost small", onclick: () => { chart.reset(); select([]); } }),
        button("Download table (Parquet)", { class: "ghost small", title: "Everything on this map as a Parquet file, for other tools", onclick: () => void save() }))),
    h("div", { class: "mapgrid" }, h("div", null, h("div", { class: "mapcanvas card" }, canvas, svg("svg", { class: "over", "aria-hidden": "true" }, line), tip), hint, caption, near),
      h("aside", null, h("div", null, spread, histogram), h("div", null, picked, table))));
  chart.setPlaces(places);
  paintStates();
  await recolour(unit || measures.some((/** @type {Json} */ one) => one["name"] === state.colour) ? state.colour : "items");
  if (state.ringed >= 0) ring(state.ringed, users.length > 1000);
  const again = () => chart.themed();
  window.addEventListener("themechange", again, { signal });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again, { signal });
  const observer = new ResizeObserver(() => chart.draw());
  observer.observe(canvas);
  signal.addEventListener("abort", () => observer.disconnect());
}

/** @param {string} name */
function label(name) {
  return name.replaceAll("_", " ").replace("unit:", "unit ");
}

/** @param {Json} axis */
function axisName(axis) {
  return `overall: ${axis["measures"].slice(0, 2).map((/** @type {[string, string]} */ [name, way]) => `${way === "less" ? "less " : ""}${label(name)}`).join(", ")} …`;
}

/**
 * @param {string} text
 * @param {Json[]} measures
 * @param {string} value
 * @param {(name: string) => void} choose
 * @param {[string, string][]} others
 */
function picker(text, measures, value, choose, others) {
  const id = newId();
  const groups = [...new Set(measures.map((one) => one["category"]))];
  const select = h("select", { id, onchange: () => choose(select.value) },
    others.map(([name, what]) => h("option", { value: name }, what)),
    groups.map((group) => h("optgroup", { label: group }, measures.filter((one) => one["category"] === group).map((one) => h("option", { value: one["name"] }, label(one["name"]))))));
  select.value = value;
  return h("div", null, h("label", { for: id }, text), select);
}

/** Values for colours: effects by two standard deviations, counts by their range. @param {Float32Array} values @param {boolean} counts */
function normal(values, counts) {
  if (counts) {
    let most = 1;
    for (const value of values) most = Math.max(most, value);
    return values.map((value) => Math.log1p(value) / Math.log1p(most));
  }
  const sizes = Float32Array.from(values, Math.abs).sort();
  const reach = Math.max(sizes[Math.floor(0.97 * (sizes.length - 1))] ?? 1, 1e-6);
  return values.map((value) => Math.max(-1, Math.min(1, value / reach)));
}

/**
 * @param {Float32Array} values
 * @param {Set<number>} selected
 * @param {boolean} counts
 * @param {(rows: number[]) => void} choose
 */
function histogramChart(values, selected, counts, choose) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  const width = Math.max((high - low) / BINS, 1e-9);
  const binOf = (/** @type {number} */ value) => Math.min(BINS - 1, Math.floor((value - low) / width));
  const [all, some] = [new Uint32Array(BINS), new Uint32Array(BINS)];
  values.forEach((value, row) => { const bin = binOf(value); all[bin] = (all[bin] ?? 0) + 1; if (selected.has(row)) some[bin] = (some[bin] ?? 0) + 1; });
  const most = Math.max(...all);
  const bar = (/** @type {number} */ n, /** @type {number} */ k, /** @type {string} */ kind) => n ? svg("rect", { x: k, width: 0.86, y: 40 - (40 * n) / most, height: (40 * n) / most, class: kind }) : null;
  const picture = svg("svg", { viewBox: `0 0 ${BINS} 40`, preserveAspectRatio: "none", "aria-hidden": "true", onclick: (/** @type {MouseEvent} */ event) => {
    const box = picture.getBoundingClientRect();
    const bin = Math.floor(((event.clientX - box.left) / box.width) * BINS);
    const rows = /** @type {number[]} */ ([]);
    values.forEach((value, row) => { if (binOf(value) === bin) rows.push(row); });
    choose(rows);
  } }, [...all].map((n, k) => bar(n, k, counts || low + (k + 0.5) * width > 0 ? "more" : "less")), [...some].map((n, k) => bar(n, k, "some")));
  return [picture, h("div", { class: "row between quiet small" }, h("span", null, counts ? count(low) : signed(low)), h("span", null, counts ? count(high) : `${signed(high)} SD`)),
    h("p", { class: "sr" }, `From ${amount(low)} to ${amount(high)}, most in the bin at ${amount(low + all.indexOf(most) * width)}.`)];
}

async function save() {
  try {
    const url = URL.createObjectURL(await (await raw("map/parquet")).blob());
    h("a", { href: url, download: "people.parquet" }).click();
    URL.revokeObjectURL(url);
  } catch (error) { failed(error); }
}
