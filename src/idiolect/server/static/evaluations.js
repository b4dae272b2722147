// Evaluations: tables with intervals, controls, samples with the prompts that models got, two runs compared.

import { get, newest } from "./api.js";
import { failed, fill, h, newId, said } from "./dom.js";
import { amount, count, duration, method, plural } from "./format.js";
import { METHODS } from "./methods.js";
import { controlWords, metricWords } from "./metrics.js";
import { to } from "./nav.js";

/** @typedef {Record<string, any>} Json */
const PAGE = 50;

/**
 * @param {HTMLElement} main
 * @param {import("./nav.js").Context} context
 */
export async function evaluationsPage(main, { params, signal }) {
  const [run, sample, other] = ["run", "sample", "with"].map((name) => params.get(name));
  if (run && other) return comparePage(main, run, other, signal);
  if (run && sample) return samplePage(main, run, sample, signal);
  if (run) return reportPage(main, run, params, signal);
  const { evaluations } = await get("evaluations", {}, signal);
  fill(main, h("h1", { class: "h2" }, "Evaluations"),
    h("p", { class: "lead" }, "How near do methods come to what users really wrote? Each evaluation has reviews that no method saw: the methods wrote them, and the texts were compared."),
    evaluations.length ? h("ul", { class: "runs" }, evaluations.map(runCard)) : h("p", { class: "quiet" }, "No finished evaluation in the folders of this server."),
    evaluations.length > 1 ? compareForm(evaluations) : null);
}

/** @param {Json} one */
function runCard(one) {
  return h("li", { class: "card" },
    h("h2", null, one.unreadable ? said(one.name) : h("a", { href: to("evaluations", { run: one.name }) }, said(one.name))),
    one.unreadable ? h("p", { class: "error" }, said(one.unreadable)) : [
      h("p", null, one.methods.map((/** @type {string} */ name) => method(name)[0]).join(", ")),
      h("p", { class: "quiet small" }, `${plural(one.samples, "sample")} of ${plural(one.users, "user")} · `, said(one.backbone ?? ""), " · ", said(one.encoder ?? ""))]);
}

/** @param {Json[]} evaluations */
function compareForm(evaluations) {
  const names = evaluations.filter((one) => !one["unreadable"]).map((one) => one["name"]);
  const [a, b] = [newId(), newId()];
  const pick = (/** @type {string} */ id, /** @type {number} */ k) => {
    const select = h("select", { id }, names.map((name) => h("option", { value: name }, name)));
    select.value = names[k] ?? names[0];
    return select;
  };
  const [first, second] = [pick(a, 0), pick(b, 1)];
  return h("form", { class: "card compose", onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    location.hash = to("evaluations", { run: first.value, with: second.value });
  } }, h("h2", null, "Compare two"), h("p", { class: "quiet" }, "Compares each method in both evaluations, on the same samples."),
  h("div", { class: "fields two" }, h("div", null, h("label", { for: a }, "This"), first), h("div", null, h("label", { for: b }, "With"), second), h("button", { class: "primary" }, "Compare")));
}

/**
 * @param {HTMLElement} main
 * @param {string} run
 * @param {URLSearchParams} params
 * @param {AbortSignal} signal
 */
async function reportPage(main, run, params, signal) {
  const report = await get("evaluations/report", { run }, signal);
  const tables = Object.entries(report.tables ?? {});
  const samples = h("section", { class: "samples" });
  const others = tables.filter(([title]) => title.startsWith("methods") && title !== "methods");
  const controls = tables.filter(([title]) => title.startsWith("controls"));
  fill(main, crumbs([["Evaluations", to("evaluations")]]), h("h1", { class: "h2" }, said(run)),
    h("p", { class: "facts" }, `${plural(report.samples, "held-out review")} of a split of ${plural(report.users, "user")}, written again by the model `, said(report.backbone ?? "?"), ", vectors by ", said(report.encoder ?? "none"), report.seconds ? ` · took ${duration(1000 * report.seconds)}` : ""),
    report.verdicts?.length ? h("section", null, h("h2", null, "Is the gain personal?"),
      h("p", { class: "quiet" }, "Does knowing the user help the model to expect what they wrote, and is it this user's history that helps? So each method was also given another user's."), forest(report.verdicts)) : null,
    tables.length ? h("section", null, h("h2", null, "Scores"), scoreTable("methods", report.tables["methods"] ?? tables[0]?.[1]), metricList(report.tables["methods"] ?? tables[0]?.[1])) : null,
    controls.length ? h("section", null, h("h2", null, "Controls"), h("p", { class: "quiet" }, "The same methods with wrong inputs. If they do as well, the gain is not personal."), controlList(report.conditions), controls.map(([title, table]) => disclosure(controlTitle(title), scoreTable(title, table)))) : null,
    others.length ? h("section", null, h("h2", null, "By category"), others.map(([title, table]) => disclosure(title.replace("methods, ", ""), scoreTable(title, table)))) : null,
    report.notes?.length ? h("section", null, h("h2", null, "What a reader has to know"), h("ul", { class: "notes" }, report.notes.map((/** @type {string} */ one) => h("li", null, said(one))))) : null,
    samples,
    disclosure("Settings and versions", h("pre", { tabindex: 0, role: "region", "aria-label": "Settings" }, JSON.stringify({ settings: report.settings, split: report.split, versions: report.versions, provenance: report.provenance }, null, 2))));
  await drawSamples(samples, run, report, params.get("condition") ?? "", signal);
}

