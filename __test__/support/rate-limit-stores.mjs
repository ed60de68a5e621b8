/** Where the stores for other packages are tested: each of the places in which they can count. */

import { Redis } from 'ioredis'

import { sharedName } from './shared.mjs'
import { ownPrefix } from './stores.mjs'

/** They have the time to answer, however busy the machine, and tell of every failure. */
const PATIENT = { timeout: '30s', onStoreError: 'throw' }

/**
 * By name, `options(t)` for stores that share their counts: as many as are made of one answer. In memory that is one store. `redis()`
 * gives the server once it runs.
 */
export function places(redis) {
  return {
    memory: () => ({}),
    redis: () => ({ ...PATIENT, redisUrl: redis().url, prefix: ownPrefix() }),
    client: (t) => {
      const redisClient = new Redis(redis().url)
      t.after(() => redisClient.quit())
      return { ...PATIENT, redisClient, prefix: ownPrefix() }
    },
    shared: (t) => ({ shared: sharedName(t) }),
  }
}
