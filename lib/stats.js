// What `stats()` shows: the numbers of Rust, where those that have names stand by their names.
'use strict'

/** The counters of a native limiter, and of its policies. */
function statsOf(native, policies) {
  const stats = native.stats()
  return {
    ...stats,
    limits: byName(stats.limits),
    actions: byName(stats.actions),
    shadow: byName(stats.shadow),
    policies,
  }
}

/** Own properties, whatever the names are: `__proto__` may be an action. */
function byName(counts) {
  return Object.fromEntries(counts.map(({ name, ...count }) => [name, count]))
}

module.exports = { statsOf }
