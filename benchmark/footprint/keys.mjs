/** What a key costs in the memory store: many keys, and what the process grew by. */

import { RateLimiter } from '../../index.mjs'
import { settledRss } from './rss.mjs'

const KEY_BYTES = 10

export async function measureKeys({ algorithm, keys }) {
  // A window so long that no key expires while the others come, and room for all, so that none shares a count.
  const limiter = new RateLimiter({ algorithm, limit: 100, window: '10d', maxMemory: '16gb' })
  // The same work on few keys first: what V8 needs to make all these strings is not the store's.
  for (let index = 0; index < keys; index++) limiter.isAllowedSync(keyOf(index % 10))

  const before = await settledRss()
  for (let index = 0; index < keys; index++) limiter.isAllowedSync(keyOf(index))
  const after = await settledRss()

  const held = limiter.stats().keys
  await limiter.close()
  if (held < keys) throw new Error(`the store holds ${held} keys instead of ${keys}`)
  return { keys, grownBytes: after - before, bytesPerKey: (after - before) / keys - KEY_BYTES }
}

/** Made anew for each call, so that JavaScript keeps none of them. */
function keyOf(index) {
  return `k${String(index).padStart(KEY_BYTES - 1, '0')}`
}
