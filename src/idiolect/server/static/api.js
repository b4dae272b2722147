// The REST routes of the server that the page came from. The key is kept for this tab, or for this browser where a
// process of this machine handed it over, whose keys end with it.

const KEY = "idiolect.key";

/** What went wrong, as the server says it. */
export class ApiError extends Error {
  /**
   * @param {number} status 0: no answer at all
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** @returns {string} */
export function key() {
  return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "";
}

/**
 * @param {string} value
 * @param {boolean} [lasting] for all tabs
 */
export function setKey(value, lasting = false) {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
  if (value) (lasting ? localStorage : sessionStorage).setItem(KEY, value);
}

/** Take a key out of the address, where `idiolect studio` puts it: a fragment is sent to nobody. */
export function takeKey() {
  const found = /^#key=([\w-]+)$/.exec(location.hash);
  if (!found) return;
  setKey(/** @type {string} */ (found[1]), true);
  history.replaceState(null, "", location.pathname);
}

/**
 * @param {string} path
 * @param {Record<string, unknown>} [query]
 */
function address(path, query) {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => [name, one]));
  const given = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `/v1/${path}${text ? `?${text}` : ""}`;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{query?: Record<string, unknown>, body?: unknown, signal?: AbortSignal}} [how]
 * @returns {Promise<Response>}
 */
async function send(method, path, how = {}) {
  /** @type {Record<string, string>} */
  const headers = { authorization: `Bearer ${key()}` };
  if (how.body !== undefined) headers["content-type"] = "application/json";
  /** @type {Response} */
  let answer;
  try {
    const body = how.body === undefined ? null : JSON.stringify(how.body);
    answer = await fetch(address(path, how.query), { method, headers, body, signal: how.signal ?? null });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  let message = `The server answered ${answer.status}.`;
  try {
    message = (await answer.json()).error.message;
  } catch { /* no JSON: the number says enough */ }
  throw new ApiError(answer.status, message);
}

/**
 * @param {string} path
 * @param {Record<string, unknown>} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, query, signal) {
  const file = document.getElementById("held");
  if (file) return fromFile(file, path, query ?? {});
  return (await send("GET", path, { query, signal })).json();
}

/** @type {Record<string, any> | null} */
let held = null;

/**
 * What an exported file holds in place of a server.
 * @param {HTMLElement} file
 * @param {string} path
 * @param {Record<string, unknown>} query
 */
function fromFile(file, path, query) {
  held ??= /** @type {Record<string, any>} */ (JSON.parse(file.textContent ?? "{}"));
  const named = Object.fromEntries(Object.entries(query).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => [name, String(value)]));
  const found = held[`${path} ${JSON.stringify(named)}`];
  if (found === undefined) throw new ApiError(404, "This file does not hold that.");
  return found;
}

/**
 * @param {string} path
 * @param {Record<string, unknown>} query
 * @param {AbortSignal} [signal]
 */
export async function column(path, query, signal) {
  return new Float32Array(await (await send("GET", path, { query, signal })).arrayBuffer());
}

/**
 * Signals for questions of which only the newest is still of use: each ends with the one after it, or with the page.
 * @param {AbortSignal} signal of the page
 * @returns {() => AbortSignal}
 */
export function newest(signal) {
  let asked = new AbortController();
  return () => {
    asked.abort();
    asked = new AbortController();
    return AbortSignal.any([signal, asked.signal]);
  };
}

/** A file of the server. @param {string} path */
export function raw(path) {
  return send("GET", path);
}

/**
 * @param {"POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {Record<string, unknown>} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function call(method, path, body, query, signal) {
  return (await send(method, path, { body, query, signal })).json();
}

/**
 * A streamed chat; `take` gets each piece of text. Resolves to what the server says of it.
 * @param {unknown} body
 * @param {(text: string) => void} take
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function chat(body, take, signal) {
  const answer = await send("POST", "chat/completions", { body, signal });
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let about = {};
  for (;;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    const events = rest.split("\n\n");
    rest = done ? "" : /** @type {string} */ (events.pop());
    for (const event of events) {
      if (!event.startsWith("data: ") || event === "data: [DONE]") continue;
      const chunk = JSON.parse(event.slice(6));
      if (chunk.error) throw new ApiError(502, chunk.error.message);
      about = { ...about, ...(chunk.idiolect ?? {}) };
      const choice = chunk.choices?.[0];
      if (choice?.finish_reason) about = { ...about, finish: choice.finish_reason };
      const piece = choice?.delta?.content;
      if (piece) take(piece);
    }
    if (done) return about;
  }
}
