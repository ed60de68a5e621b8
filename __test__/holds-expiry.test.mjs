/** When holds in Redis end, no two of a key at once; and how long a key is kept of which something is held: as long as they, or what is counted. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { atMost } from './support/long.mjs'
import { manual } from './support/manual-pressure.mjs'
import { maker, ownPrefix } from './support/stores.mjs'

const { HOLDS } = createRequire(import.meta.url)('../lib/rate-limiter.js')

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000]

describe('a held key', { timeout: atMost(60_000) }, () => {
  let redis
  before(async () => {
    redis = await startRedis()
  })
  after(() => redis?.stop())

  const make = maker(() => ({ redisUrl: redis.url }))

  /** How many milliseconds the only key of that prefix is kept, or nothing where there is none. */
  async function life(prefix) {
    const [name] = await redisCommand(redis.port, 'KEYS', `${prefix}:*`)
    return name && Number(await redisCommand(redis.port, 'PTTL', name))
  }

  test('is kept as long as its last hold, where that is longer', async (t) => {
    const prefix = ownPrefix()
    const limiter = make(t, { limit: 10, window: '1m', prefix })
    await limiter.check('a')
    const reservation = await limiter.reserve('a', { ttl: '1d' })
    assert.ok((await life(prefix)) > 2 * HOUR)
    await limiter.check('a')
    assert.ok((await life(prefix)) > 2 * HOUR, 'also when something is taken beside it')
    await reservation.settle(1)
    const left = await life(prefix)
    assert.ok(left > 0 && left <= 2 * MINUTE, `${left} ms of what is counted are left`)
  })

  test('is kept as long as what is counted, where that is longer', async (t) => {
    const prefix = ownPrefix()
    const limiter = make(t, { limit: 10, window: '1d', algorithm: 'sliding-window', prefix })
    await limiter.check('a', { cost: 3 })
    const reservation = await limiter.reserve('a', { ttl: '1m' })
    assert.ok((await life(prefix)) > DAY - HOUR)
    await reservation.settle(1)
    assert.ok((await life(prefix)) > DAY - HOUR)
    assert.equal((await limiter.peek('a')).remaining, 6)
  })

  test('is gone when the last hold of nothing is cancelled', async (t) => {
    const prefix = ownPrefix()
    const limiter = make(t, { limit: 10, window: '1d', prefix })
    const reservation = await limiter.reserve('a', { ttl: '1h' })
    assert.ok((await life(prefix)) > 0)
    await reservation.cancel()
    assert.equal(await life(prefix), undefined)
  })

  const endsOf = (reservations) => new Set(reservations.map(({ expiresAt }) => expiresAt)).size

  test('has no two holds that end at once, also behind one that ends earlier', async (t) => {
    const limiter = make(t, { limit: 100, window: '1d', prefix: ownPrefix() })
    await limiter.reserve('a', { ttl: '1m' })
    // All of them in one call of the script, for which it is one moment.
    const reservations = await Promise.all(Array.from({ length: 20 }, () => limiter.reserve('a', { ttl: '1h' })))
    assert.equal(endsOf(reservations), 20)
    const renewed = await Promise.all(
      reservations.map(({ expiresAt }) => {
        const hold = { ends: Math.round(expiresAt * 1_000), here: false }
        return limiter[HOLDS].renew('a', 2 * HOUR, hold)
      }),
    )
    assert.equal(new Set(renewed.map(({ booked }) => booked)).size, 20, 'nor after they were renewed')
  })

  test('has none that ends with another, whichever key the other is of', async (t) => {
    const limits = ['user', 'ip'].map((by) => ({ name: by, by, limit: 100, window: '1d' }))
    const limiter = make(t, { limits, prefix: ownPrefix() })
    await limiter.ready()
    // Of one moment: the second ends one microsecond after the first. At the end of the third the last is refused by its second key, and a
    // microsecond later by its first.
    const [, second, , last] = await Promise.all(
      [
        ['a', '1'],
        ['b', '1'],
        ['z', '9'],
        ['b', '9'],
      ].map(([user, ip]) => limiter.reserve({ user, ip }, { ttl: '1h' })),
    )
    assert.equal(endsOf([second, last]), 2)
  })

  for (const store of ['memory', 'redis']) {
    test(`answers who asks for more than a limit has left under load: ${store}`, async (t) => {
      const { load, make, pass } = manual(t)
      const own = store === 'redis' ? { redisUrl: redis.url, timeout: '30s', onStoreError: 'throw' } : {}
      const limiter = make({ limit: 10, window: '1d', prefix: ownPrefix(), ...own })
      await limiter.ready()
      await limiter.reserve('a', { cost: 1, ttl: '1h' })
      load.now = 5
      pass(60)
      const refused = await limiter.check('a', { cost: 9 })
      assert.deepEqual([refused.allowed, refused.limit], [false, 2])
      assert.ok(Number.isFinite(refused.retryAfterMs))
    })
  }
})
