// A cache with four operations, all async: `get(key)`, `set(key, value, expiryMs)`, `incrementAndGet(key, expiryMs)`,
// `decrementAndGet(key)`.
'use strict'

const OPERATIONS = ['get', 'set', 'incrementAndGet', 'decrementAndGet']

/** The adapter, where `client` has all four. `set` is part of such a cache, and nothing here needs it. */
function cache(client) {
  if (!OPERATIONS.every((name) => typeof client[name] === 'function')) return undefined
  return {
    get: (key) => client.get(key),
    incrementAndGet: (key, expiryMs) => client.incrementAndGet(key, expiryMs),
    decrementAndGet: (key) => client.decrementAndGet(key),
  }
}

module.exports = { cache }
