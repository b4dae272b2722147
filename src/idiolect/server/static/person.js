// One user: how they differ from others, what a model writes in their voice, who is like them, what they wrote.

import { get, newest } from "./api.js";
import { drawHistory } from "./beside.js";
import { drawDifferences, drawVoiceprint } from "./claims.js";
import { button, fill, h, said } from "./dom.js";
import { count, day, plural, sentence } from "./format.js";
import { to } from "./nav.js";
import { download, drawReviews, forget } from "./reviews.js";
import { writingPanel } from "./write.js";

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
  const asks = newest(signal);
  /** @type {Person} */
  const person = {
    user, context, card, profile,
    reload: async () => {
      const asked = asks();
      [person.profile, person.card] = await Promise.all([get("profile", { user }, asked), get("differences", { user }, asked)]);
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
  const main = card.differences.find((/** @type {Json} */ one) => one.state === "active")?.difference;
  const facts = [
    plural(profile.reviews, "review"),
    profile.first === null ? null : `${day(profile.first)} to ${day(profile.last)}`,
    counts.items ? `${count(counts.items)} compared with ${plural(counts.peer_reviews, "review")} by ${plural(counts.others, "other user")}` : "nobody else wrote about the same items",
    profile.peer ? null : "not used as a peer",
  ].filter(Boolean);
  fill(place,
    h("div", null, h("p", { class: "eyebrow" }, "How this user differs"), h("h1", null, said(user)), h("p", { class: "lead" }, inShort(card)),
      h("p", { class: "facts" }, facts.join(" · "))),
    h("div", { class: "actions" },
      h("a", { class: "button ghost", href: to("map", { user, colour: main }) }, "Find on the map"),
      button("Download everything", { class: "ghost", onclick: () => void download(user) }),
      may("erase") ? button("Forget …", { class: "ghost danger", onclick: () => void forget(user, context.signal) }) : null));
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
