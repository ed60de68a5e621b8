/** The traffic of the plots, and what a limiter in memory really decides on it. */

import { RateLimiter } from '../../index.mjs'

export const LIMIT = 10
export const WINDOW_S = 10
export const END_S = 60

// At a multiple of the window, where those begin that follow the clock.
const START_MS = 1_700_000_000_000

/** When each call is made, in seconds. */
export const CALLS = [
  // A steady stream of twice the limit, for two windows.
  ...every(0, 20, 0.5),
  // One call, with which the window begins of whoever counts from a first call.
  30.5,
  // A burst across the edge of the window that begins at 40 s, and of the one that began at 30.5 s.
  ...every(39.5, 41.5, 0.05),
  // After a pause the stream again.
  ...every(52, END_S, 0.5),
]

function every(from, to, step) {
  return Array.from({ length: Math.round((to - from) / step) }, (_, index) => from + index * step)
}

/**
 * Has a limiter decide every call.
 *
 * @returns for each call `{ at, allowed, leaves }` in seconds, where `leaves` is when it may go on
 */
export async function replay(options) {
  const limiter = new RateLimiter({ limit: LIMIT, window: `${WINDOW_S}s`, ...options, clock: 'timestamps' })
  const decisions = []
  for (const at of CALLS) {
    const { allowed, delayMs } = await limiter.check('client', { timestamp: START_MS + Math.round(at * 1_000) })
    decisions.push({ at, allowed, leaves: at + delayMs / 1_000 })
  }
  await limiter.close()
  return decisions
}

/** The half-open interval of a window's length with the most of `times`, which are in order: `{ from, to, count }`. */
export function worstWindow(times) {
  let worst = { from: 0, to: 0, count: 0 }
  for (const [first, from] of times.entries()) {
    // A hair less, since these are sums of binary fractions.
    const count = times.slice(first).filter((time) => time < from + WINDOW_S - 1e-6).length
    if (count > worst.count) worst = { from, to: from + WINDOW_S, count }
  }
  return worst
}
