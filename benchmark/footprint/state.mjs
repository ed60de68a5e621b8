/** The child process that measures what a key's state costs in the memory store: many keys, and what the process grew by. */

import { RateLimiter } from '../../index.mjs'
import { answer } from '../child.mjs'
import { settledRss } from './rss.mjs'

const KEY_BYTES = 10
const WINDOW_MS = 60_000
// The calls' own times are the clock, so that a window passes as fast as calls can be made.
const START = 1_700_000_040_000

await answer(async ({ options, limit, keys, calls }) => {
  const limiter = new RateLimiter({ ...options, limit, window: WINDOW_MS, maxMemory: '16gb', clock: 'timestamps' })
  // The same work on few keys first: what V8 needs to make all these calls is not the store's.
  call(limiter, { keys, calls, keyOf: (index) => keyOf(index % 10) })
  const before = await settledRss()
  call(limiter, { keys, calls, keyOf })
  const after = await settledRss()
  const held = limiter.stats().keys
  await limiter.close()
  if (held < keys) throw new Error(`the store holds ${held} keys instead of ${keys}`)
  return { bytesPerKey: (after - before) / keys - KEY_BYTES }
})

/** Calls every key so often, evenly over its window. */
function call(limiter, { keys, calls, keyOf }) {
  for (let round = 0; round < calls; round++) {
    const timestamp = START + Math.floor((round * WINDOW_MS) / 33)
    for (let index = 0; index < keys; index++) limiter.isAllowedSync(keyOf(index), { timestamp })
  }
}

/** Made anew for each call, so that JavaScript keeps none of them. */
function keyOf(index) {
  return `k${String(index).padStart(KEY_BYTES - 1, '0')}`
}
