// Addresses: everything that is shown can be linked to.

/**
 * The address of a page.
 * @param {string} name
 * @param {Record<string, string | undefined>} [params]
 */
export function to(name, params = {}) {
  const pairs = Object.entries(params).filter(([, value]) => value !== undefined && value !== "");
  const query = new URLSearchParams(/** @type {[string, string][]} */ (pairs)).toString();
  return `#/${name}${query ? `?${query}` : ""}`;
}

/** The page's name and its parameters, from an address such as `#/person?user=ann`. */
export function route() {
  const [name, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { name: name ?? "", params: new URLSearchParams(query ?? "") };
}

/**
 * Note in the address what is looked at, without another page.
 * @param {Record<string, string | undefined>} changes
 */
export function note(changes) {
  const { name, params } = route();
  for (const [key, value] of Object.entries(changes)) value ? params.set(key, value) : params.delete(key);
  history.replaceState(null, "", to(name, Object.fromEntries(params)));
}

/**
 * @typedef {object} Context
 * @property {Record<string, any>} overview what the server has
 * @property {URLSearchParams} params of the address
 * @property {AbortSignal} signal ends with the page
 */
