// One user: how they differ from others, on what evidence; what they say about it; their reviews; their erasure.

import { call, get } from "./api.js";
import { effectChart, pairChart, timelineChart, voiceprint } from "./charts.js";
import { ask, button, fill, h, newId, said, toast } from "./dom.js";
import { amount, count, day, percent, plural, signed } from "./format.js";
import { markedText } from "./marks.js";
import { note, to } from "./nav.js";
import { combobox } from "./search.js";
import { items, writingPanel } from "./write.js";

/** @typedef {import("./nav.js").Context} Context */
/** @typedef {Record<string, any>} Json */

/**
 * What the parts of the page share.
 * @typedef {object} Person
 * @property {string} user
 * @property {Context} context
 * @property {Json} card
 * @property {Json} profile
 * @property {() => Promise<void>} reload reads card and profile anew, and draws what depends on them
 * @property {import("./write.js").Writing} writing has texts written again
 */

/**
 * @param {HTMLElement} main
 * @param {Context} context
 */
export async function personPage(main, context) {
  const user = context.params.get("user") ?? "";
  const { signal } = context;
  const [profile, card] = await Promise.all([get("profile", { user }, signal), get("differences", { user }, signal)]);
  const head = h("section", { class: "personhead" });
  const [differences, side, texts, time, reviews] = [section("differences"), section("voiceprint"), section("write"), section("history"), section("reviews")];
  /** @type {Person} */
  const person = {
    user, context, card, profile,
    reload: async () => {
      [person.profile, person.card] = await Promise.all([get("profile", { user }, signal), get("differences", { user }, signal)]);
      draw();
    },
    writing: { again: () => {}, compare: () => {} },
  };
  const draw = () => { drawHead(head, person); drawDifferences(differences, person); drawVoiceprint(side, person, differences); };
  draw();
  fill(main, head, h("div", { class: "columns" }, differences, side), texts, time, reviews);
  person.writing = writingPanel(texts, person);
  void drawHistory(time, person);
  void drawReviews(reviews, person);
  const wanted = context.params.get("difference");
  if (wanted) differences.querySelector(`[data-difference="${CSS.escape(wanted)}"] .toggle`)?.dispatchEvent(new MouseEvent("click"));
}

/** @param {string} name */
function section(name) {
  return h("section", { id: name, class: name });
}

/**
 * @param {HTMLElement} place
 * @param {Person} person
 */
function drawHead(place, { user, card, profile, context }) {
  const { counts } = card;
  const may = (/** @type {string} */ scope) => context.overview["scopes"].includes(scope);
  const facts = [
    plural(profile.reviews, "review"),
    profile.first === null ? null : `${day(profile.first)} to ${day(profile.last)}`,
    counts.items ? `${count(counts.items)} compared with ${plural(counts.peer_reviews, "review")} by ${plural(counts.others, "other")}` : "nobody else wrote about the same items",
    profile.peer ? null : "not used as a peer",
  ].filter(Boolean);
  fill(place,
    h("div", null, h("p", { class: "eyebrow" }, "How this user differs"), h("h1", null, said(user)), h("p", { class: "lead" }, inShort(card)),
      h("p", { class: "facts" }, facts.join(" · "))),
    h("div", { class: "actions" },
      h("a", { class: "button ghost", href: to("map", { user }) }, "Find on the map"),
      button("Download everything", { class: "ghost", onclick: () => void download(user) }),
      may("erase") ? button("Forget …", { class: "ghost danger", onclick: () => void forget(user) }) : null));
}

/** The strongest differences in one sentence. @param {Json} card */
function inShort(card) {
  const active = card.differences.filter((/** @type {Json} */ one) => one.state === "active");
  if (!active.length) return sentence(card.differences.length ? "all differences that were found are muted or corrected by the user" : card.verdict);
  const most = active.slice(0, 3).map((/** @type {Json} */ one) => one.phrase);
  const rest = active.length - most.length;
  const list = most.length > 1 ? `${most.slice(0, -1).join(", ")}${most.length > 2 ? "," : ""} and ${most.at(-1)}` : most[0];
  return `Most of all, this user ${list}${rest ? `; and ${rest === 1 ? "one more difference" : `${rest} more differences`}` : ""}.`;
}

