/** Eight processes, two thousand calls each, one key, a limit of a thousand a day: exactly a thousand are allowed. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { startRedis } from '../scripts/redis.mjs'
import { isLong } from './support/long.mjs'
import { race } from './support/race.mjs'

const PROCESSES = 8
const CALLS = 2_000
const LIMIT = 1_000
const ROUNDS = isLong ? 10 : 1

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

describe('race', { timeout: ROUNDS * 90_000 }, () => {
  for (const algorithm of ['sliding-window', 'token-bucket']) {
    for (let round = 1; round <= ROUNDS; round += 1) {
      test(`${algorithm}, round ${round} of ${ROUNDS}`, async () => {
        const outcome = await race({
          options: { limit: LIMIT, window: '1d', algorithm, redisUrl: redis.url },
          key: `round-${round}`,
          processes: PROCESSES,
          calls: CALLS,
        })
        assert.deepEqual(outcome, { allowed: LIMIT, denied: PROCESSES * CALLS - LIMIT, sources: ['redis'] })
      })
    }
  }
})
