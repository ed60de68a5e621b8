/**
 * Five hundred callers in four processes wait for one key: all of them pass, at the limit's rate, in each process in the order
 * in which they came.
 *
 * When the store let somebody pass is told by its own clock: a decision says when its key will be as good as new, which is a
 * window after a caller of a sliding window passed, and a full bucket's filling after the place of a bucket's caller.
 */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { isLong } from './support/long.mjs'
import { reportsOf } from './support/race.mjs'

const PROCESSES = 4
const CALLERS = 500 / PROCESSES
const ROUNDS = isLong ? 10 : 1

/** Milliseconds are rounded, and the processes and Redis read clocks of their own. */
const CLOCK_SLACK_MS = 5

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

/** Between the passing of one and of the one `places` later there is `apart` at least; a key is as good as new `full` after. */
const cases = {
  'token-bucket': { limit: 250, window: 1_000, burst: 10, places: 1, apart: 4, full: 40 },
  'sliding-window': { limit: 50, window: 200, places: 50, apart: 200, full: 200 },
}

describe('500 callers who wait in 4 processes', { timeout: ROUNDS * 180_000 }, () => {
  for (const [algorithm, { places, apart, full, ...numbers }] of Object.entries(cases)) {
    for (let round = 1; round <= ROUNDS; round += 1) {
      test(`${algorithm}, round ${round} of ${ROUNDS}`, async (t) => {
        const key = `round-${round}`
        const options = { algorithm, ...numbers, redisUrl: redis.url, timeout: '30s', onStoreError: 'throw' }
        const programs = Array.from({ length: PROCESSES }, () => ({
          file: 'acquire-race.mjs',
          args: [JSON.stringify(options), key, CALLERS],
        }))
        const reports = await reportsOf(programs)
        const all = reports.flat()

        assert.equal(all.length, 500)
        for (const { allowed, granted, source } of all) {
          assert.deepEqual(
            { allowed, granted, source },
            { allowed: true, granted: 1, source: 'redis' },
            'all are served',
          )
        }
        for (const report of reports) {
          assert.deepEqual(
            report.map(({ place }) => place),
            report.map((_, index) => index + 1),
            'who came first passed first',
          )
        }

        const resets = all.map(({ resetAt }) => resetAt).sort((a, b) => a - b)
        for (let later = places; later < resets.length; later += 1) {
          const between = resets[later] - resets[later - places]
          assert.ok(between >= apart, `${places + 1} places within ${between} ms: the limit has ${apart}`)
        }
        for (const { at, resetAt } of all) {
          const early = resetAt - full - at
          assert.ok(early <= CLOCK_SLACK_MS, `somebody passed ${early} ms before it was their turn`)
        }

        const limiter = new RateLimiter(options)
        t.after(() => limiter.close())
        const { resetAt } = await limiter.peek(key)
        const last = Math.max(resets.at(-1), Date.now() + CLOCK_SLACK_MS)
        assert.ok(resetAt <= last, `the store has counted what nobody was given: ${resetAt - last} ms of it`)
        const longest = Math.max(...all.map(({ waited }) => waited))
        t.diagnostic(
          `the longest wait was ${longest.toFixed(0)} ms, of ${((500 / numbers.limit) * numbers.window).toFixed(0)}`,
        )
      })
    }
  }
})
