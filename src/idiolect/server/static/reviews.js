// The reviews of a user, the form to add one, and their erasure.

import { call, get, newest } from "./api.js";
import { ask, button, failed, fill, h, newId, said, toast } from "./dom.js";
import { count, day, plural, signed } from "./format.js";
import { panel, part, wide } from "./panel.js";
import { combobox } from "./search.js";
import { items } from "./write.js";

/** @typedef {import("./person.js").Person} Person */
/** @typedef {Record<string, any>} Json */

/**
 * @param {HTMLElement} place
 * @param {Person} person
 */
export async function drawReviews(place, person) {
  const { user, context } = person;
  const list = h("div", null, h("p", { class: "quiet" }, "Reading …"));
  const asks = newest(context.signal);
  const load = async () => part(list, asks(), async (asked) => {
    const { total } = await get("reviews", { user, limit: 1 }, asked);
    const { reviews } = await get("reviews", { user, limit: 20, offset: Math.max(0, total - 20) }, asked);
    const cards = reviews.reverse().map((/** @type {Json} */ one) => h("li", { class: "card" },
      h("p", { class: "row between" }, said(one.item_title || one.item, "title"), h("span", { class: "quiet" }, [one.rating === null ? null : `rated ${one.rating}`, day(one.timestamp)].filter(Boolean).join(" · "))),
      one.title ? h("p", null, h("strong", null, said(one.title))) : null, h("p", { class: "text" }, said(one.text))));
    const first = wide() ? 6 : 2;
    const more = cards.slice(first);
    return [h("ul", { class: "reviewlist" }, cards.slice(0, first)),
      more.length ? h("details", { class: "morereviews" }, h("summary", null, `${plural(more.length, "more review")}${total > cards.length ? `: the latest ${cards.length} of ${count(total)} are listed` : ""}`), h("ul", { class: "reviewlist" }, more)) : null];
  });
  fill(place, panel("Their reviews", [context.overview["scopes"].includes("write") ? addForm(person, load) : null, list]));
  await load();
}

/**
 * @param {Person} person
 * @param {() => Promise<void>} load
 */
function addForm(person, load) {
  const [rating, text] = [newId(), newId()];
  let chosen = { value: "", text: "" };
  let sent = { what: "", id: "" };
  /** The review with an id of its own: sent twice, as by two clicks or after a lost answer, it is stored once. */
  const review = () => {
    const made = { user: person.user, item: about(), text: fields.text.value, ...(fields.rating.value ? { rating: Number(fields.rating.value) } : {}) };
    const what = JSON.stringify(made);
    if (what !== sent.what) sent = { what, id: randomId() };
    return { ...made, id: sent.id };
  };
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
        await call("POST", "reviews", review());
        sent = { what: "", id: "" };
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

/** As hard to guess as a key; `crypto.randomUUID` is missing where a page comes without TLS. */
function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} user */
export async function download(user) {
  try {
    const everything = await get("export", { user });
    const url = URL.createObjectURL(new Blob([JSON.stringify(everything, null, 1)], { type: "application/json" }));
    h("a", { href: url, download: "user.json" }).click();
    URL.revokeObjectURL(url);
  } catch (error) { failed(error); }
}

/**
 * @param {string} user
 * @param {AbortSignal} signal of the page
 */
export async function forget(user, signal) {
  const id = newId();
  const field = h("input", { id, autocomplete: "off" });
  const sure = await ask({ title: "Forget this user for good?", confirm: "Forget", danger: true, ready: () => field.value === user,
    body: [h("p", null, "Texts, vectors, sums and corrections of ", said(user, "name"), " are erased, and the store's file is rewritten. It cannot be undone."),
      h("label", { for: id }, "Type the user's id to confirm"), field] });
  if (!sure) return;
  try {
    const { receipt } = await call("DELETE", "users", undefined, { user });
    const gone = `${plural(receipt.reviews, "review")} and everything made from them are gone.`;
    if (signal.aborted) { toast(`Forgotten: ${gone}`); return; }  // another page is shown by now
    history.replaceState(null, "", "#/");  // no address names the user any more
    const rows = Object.entries(receipt).filter(([, value]) => typeof value !== "object");
    const main = /** @type {HTMLElement} */ (document.getElementById("main"));
    fill(main, h("section", { class: "empty receipt" }, h("p", { class: "eyebrow" }, "Receipt"), h("h1", null, "Forgotten"),
      h("p", { class: "lead" }, gone),
      h("dl", null, rows.map(([name, value]) => [h("dt", null, name.replaceAll("_", " ")), h("dd", null, String(value))])),
      receipt.not_reached.length ? h("p", null, `Not reached: ${receipt.not_reached.join(", ")}.`) : null,
      h("p", { class: "row" }, button("Save the receipt", { class: "ghost", onclick: () => {
        const url = URL.createObjectURL(new Blob([JSON.stringify(receipt, null, 1)], { type: "application/json" }));
        h("a", { href: url, download: "receipt.json" }).click();
      } }), h("a", { href: "#/" }, "Start page"))));
    main.focus();
  } catch (error) { failed(error); }
}
