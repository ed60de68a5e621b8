/** Ours in memory that the processes of one machine share. */

import { RateLimiter } from '../../index.mjs'

export async function open({ limit, windowMs, algorithm, name }) {
  const limiter = new RateLimiter({ limit, window: windowMs, algorithm, shared: name })
  return { isAllowed: (key) => limiter.isAllowed(key), close: () => limiter.close() }
}
