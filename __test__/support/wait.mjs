/** Waiting with an end: for a condition that must come true, and for a time that must have passed. */

import { setTimeout as timer } from 'node:timers/promises'

/** Returns after at least `ms`. A timer alone may fire up to a millisecond early, which would blame `retryAfterMs`. */
export async function sleep(ms) {
  const end = performance.now() + ms
  for (let left = ms; left > 0; left = end - performance.now()) await timer(Math.ceil(left))
}

/** Blocks the loop: a busy one, as whatever blocks in truth is. */
export function block(ms) {
  for (const end = performance.now() + ms; performance.now() < end;);
}

/** Asks every few milliseconds; returns the first truthy answer, and fails by naming `what` never came true. */
export async function until(condition, what, within = 5_000) {
  const end = performance.now() + within
  for (;;) {
    const answer = await condition()
    if (answer) return answer
    if (performance.now() > end) throw new Error(`waited ${within} ms in vain until ${what}`)
    await timer(10)
  }
}

/** What `promise` gives, or a failure that names `what` hung. The promise itself is left alone. */
export async function settles(promise, what, within = 10_000) {
  const gaveUp = new AbortController()
  const late = timer(within, undefined, { signal: gaveUp.signal }).then(() => {
    throw new Error(`${what} did not settle within ${within} ms`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    late.catch(() => {})
    gaveUp.abort()
  }
}
