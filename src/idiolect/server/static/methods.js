// What the methods declare of themselves. The server writes it in here when it reads this file (studio.py).

/** @type {Record<string, {title: string, reads: string, about: string, history: boolean, adapter: boolean, profile: boolean, peers: boolean}>} */
export const METHODS = {};
