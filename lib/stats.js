// What `stats()` shows: the numbers of Rust, where those that have names stand by their names.
'use strict'

/** The counters of a native limiter. */
function statsOf(native) {
  const stats = native.stats()
  return { ...stats, limits: byName(stats.limits), actions: byName(stats.actions), shadow: byName(stats.shadow) }
}

/** Own properties, whatever the names are: `__proto__` may be an action. */
function byName(counts) {
  return Object.fromEntries(counts.map(({ name, ...count }) => [name, count]))
}

module.exports = { statsOf }
