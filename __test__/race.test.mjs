/**
 * Eight processes. Two thousand calls each on one key, a limit of a thousand a day: exactly a thousand are allowed. And calls
 * under three limits on three keys: of each key exactly that is consumed which was allowed.
 */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { isLong } from './support/long.mjs'
import { race, reportsOf } from './support/race.mjs'

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

describe('race under several limits', { timeout: ROUNDS * 90_000 }, () => {
  const algorithms = {
    'one algorithm': ['sliding-window', 'sliding-window', 'sliding-window'],
    'an algorithm each': ['fixed-window', 'sliding-window', 'token-bucket'],
  }
  for (const [title, [user, ip, all]] of Object.entries(algorithms)) {
    test(`${title}: what is consumed is what was allowed`, async (t) => {
      const limits = [
        { name: 'user', by: 'user', limit: 120, window: '1d', algorithm: user },
        { name: 'ip', by: 'ip', limit: 250, window: '1d', algorithm: ip },
        { name: 'all', by: 'global', limit: 900, window: '1d', algorithm: all },
      ]
      const options = {
        limits,
        redisUrl: redis.url,
        prefix: title,
        timeout: '30s',
        onStoreError: 'throw',
        denyCache: false,
      }
      const reports = await reportsOf(
        Array.from({ length: PROCESSES }, (_, seed) => ({
          file: 'limits-race.mjs',
          args: [JSON.stringify(options), seed + 1, 250],
        })),
      )

      const units = { user: {}, ip: {}, all: {} }
      const refusedBy = { user: 0, ip: 0, all: 0 }
      for (const report of reports) {
        for (const name of ['user', 'ip', 'all']) {
          refusedBy[name] += report.refusedBy[name]
          for (const [key, taken] of Object.entries(report.units[name])) {
            units[name][key] = (units[name][key] ?? 0) + taken
          }
        }
      }
      t.diagnostic(`refused by ${JSON.stringify(refusedBy)}`)
      for (const name of ['user', 'ip', 'all']) assert.ok(refusedBy[name] > 0, `some were refused by ${name}`)

      const limiter = new RateLimiter(options)
      t.after(() => limiter.close())
      for (const [user, byUser] of Object.entries(units.user)) {
        for (const [ip, byIp] of Object.entries(units.ip)) {
          assert.deepEqual(
            (await limiter.peek({ user, ip })).limits.map(({ remaining }) => remaining),
            [120 - byUser, 250 - byIp, 900 - units.all.global],
            `what is left of ${user}, ${ip} and all together`,
          )
        }
      }
    })
  }
})
