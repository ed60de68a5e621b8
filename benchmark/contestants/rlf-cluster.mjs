/** rate-limiter-flexible in a cluster of Node's: each call is a message to the primary, which answers by another. */

import { RateLimiterCluster, RateLimiterClusterMaster } from 'rate-limiter-flexible'
import { booleanConsume } from './rlf.mjs'

/** In the primary, before there are workers. */
export function serve() {
  return new RateLimiterClusterMaster()
}

/** In a worker. */
export async function open({ limit, windowMs }) {
  const limiter = new RateLimiterCluster({
    keyPrefix: 'bench',
    points: limit,
    duration: windowMs / 1000,
    timeoutMs: 30_000,
  })
  return { isAllowed: booleanConsume(limiter), close: async () => {} }
}