/** "controls of dep" with the method's title. @param {string} title */
function controlTitle(title) {
  const [, of, measured] = /^controls of (\S+)( \(measured\))?$/.exec(title) ?? [];
  return of ? `Controls of ${method(of)[0]}${measured ?? ""}` : title;
}

/** What the scores of a table mean. @param {Json | undefined} table */
function metricList(table) {
  /** @type {Json[]} */
  const metrics = table?.["metrics"] ?? [];
  const known = metrics.filter((one) => metricWords(one["name"]).what);
  if (!known.length) return null;
  return h("div", { class: "card" }, h("h3", null, "What the scores mean"), h("dl", { class: "meanings" }, known.map((one) => {
    const { title, what } = metricWords(one["name"]);
    return h("div", null, h("dt", null, title), h("dd", null, `${what} ${one["greater_is_better"] ? "Higher is better." : "Lower is better."}`));
  })));
}

/** What the controls get in place of the user. @param {Json[]} conditions */
function controlList(conditions) {
  const names = [...new Set(conditions.map((one) => String(one["control"] ?? "")))].filter(controlWords);
  return names.length ? h("dl", { class: "meanings" }, names.map((one) => h("div", null, h("dt", null, one), h("dd", null, `The method gets ${controlWords(one)}.`)))) : null;
}

/** @param {[string, string][]} links */
function crumbs(links) {
  return h("nav", { class: "crumbs", "aria-label": "Where this is" }, links.map(([text, href]) => [h("a", { href }, said(text)), " / "]));
}

/** @param {string} title @param {import("./dom.js").Child} body */
function disclosure(title, body) {
  return h("details", { class: "card fold" }, h("summary", null, said(title)), body);
}

/**
 * Gains over the baseline, each with its interval and what the wrong user's history leaves of it.
 * @param {Json[]} verdicts
 */
function forest(verdicts) {
  const own = verdicts.filter((one) => METHODS[one["baseline"].method]?.history === false && one["source"] === "user");
  const rows = own.length ? own : verdicts;
  const ends = rows.flatMap((one) => [one["gain"]?.low ?? 0, one["gain"]?.high ?? 0, ...one["controls"].map((/** @type {Json} */ c) => (one["gain"]?.value ?? 0) - (c["worse"]?.value ?? 0))]);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const at = (/** @type {number} */ value) => `${2 + (96 * (value - low)) / Math.max(high - low, 1e-9)}%`;
  return h("div", { class: "card" }, h("ul", { class: "forest" }, rows.map((one) => verdictRow(one, at))),
    h("p", { class: "quiet small legend" }, h("span", null, h("span", { class: "zeroline", "aria-hidden": "true" }), `as ${name(rows[0]?.["baseline"])}`), h("span", null, h("span", { class: "dot", "aria-hidden": "true" }), "the method, with a 95 % interval over users; right is better"), h("span", null, h("span", { class: "diamond", "aria-hidden": "true" }), "the same method with wrong inputs")),
    h("details", { class: "small quiet" }, h("summary", null, "As numbers"), h("ul", { class: "notes" }, rows.map((one) => h("li", null, sentenceOf(one["sentence"])))), h("p", null, "A nat is a factor of 2.7 in the likelihood of the user's own review.")));
}

