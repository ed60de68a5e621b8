// Memcached as a `cacheClient`, over a client of memjs.
'use strict'

// Longer times are absolute, in seconds since 1970, and what does not fit in 31 bits is for ever.
const LONGEST_RELATIVE_S = 30 * 86_400
const LAST_SECOND = 2 ** 31 - 1
const FOR_EVER = 0
// In place of an expiry: an entry that is not there is not made.
const NEVER_MAKE = 0xffffffff
// To count up makes an entry in two steps of memcached, and another client may have come between them: then nothing was
// counted, and the entry is there the next time.
const MOST_TRIES = 3

/**
 * A cache of the four operations that `cacheClient` needs. Each is one command, said again where it was not done; to count up
 * makes an entry that is not there, which needs the binary protocol that memjs speaks.
 */
function memcachedCache(client) {
  for (const name of ['get', 'set', 'increment', 'decrement']) {
    if (typeof client?.[name] !== 'function') {
      throw Object.assign(
        new TypeError(`memcachedCache takes a client of memjs, and what was given has no ${name}()`),
        {
          code: 'ERR_RATE_LIMIT_OPTION',
        },
      )
    }
  }
  return {
    async get(key) {
      const { value } = await client.get(key)
      return value === null ? null : value.toString()
    },
    async set(key, value, expiryMs) {
      await client.set(key, String(value), { expires: expiryOf(expiryMs) })
    },
    async incrementAndGet(key, expiryMs) {
      for (let tries = 1; ; tries += 1) {
        try {
          const { value } = await client.increment(key, 1, { initial: 1, expires: expiryOf(expiryMs) })
          return value
        } catch (error) {
          if (tries === MOST_TRIES || !/not stored/i.test(error?.message)) throw error
        }
      }
    },
    async decrementAndGet(key) {
      try {
        const { value } = await client.decrement(key, 1, { expires: NEVER_MAKE })
        return value
      } catch (error) {
        // No entry, no count.
        if (/not found/i.test(error?.message)) return 0
        throw error
      }
    },
  }
}

/** An expiry as memcached takes it. It counts whole seconds of a clock that ticks, so one more is needed to live long enough. */
function expiryOf(ms) {
  const seconds = Math.ceil(ms / 1_000) + 1
  if (seconds <= LONGEST_RELATIVE_S) return seconds
  const moment = Math.ceil(Date.now() / 1_000) + seconds
  return moment <= LAST_SECOND ? moment : FOR_EVER
}

module.exports = { memcachedCache }