/** @param {string} text */
function sentence(text) {
  return text ? `${text[0]?.toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}` : "";
}

/**
 * @param {HTMLElement} place
 * @param {Person} person
 */
function drawDifferences(place, person) {
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
  const evidence = h("div", { class: "evidence", hidden: true }, h("p", { class: "small quiet" }, numbers(one)), rests);
  const toggle = button("Evidence", { class: "ghost small toggle", "aria-expanded": "false", "aria-label": `Evidence: ${one.phrase}` });
  const root = h("li", { class: `claim ${way} ${state}`, "data-difference": one.difference },
    h("div", { class: "row between top" }, h("h3", null, one.phrase), h("span", { class: "row" }, state === "active" ? null : h("span", { class: "tag state" }, state), h("span", { class: "tag" }, one.category))),
    effectChart(/** @type {any} */ (one)),
    h("p", { class: "figures" }, figures(one)),
    one.quotes.map((/** @type {Json} */ quote) => h("blockquote", null, markedText(quote.text, person.context.signal, [one.difference], way))),
    state === "active" ? null : h("p", { class: "state" }, state === "muted" ? "Muted: PAG, DPL and DRP, which write from differences in words, leave it out. DEP and RAG know no single difference." : "Corrected by the user: their own words stand in its place."),
    h("div", { class: "row" }, toggle, ...corrections(one, person)),
    evidence);
  toggle.addEventListener("click", () => {
    const opened = !root.toggleAttribute("data-open");
    evidence.hidden = opened;
    toggle.setAttribute("aria-expanded", String(!opened));
    note({ difference: opened ? undefined : one.difference });
    if (!opened && !rests.childElementCount) void showEvidence(rests, one, person);
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

/** The same as statistics. @param {Json} one */
function numbers(one) {
  const p = one.p < 0.001 ? "p < 0.001" : `p = ${one.p.toFixed(3)}`;
  return `${amount(one.own)} ${one.unit}, others ${amount(one.others)}. Effect ${signed(one.effect)} standard deviations of reviews of one item, interval ${signed(one.low)} to ${signed(one.high)}; ${p} after correction for all measures.`;
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
    button("Mute", { class: "ghost small", title: "Counts for PAG, DPL and DRP, which read differences in words. DEP and PPlug read vectors.", "aria-label": `Mute: ${one.phrase}`, onclick: () => void change("PUT", { state: "muted" }, `“${one.phrase}” is muted for PAG, DPL and DRP.`, ["Before muting", "After muting"]) }),
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
      h("p", { class: "legend small" }, h("span", { class: "key own" }, "this user"), h("span", { class: "key others" }, "mean of others"), h("span", { class: "quiet" }, `${found.unit} · others are counts${least > 1 ? `, at least ${least} an item` : ""}`)),
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
      h("span", { class: "numbers" }, `${amount(item.own)} / ${amount(item.others)}`),
      h("span", { class: "quiet numbers" }, `${item.below} of ${total} others less, ${item.above} more`)),
    body);
  details.addEventListener("toggle", () => {
    if (!details.open || body.childElementCount) return;
    const peers = /** @type {string[] | undefined} */ (item.peer_texts);
    fill(body,
      h("div", null, h("h4", null, "The user wrote"), h("p", { class: "text" }, markedText(item.text, person.context.signal, [one.difference], one.direction))),
      h("div", null, h("h4", null, `${plural(total, "other")} on the same item`),
        h("p", { class: "quiet" }, `${item.below} less, ${item.equal} the same, ${item.above} more; mean ${amount(item.others)}.`),
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
 * @param {HTMLElement} place
 * @param {Person} person
 * @param {HTMLElement} differences
 */
function drawVoiceprint(place, person, differences) {
  const { measures } = person.card;
  if (!measures.length) { place.hidden = true; return; }
  place.hidden = false;
  const detail = h("div", { class: "evidence" });
  const wide = matchMedia("(min-width: 60rem)").matches;
  const was = place.querySelector("details");
  fill(place, h("details", { open: was ? was.open : wide }, h("summary", null, h("h2", null, "Voiceprint")),
    h("p", { class: "quiet" }, `All ${measures.length} measures of style, claimed or not. Lines are intervals; faint ones could be chance.`),
    voiceprint(measures, (name) => {
      const claimed = differences.querySelector(`[data-difference="${CSS.escape(name)}"]`);
      if (claimed) {
        claimed.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "center" });
        if (!claimed.hasAttribute("data-open")) claimed.querySelector(".toggle")?.dispatchEvent(new MouseEvent("click"));
        return;
      }
      const of = measures.find((/** @type {Json} */ one) => one.measure === name);
      const direction = of.effect > 0 ? "more" : "less";
      const holder = h("div", null);
      fill(detail, h("h3", null, `${name.replaceAll("_", " ")}: ${of[direction]}?`), h("p", { class: "quiet" }, "Not claimed: this could be chance, or is too small to matter."), holder);
      void showEvidence(holder, { difference: name, direction }, person);
      detail.scrollIntoView({ block: "nearest" });
    }), detail));
}

/**
 * @param {HTMLElement} place
 * @param {Person} person
 */
async function drawHistory(place, person) {
  const { user, context } = person;
  const time = h("div", { class: "card stack" }, h("h2", null, "Over time"), h("p", { class: "quiet" }, "Measuring …"));
  const near = h("div", { class: "card stack" }, h("h2", null, "Nearest people"), h("p", { class: "quiet" }, "Comparing …"));
  fill(place, time, near);
  void part(time, context.signal, async () => {
    const drift = await get("drift", { user }, context.signal);
    const trends = drift.trends.slice(0, 5);
    return [h("h2", null, "Over time"),
      h("p", null, drift.changed === null ? `Whether the style has changed cannot be said: ${drift.reason}.`
        : drift.changed ? "The style has changed." : "No change of style is seen."),
      drift.windows.length ? [timelineChart(drift.windows), h("p", { class: "quiet small" }, "How far each stretch of reviews lies from the rest.")] : null,
      trends.length ? h("ul", { class: "plain" }, trends.map((/** @type {Json} */ one) => h("li", null, `${sentence(one.measure.replaceAll("_", " ")).slice(0, -1)} ${one.direction === "rises" ? "more" : "less"} with time`))) : null,
      drift.p === null ? null : h("details", { class: "small" }, h("summary", { class: "quiet" }, "Numbers"),
        h("p", { class: "quiet" }, `Permutation test over ${plural(drift.windows.length, "stretch", "stretches")} of reviews: p = ${amount(drift.p)}.${trends.length ? ` Rank correlation with time: ${trends.map((/** @type {Json} */ one) => `${one.measure.replaceAll("_", " ")} ${signed(one.correlation)}`).join(", ")}.` : ""}`))];
  });
  void part(near, context.signal, async () => {
    const { nearest } = await get("nearest", { user, k: 5 }, context.signal);
    return [h("h2", null, "Nearest people"), h("p", { class: "quiet" }, "Who differs from others in the same way, whatever they write about."),
      nearest.length ? h("ul", { class: "near" }, nearest.map((/** @type {Json} */ one) => neighbour(one, context.overview["show_users"]))) : h("p", { class: "quiet" }, "There is nobody else."),
      h("details", { class: "small" }, h("summary", { class: "quiet" }, "What the numbers are"),
        h("p", { class: "quiet" }, "Beside a name: how similar the differences are, from −1 to 1, 1 for the same. Beside a difference: how far this user, and then the other, lies from others on the same items, in standard deviations. Only what is claimed of one of them and seen in both is listed."))];
  });
}

/**
 * Somebody similar: which differences both have, and where they are opposite.
 * @param {Json} one
 * @param {boolean} known not under a pseudonym, which has no page
 */
function neighbour(one, known) {
  const name = () => said(one["user"]);
  /** @param {Json} pair */
  const sizes = (pair) => h("span", { class: "quiet numbers" }, ` ${signed(pair["own"])} and ${signed(pair["other"])}`);
  /** @param {Json} pair */
  const faint = (pair) => (pair["own_claimed"] && pair["other_claimed"] ? null : h("span", { class: "quiet" }, ", not sure of ", pair["own_claimed"] ? name() : "this user"));
  return h("li", null, known ? h("a", { href: to("person", { user: one["user"] }) }, name()) : name(), h("span", { class: "numbers" }, one["similarity"].toFixed(2)),
    h("ul", { class: "pairs small" }, one["shared"].map((/** @type {Json} */ pair) => h("li", null, "both: ", pair["own_phrase"], sizes(pair), faint(pair))),
      one["shared"].length ? null : h("li", { class: "quiet" }, "no single difference is clear in both: many small ones point the same way"),
      one["apart"].map((/** @type {Json} */ pair) => h("li", null, "opposite: this user ", pair["own_phrase"], ", ", name(), " ", pair["other_phrase"], sizes(pair), faint(pair)))));
}

/**
 * Fill a part of the page, or say there why not.
 * @param {HTMLElement} place
 * @param {AbortSignal} signal
 * @param {() => Promise<import("./dom.js").Child>} make
 */
async function part(place, signal, make) {
  try { fill(place, await make()); } catch (error) {
    if (signal.aborted) return;
    place.lastElementChild?.remove();
    place.append(h("p", { class: "quiet" }, said(sentence(message(error)))));
  }
}

/**
 * @param {HTMLElement} place
 * @param {Person} person
 */
async function drawReviews(place, person) {
  const { user, context } = person;
  const list = h("div", null, h("p", { class: "quiet" }, "Reading …"));
  const load = async () => part(list, context.signal, async () => {
    const { total } = await get("reviews", { user, limit: 1 }, context.signal);
    const { reviews } = await get("reviews", { user, limit: 20, offset: Math.max(0, total - 20) }, context.signal);
    const cards = reviews.reverse().map((/** @type {Json} */ one) => h("li", { class: "card" },
      h("p", { class: "row between" }, said(one.item_title || one.item, "title"), h("span", { class: "quiet" }, [one.rating === null ? null : `rated ${one.rating}`, day(one.timestamp)].filter(Boolean).join(" · "))),
      one.title ? h("p", null, h("strong", null, said(one.title))) : null, h("p", { class: "text" }, said(one.text))));
    const more = cards.slice(6);
    return [h("ul", { class: "reviewlist" }, cards.slice(0, 6)),
      more.length ? h("details", { class: "morereviews" }, h("summary", null, `${plural(more.length, "more review")}${total > cards.length ? `, of ${count(total)} in all` : ""}`), h("ul", { class: "reviewlist" }, more)) : null];
  });
  fill(place, h("h2", null, "Their reviews"), context.overview["scopes"].includes("write") ? addForm(person, load) : null, list);
  await load();
}

/**
 * @param {Person} person
 * @param {() => Promise<void>} load
 */
function addForm(person, load) {
  const [rating, text] = [newId(), newId()];
  let chosen = { value: "", text: "" };
  const item = combobox({ id: newId(), label: "Item", named: true, free: true, placeholder: "What it is about", none: "no item of this name: a new one",
    find: async (typed, asked) => (await items(person, typed, asked)), choose: (choice) => { chosen = choice; item.show(choice.text); } });
  item.input.required = true;
  const fields = {
    rating: h("input", { id: rating, type: "number", min: 0, max: 100, step: "any" }),
    text: h("textarea", { id: text, rows: 4, required: true }),
  };
  const about = () => (item.input.value.trim() === chosen.text ? chosen.value : item.input.value.trim());
  return h("details", { class: "card add" }, h("summary", null, "Add a review and see the card change"),
    h("form", { class: "stack", onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      const before = new Map(person.card["measures"].map((/** @type {Json} */ one) => [one.measure, one.effect]));
      try {
        await call("POST", "reviews", { user: person.user, item: about(), text: fields.text.value, ...(fields.rating.value ? { rating: Number(fields.rating.value) } : {}) });
        fields.text.value = "";
        await Promise.all([person.reload(), load()]);
        const moved = person.card["measures"].map((/** @type {Json} */ one) => ({ name: one.measure, by: one.effect - Number(before.get(one.measure) ?? 0) }))
          .sort((/** @type {Json} */ a, /** @type {Json} */ b) => Math.abs(b["by"]) - Math.abs(a["by"]))[0];
        toast(moved && Math.abs(moved.by) > 0.005 ? `Added. The card moved most on ${moved.name.replaceAll("_", " ")}: ${signed(moved.by)} SD.` : "Added. The card did not move: others need to have written about the item, too.");
        person.writing.again("A review was added.", false, ["Before this review", "With this review"]);
      } catch (error) { failed(error); }
    } },
    h("div", { class: "fields" }, h("div", null, h("label", { for: item.input.id }, "Item"), item.root), h("div", null, h("label", { for: rating }, "Rating"), fields.rating)),
    h("div", null, h("label", { for: text }, "What they wrote"), fields.text), h("div", { class: "row" }, h("button", { class: "primary" }, "Add the review"))));
}

/** @param {string} user */
async function download(user) {
  try {
    const everything = await get("export", { user });
    const url = URL.createObjectURL(new Blob([JSON.stringify(everything, null, 1)], { type: "application/json" }));
    h("a", { href: url, download: "user.json" }).click();
    URL.revokeObjectURL(url);
  } catch (error) { failed(error); }
}

/** @param {string} user */
async function forget(user) {
  const id = newId();
  const field = h("input", { id, autocomplete: "off" });
  const sure = await ask({ title: "Forget this user for good?", confirm: "Forget", danger: true, ready: () => field.value === user,
    body: [h("p", null, "Texts, vectors, sums and corrections of ", said(user, "name"), " are erased, and the store's file is rewritten. It cannot be undone."),
      h("label", { for: id }, "Type the user's id to confirm"), field] });
  if (!sure) return;
  try {
    const { receipt } = await call("DELETE", "users", undefined, { user });
    history.replaceState(null, "", "#/");  // no address names the user any more
    const rows = Object.entries(receipt).filter(([, value]) => typeof value !== "object");
    const main = /** @type {HTMLElement} */ (document.getElementById("main"));
    fill(main, h("section", { class: "empty receipt" }, h("p", { class: "eyebrow" }, "Receipt"), h("h1", null, "Forgotten"),
      h("p", { class: "lead" }, `${plural(receipt.reviews, "review")} and everything made from them are gone.`),
      h("dl", null, rows.map(([name, value]) => [h("dt", null, name.replaceAll("_", " ")), h("dd", null, String(value))])),
      receipt.not_reached.length ? h("p", null, `Not reached: ${receipt.not_reached.join(", ")}.`) : null,
      h("p", { class: "row" }, button("Save the receipt", { class: "ghost", onclick: () => {
        const url = URL.createObjectURL(new Blob([JSON.stringify(receipt, null, 1)], { type: "application/json" }));
        h("a", { href: url, download: "receipt.json" }).click();
      } }), h("a", { href: "#/" }, "Start page"))));
    main.focus();
  } catch (error) { failed(error); }
}

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {unknown} error */
function failed(error) {
  toast(message(error), "error");
}
