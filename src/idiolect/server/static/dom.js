// Nodes from plain functions. Text always becomes a text node: nothing that a user wrote can become markup.

/** @typedef {Node | string | number | null | undefined | false | readonly Child[]} Child */
/** @typedef {Record<string, unknown>} Props */

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "indeterminate"]);

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Props | null} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  return filled(document.createElement(tag), props, children);
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Props | null} [props]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, props, ...children) {
  return filled(/** @type {SVGElementTagNameMap[K]} */ (document.createElementNS(SVG, tag)), props, children);
}

/**
 * @template {Element} T
 * @param {T} node
 * @param {Props | null | undefined} props
 * @param {readonly Child[]} children
 * @returns {T}
 */
function filled(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") {
      node.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === "style") {
      // Through the object model: a style attribute is refused by the page's policy.
      for (const [key, one] of Object.entries(/** @type {Record<string, string>} */ (value))) {
        /** @type {HTMLElement} */ (/** @type {unknown} */ (node)).style.setProperty(key, one);
      }
    } else if (PROPERTIES.has(name) && node instanceof HTMLElement) {
      /** @type {any} */ (node)[name] = value;
    } else {
      node.setAttribute(name, value === true ? "" : shown(String(value)));
    }
  }
  append(node, children);
  return node;
}

/**
 * @param {Element} node
 * @param {readonly Child[]} children
 */
function append(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(node, child);
    else if (child instanceof Node) node.append(child);
    else node.append(shown(String(child)));
  }
}

/**
 * Replace what a node holds.
 * @param {Element} node
 * @param {...Child} children
 */
export function fill(node, ...children) {
  node.replaceChildren();
  append(node, children);
}

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/**
 * Text with its control characters made visible, so that none can reorder or hide what stands around it.
 * @param {string} text
 */
export function shown(text) {
  return text.replace(CONTROL, (char) => {
    const code = char.charCodeAt(0);
    if (char === "\r") return "";
    if (code < 32) return String.fromCharCode(0x2400 + code);
    if (code === 127) return "\u2421";
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}

/**
 * What a user wrote or is called, isolated from the direction of the text around it.
 * @param {string} text
 * @param {string} [kind] a class
 */
export function said(text, kind) {
  return h("bdi", kind ? { class: kind } : null, text);
}

/**
 * @param {string} text
 * @param {Props} props
 */
export function button(text, props) {
  return h("button", { type: "button", ...props }, text);
}

/**
 * A line that a person sees for a while, and that is read out.
 * @param {string} text
 * @param {"info" | "error"} [kind]
 */
export function toast(text, kind = "info") {
  const line = h("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts")?.append(line);
  setTimeout(() => line.remove(), kind === "error" ? 9000 : 4500);
}

let ids = 0;
/** An id that no other element has. */
export function newId() {
  ids += 1;
  return `n${ids}`;
}

/**
 * Asks in a dialog; resolves to whether it was confirmed.
 * @param {{title: string, body: Child, confirm: string, danger?: boolean, ready?: () => boolean}} how
 * @returns {Promise<boolean>}
 */
export function ask(how) {
  return new Promise((resolve) => {
    const title = newId();
    const yes = button(how.confirm, { class: how.danger ? "danger" : "primary" });
    const dialog = h("dialog", { "aria-labelledby": title },
      h("h2", { id: title }, how.title),
      h("div", { class: "stack" }, how.body),
      h("div", { class: "row end" }, button("Cancel", { class: "ghost", onclick: () => dialog.close("") }), yes));
    const check = () => { yes.disabled = how.ready ? !how.ready() : false; };
    yes.addEventListener("click", () => { if (!yes.disabled) dialog.close("yes"); });
    dialog.addEventListener("input", check);
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    check();
    dialog.showModal();
  });
}

/** @param {unknown} error */
export function message(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Says that something did not work; nothing, if its page was left meanwhile. @param {unknown} error */
export function failed(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  toast(message(error), "error");
}