/** @param {Json} one @param {(value: number) => string} at */
function verdictRow(one, at) {
  const gain = one["gain"] ?? { value: 0, low: 0, high: 0 };
  const sure = gain.low > 0 ? "sure" : "";
  const [word, why] = verdictWords(one);
  return h("li", null, h("strong", null, name(one["method"])),
    h("div", { class: "strip", "aria-hidden": "true" }, h("span", { class: "zero", style: { left: at(0) } }),
      h("span", { class: `whisker ${sure}`, style: { left: at(gain.low), width: `calc(${at(gain.high)} - ${at(gain.low)})` } }),
      h("span", { class: `user ${sure}`, style: { left: at(gain.value) } }),
      one["controls"].map((/** @type {Json} */ c) => c["worse"] ? h("span", { class: "control", title: name(c), style: { left: at(gain.value - c["worse"].value) } }) : null)),
    h("p", null, h("strong", null, word), h("span", { class: "quiet" }, ` ${why}`)));
}

/** The outcome of a test in plain words. @param {Json} one @returns {[string, string]} */
function verdictWords({ outcome, source, gain, baseline, sentence }) {
  if (source !== "user") return ["", sentenceOf(sentence)];
  /** @type {Record<string, [string, string]>} */
  const words = {
    holds: ["Personal.", "The user's history makes their own text more expected; another user's does not do as much."],
    fails: ["Not personal.", "It helps, but another user's history helps as much."],
    "no gain": ["No gain.", gain?.high < 0 ? `It is worse than ${name(baseline)}.` : `It is not clearly better than ${name(baseline)}.`],
    undecided: ["Undecided.", "There are too few users, or it is unclear whether another user's history would help as much."],
  };
  return words[outcome] ?? ["", sentenceOf(sentence)];
}

/** @param {string} text */
function sentenceOf(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** @param {Json | undefined} condition */
function name(condition) {
  if (!condition) return "";
  const of = condition["method"];
  return `${method(of)[0]}${condition["measured"] ? " (measured)" : ""}${condition["control"] ? `: ${condition["control"]}` : ""}`;
}

/** @param {string} title @param {Json | undefined} table */
function scoreTable(title, table) {
  if (!table) return null;
  const metrics = table["metrics"];
  const rows = table["methods"];
  const columns = new Map(metrics.map((/** @type {Json} */ metric) => {
    const cells = rows.map((/** @type {Json} */ row) => row["scores"][metric["name"]]).filter(Boolean);
    const [low, high] = [Math.min(...cells.map((/** @type {Json} */ one) => one["low"])), Math.max(...cells.map((/** @type {Json} */ one) => one["high"]))];
    const values = cells.map((/** @type {Json} */ one) => one["value"]);
    return [metric["name"], { low, high, best: metric["greater_is_better"] ? Math.max(...values) : Math.min(...values) }];
  }));
  return [h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Scores: ${title}` }, h("table", { class: "scores" },
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "method"), metrics.map(scoreHeading))),
    h("tbody", null, rows.map((/** @type {Json} */ row) => h("tr", null, h("th", { scope: "row" }, name(row)),
      metrics.map((/** @type {Json} */ metric) => scoreCell(row["scores"][metric["name"]], columns.get(metric["name"])))))))),
  h("p", { class: "quiet small" }, `Bold is the best of a column; lines are 95 % intervals over ${plural(table["units"], table["clustered"] ? "user" : "sample")} (${plural(table["segments"], "sample")}). * differs from ${method(String(table["baseline"] ?? "the baseline"))[0]} by more than chance (${table["test"]}, Holm's correction).`)];
}

/** @param {Json} one */
function scoreHeading(one) {
  const { title } = metricWords(one["name"]);
  return h("th", { scope: "col", title: one["signature"] }, said(title), h("span", { class: "way" }, title === one["name"] ? "" : said(one["name"]), h("span", { "aria-hidden": "true" }, one["greater_is_better"] ? " ↑ " : " ↓ "), one["greater_is_better"] ? "higher is better" : "lower is better"));
}

/** @param {Json | undefined} cell @param {any} column */
function scoreCell(cell, column) {
  if (!cell) return h("td", null, "–");
  const at = (/** @type {number} */ value) => (100 * (value - column.low)) / Math.max(column.high - column.low, 1e-9);
  const versus = cell["versus"];
  const clear = versus?.p_holm !== undefined && versus.p_holm !== null && versus.p_holm <= 0.05;
  const title = `${amount(cell["value"])} [${amount(cell["low"])}, ${amount(cell["high"])}]${versus ? `; against the baseline ${amount(versus.difference)} [${amount(versus.low)}, ${amount(versus.high)}]` : ""}`;
  return h("td", { title }, h("span", { class: cell["value"] === column.best ? "best" : "" }, digits(cell["value"]), clear ? "*" : ""),
    h("span", { class: "interval", "aria-hidden": "true" }, h("span", { class: "range", style: { left: `${at(cell["low"])}%`, width: `${at(cell["high"]) - at(cell["low"])}%` } }), h("span", { class: "tick", style: { left: `${at(cell["value"])}%` } })),
    h("span", { class: "sr" }, title));
}

/** @param {number} value */
function digits(value) {
  return Math.abs(value) < 1 ? value.toFixed(3) : value.toFixed(2);
}

/**
 * @param {HTMLElement} place
 * @param {string} run
 * @param {Json} report
 * @param {string} condition
 * @param {AbortSignal} signal
 */
async function drawSamples(place, run, report, condition, signal) {
  const conditions = report["conditions"].filter((/** @type {Json} */ one) => one["control"] === null);
  const id = newId();
  const select = h("select", { id, onchange: () => void draw(select.value, 0).catch(failed) }, conditions.map((/** @type {Json} */ one) => h("option", { value: one["name"] }, name(one))));
  select.value = conditions.some((/** @type {Json} */ one) => one["name"] === condition) ? condition : conditions[conditions.length - 1]?.["name"];
  const list = h("div", null);
  const asks = newest(signal);
  const draw = async (/** @type {string} */ of, /** @type {number} */ offset) => {
    const found = await get("evaluations/samples", { run, condition: of, offset, limit: PAGE }, asks());
    fill(list, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Samples" }, h("table", { class: "stacked" }, h("thead", null, h("tr", null, ["user", "surprise", "what the method wrote", "the user's own text"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", null, found.samples.map((/** @type {Json} */ one) => h("tr", null, h("td", null, h("a", { href: to("evaluations", { run, sample: one["target"] }) }, said(one["user"]))),
        h("td", { class: "numbers", "data-label": "surprise" }, one["nll"] === null ? "–" : one["nll"].toFixed(1)), h("td", { class: "whole" }, h("div", { class: "cut" }, one["failure"] ? h("span", { class: "error" }, said(one["failure"])) : said(one["text"] ?? ""))), h("td", { class: "whole quiet", "data-label": "the user's own text" }, h("div", { class: "cut" }, said(one["reference"])))))))),
    found.total > PAGE ? h("p", { class: "row" }, pager("Earlier", offset > 0, () => void draw(of, offset - PAGE).catch(failed)), h("span", { class: "quiet" }, `${offset + 1} to ${Math.min(offset + PAGE, found.total)} of ${count(found.total)}`), pager("Later", offset + PAGE < found.total, () => void draw(of, offset + PAGE).catch(failed))) : null);
  };
  fill(place, h("div", { class: "row between" }, h("h2", null, "Texts"), h("div", { class: "row" }, h("label", { for: id }, "written by"), select)), list);
  if (select.value) await draw(select.value, 0);
}

