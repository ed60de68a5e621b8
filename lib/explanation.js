// Why a call would be decided as it would: its limits, who has said that these are its own, and how each of them stands.
'use strict'

const stateOf = ({ allowed, limit, remaining, retryAfterMs, resetAt }) => ({
  allowed,
  limitNow: limit,
  remaining,
  retryAfterMs,
  resetAt,
})

/**
 * `explained` is what the native limiter says of its limits, `decision` what a call would be told now, `version` that of the policies which the
 * limiter shares, and `multiplier` what is left of the limits under load.
 */
function explanationOf({ from, pattern, limits }, decision, { version, multiplier }) {
  const { allowed, retryAfterMs, source, reason, limits: named = [], shadow = [] } = decision
  const states = new Map([...named, ...shadow].map((state) => [state.name, state]))
  return {
    allowed,
    retryAfterMs,
    source,
    ...(reason !== undefined && { reason }),
    from,
    ...(pattern !== undefined && { pattern }),
    version,
    multiplier,
    limits: limits.map((limit) => {
      // One that is alone has no name in a decision, and one of an action's own that is tried is called by that, too; of one that is tried nothing is known while the store is away.
      const own = states.get(`${limit.action}/${limit.name}`) ?? states.get(limit.name)
      const state = own ?? (limit.role === undefined ? decision : undefined)
      return state === undefined ? limit : { ...limit, ...stateOf(state) }
    }),
  }
}

module.exports = { explanationOf }
