/** What is measured of memory. */

import { measureCalls } from './calls.mjs'
import { measureKeys } from './keys.mjs'

const MILLION = 1_000_000

const AT_MOST_150_BYTES = { field: 'bytesPerKey', atMost: 150 }
const AT_MOST_10_MIB = { field: 'grownBytes', atMost: 10 * 2 ** 20 }

/** A `quick` block replaces the sizes above it when only a short run is asked for. */
export const MEASUREMENTS = [
  {
    id: 'keys-token-bucket',
    title: 'memory store, token-bucket',
    measure: measureKeys,
    target: AT_MOST_150_BYTES,
    settings: { algorithm: 'token-bucket', keys: MILLION },
    quick: { keys: MILLION / 10 },
  },
  {
    id: 'keys-sliding-window',
    title: 'memory store, sliding-window',
    measure: measureKeys,
    settings: { algorithm: 'sliding-window', keys: MILLION },
    quick: { keys: MILLION / 10 },
  },
  ...['sliding-window', 'token-bucket'].flatMap((algorithm) => [
    {
      id: `calls-memory-${algorithm}`,
      title: `memory store, ${algorithm}, each call awaited`,
      measure: measureCalls,
      target: AT_MOST_10_MIB,
      settings: { algorithm, pending: 1, firstCalls: MILLION, calls: 10 * MILLION },
      quick: { firstCalls: MILLION / 10, calls: MILLION },
    },
    {
      id: `calls-redis-${algorithm}`,
      title: `Redis, ${algorithm}, 1,000 calls always pending`,
      measure: measureCalls,
      target: AT_MOST_10_MIB,
      needsRedis: true,
      settings: { algorithm, pending: 1_000, firstCalls: MILLION, calls: 10 * MILLION },
      quick: { firstCalls: MILLION / 20, calls: MILLION / 4 },
    },
  ]),
]