/** @param {string} text @param {boolean} may @param {() => void} act */
function pager(text, may, act) {
  return h("button", { type: "button", class: "ghost small", disabled: !may, onclick: act }, text);
}

/**
 * @param {HTMLElement} main
 * @param {string} run
 * @param {string} target
 * @param {AbortSignal} signal
 */
async function samplePage(main, run, target, signal) {
  const sample = await get("evaluations/sample", { run, target }, signal);
  const [methods, controls] = [sample.conditions.filter((/** @type {Json} */ one) => one["control"] === null), sample.conditions.filter((/** @type {Json} */ one) => one["control"] !== null)];
  fill(main, crumbs([["Evaluations", to("evaluations")], [run, to("evaluations", { run })]]),
    h("h1", { class: "h2" }, said(sample.user), " on ", said(sample.item_title || sample.item)),
    document.getElementById("held") ? null : h("p", { class: "facts" }, h("a", { href: to("person", { user: sample.user }) }, "How this user differs")),
    h("h2", { class: "sr" }, "Texts"),
    h("div", { class: "voices" }, h("article", { class: "voice own" }, h("header", null, h("h3", null, "The user's own text"), h("span", { class: "quiet" }, "held out")), h("p", { class: "text" }, said(sample.reference))), methods.map(conditionCard)),
    controls.length ? h("section", null, h("h2", null, "Controls"), h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Controls" }, h("table", null, h("thead", null, h("tr", null, h("th", { scope: "col" }, "condition"), h("th", { scope: "col" }, "surprise at the user's own text (nll)"))),
      h("tbody", null, controls.map((/** @type {Json} */ one) => h("tr", null, h("th", { scope: "row" }, name(one)), h("td", { class: "numbers" }, one["nll"] === null ? "–" : one["nll"].toFixed(2)))))))) : null);
}

