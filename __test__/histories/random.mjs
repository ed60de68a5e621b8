/** Numbers that are the same again for the same seed, and the calls that are drawn by them. */

/** Mulberry32: `next()` is in [0, 1). */
export function randomOf(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return { next, below: (bound) => Math.floor(next() * bound) }
}

/** A call in so many hundredths. Most take units, so that limits are reached; resets and blocks are rare, since they hide what was before. */
const SHARES = [
  ['check', 40],
  ['isAllowed', 12],
  ['upTo', 10],
  ['peek', 14],
  ['refund', 10],
  ['penalty', 6],
  ['block', 2],
  ['unblock', 3],
  ['reset', 3],
]
const WHOLE = SHARES.reduce((sum, [, share]) => sum + share, 0)

/** What is called next. `isAllowed`: whether a boolean alone may be asked for, which does not say who decided. */
export function drawCall(random, { isAllowed = true } = {}) {
  let at = random.below(WHOLE)
  const [drawn] = SHARES.find(([, share]) => (at -= share) < 0)
  const cost = 1 + random.below(3)
  if (drawn === 'upTo') return { verb: 'check', cost: cost + 1, upTo: true }
  if (drawn === 'isAllowed' && !isAllowed) return { verb: 'check', cost }
  return ['reset', 'block', 'unblock'].includes(drawn) ? { verb: drawn } : { verb: drawn, cost }
}
