// What `stats()` shows: the numbers of Rust, where those that have names stand by their names.
'use strict'

const NONE = { version: 0, changes: 0, invalid: 0 }

/** The counters of a native limiter, and of the policies that it shares. */
function statsOf(native, shared) {
  const stats = native.stats()
  return {
    ...stats,
    limits: byName(stats.limits),
    actions: byName(stats.actions),
    policies: shared?.stats() ?? { ...NONE },
  }
}

/** Own properties, whatever the names are: `__proto__` may be an action. */
function byName(counts) {
  return Object.fromEntries(counts.map(({ name, ...count }) => [name, count]))
}

module.exports = { statsOf }