/** @param {Json} one */
function conditionCard(one) {
  const scores = Object.entries(one["scores"]).filter(([, value]) => typeof value === "number");
  return h("article", { class: "voice" }, h("header", null, h("h3", null, name(one)), h("span", { class: "quiet" }, method(one["method"])[1] && `reads ${method(one["method"])[1]}`)),
    one["failure"] ? h("p", { class: "error" }, said(one["failure"])) : h("p", { class: "text" }, said(one["text"] ?? "(no text was written)")),
    h("dl", { class: "scorelist" }, scores.map(([metric, value]) => h("div", { title: metricWords(metric).what }, h("dt", null, said(metricWords(metric).title)), h("dd", null, digits(/** @type {number} */ (value)))))),
    one["claims"].length ? disclosure(`What was found of the user: ${plural(unique(one["claims"]).length, "difference")}`, h("ul", { class: "plain" }, unique(one["claims"]).map((text) => h("li", null, said(text))))) : null,
    one["profile"] ? disclosure("Profile that the writer got", h("p", { class: "text" }, said(one["profile"]))) : null,
    one["prompt"] ? disclosure("Prompt as the model got it", [one["soft"] ? h("p", { class: "quiet small" }, softNote(one["virtual_tokens"])) : null, h("pre", { tabindex: 0, role: "region", "aria-label": `Prompt of ${name(one)}` }, softened(one["prompt"], one["virtual_tokens"] ?? []))]) : null,
    h("footer", { class: "quiet small" }, one["prompt_tokens"] ? `${count(one["prompt_tokens"])} + ${count(one["completion_tokens"] ?? 0)} tokens · ${duration(1000 * (one["seconds"] ?? 0))}` : "", (one["anchors"] ?? []).length ? ` · from ${plural(one["anchors"].length, "review")}` : ""));
}

/** @param {Json[]} claims */
function unique(claims) {
  return [...new Set(claims.map((one) => String(one["description"])))];
}

/** @param {[number, string][] | null} tokens */
function softNote(tokens) {
  if (!tokens) return "The model got soft tokens, too: vectors, not text. An earlier version wrote this evaluation and did not record where they stand.";
  return tokens.length ? "Where it is marked stand soft tokens: vectors, not text." : "There are no soft tokens in this prompt.";
}

/** A prompt with its soft tokens. @param {string} prompt @param {[number, string][]} tokens characters before each, and its stream */
function softened(prompt, tokens) {
  if (!tokens.length) return said(prompt);
  const characters = [...prompt];  // code points, as they are counted on record
  const ends = [...tokens.map(([place]) => place), characters.length];
  return [said(characters.slice(0, ends[0]).join("")), tokens.map(([place, stream], k) => [
    h("mark", { class: "more", title: `a vector of the stream “${stream}” stands here` }, "soft token"), said(characters.slice(place, ends[k + 1]).join(""))])];
}

/**
 * @param {HTMLElement} main
 * @param {string} run
 * @param {string} other
 * @param {AbortSignal} signal
 */
async function comparePage(main, run, other, signal) {
  fill(main, crumbs([["Evaluations", to("evaluations")]]), h("h1", { class: "h2" }, said(run), " with ", said(other)),
    h("p", { class: "lead" }, "What both wrote of the same samples, scored and tested anew, method by method."), h("p", { class: "quiet" }, "Scoring and testing …"));
  /** @type {{tables: Record<string, Json>, notes: string[]}} */
  const { tables, notes } = await get("evaluations/compare", { run, with: other }, signal);
  main.lastElementChild?.remove();
  const found = Object.entries(tables);
  const once = found.filter(([, table]) => table["methods"].length < 2).map(([title]) => method(title)[0]);
  main.append(...found.filter(([, table]) => table["methods"].length > 1).map(([title, table]) =>
    h("section", null, h("h2", null, said(method(title)[0])), scoreTable(title, ofOneMethod(title, table)))));
  const meanings = metricList(found[0]?.[1]);
  if (meanings) main.append(h("section", null, meanings));
  if (once.length + notes.length) main.append(h("section", null, h("ul", { class: "notes" }, once.length ? h("li", null, `In one of the two only: ${once.join(", ")}.`) : null, notes.map((one) => h("li", null, said(one))))));
}

/** A table that names each row by its evaluation, because its title names the method. @param {string} title @param {Json} table */
function ofOneMethod(title, table) {
  const short = (/** @type {string | null} */ text) => text?.replace(`:${title}`, "") ?? null;
  return { ...table, baseline: short(table["baseline"]), methods: table["methods"].map((/** @type {Json} */ row) => ({ ...row, method: short(row["method"]) })) };
}
