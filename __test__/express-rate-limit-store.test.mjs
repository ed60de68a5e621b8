/** The store for express-rate-limit: its interface on every store. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'

import { MemoryStore } from 'express-rate-limit'
import { RateLimitStore } from 'distributed-rate-limiter/express-rate-limit'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { places } from './support/rate-limit-stores.mjs'
import { ownPrefix } from './support/stores.mjs'
import { sleep, until } from './support/wait.mjs'

const HOUR_MS = 3_600_000

let redis
before(async () => (redis = await startRedis()))
after(() => redis.stop())

/** A store that is ready to count, as express-rate-limit makes it so. */
function storeOf(t, options, { windowMs = HOUR_MS, limit = 5 } = {}) {
  const store = new RateLimitStore(options)
  t.after(() => store.shutdown())
  store.init({ windowMs, limit })
  return store
}

/** The hits that each of `calls` increments is told. */
async function hits(store, key, calls) {
  const told = []
  for (let call = 0; call < calls; call += 1) told.push((await store.increment(key)).totalHits)
  return told
}

for (const [place, options] of Object.entries(places(() => redis))) {
  describe(`the interface, ${place}`, { timeout: 60_000 }, () => {
    test('counts each key, also beyond the limit', async (t) => {
      const store = storeOf(t, options(t))
      assert.deepEqual(await hits(store, 'a', 8), [1, 2, 3, 4, 5, 6, 7, 8])
      assert.deepEqual(await hits(store, 'b', 2), [1, 2])
    })

    test('a window begins with the first hit, and its end stays where it is', async (t) => {
      const store = storeOf(t, options(t))
      const from = Date.now()
      const first = await store.increment('a')
      const to = Date.now()
      assert.ok(first.resetTime instanceof Date)
      const began = first.resetTime.getTime() - HOUR_MS
      // Rounded up to the millisecond, and never told earlier than it is.
      assert.ok(began >= from && began <= to + 1, `${from} ${began} ${to}`)
      const second = await store.increment('a')
      assert.ok(Math.abs(second.resetTime - first.resetTime) <= 1 + (Date.now() - from))
    })

    test('decrement takes one back, and never goes below none', async (t) => {
      const store = storeOf(t, options(t))
      await hits(store, 'a', 3)
      await store.decrement('a')
      assert.deepEqual(await hits(store, 'a', 1), [3])
      await store.decrement('b')
      await store.decrement('b')
      assert.deepEqual(await hits(store, 'b', 2), [1, 2])
    })

    test('get tells without counting, and nothing of a key that has no hits', async (t) => {
      const store = storeOf(t, options(t))
      assert.equal(await store.get('a'), undefined)
      const { resetTime } = (await store.increment('a'), await store.increment('a'))
      assert.equal((await store.get('a')).totalHits, 2)
      assert.equal((await store.get('a')).totalHits, 2)
      assert.ok(Math.abs((await store.get('a')).resetTime - resetTime) < HOUR_MS / 2)
    })

    test('resetKey forgets one key, resetAll all of them', async (t) => {
      const store = storeOf(t, options(t))
      for (const key of ['a', 'b', 'c']) await hits(store, key, 3)
      await store.resetKey('a')
      assert.equal(await store.get('a'), undefined)
      assert.deepEqual(await hits(store, 'b', 1), [4])
      await store.resetAll()
      for (const key of ['a', 'b', 'c']) assert.equal(await store.get(key), undefined)
      assert.deepEqual(await hits(store, 'b', 2), [1, 2])
      await store.resetKey('b')
      await store.resetAll()
      assert.deepEqual(await hits(store, 'b', 2), [1, 2])
    })

    test('windows below a second end, and after the time that is told', async (t) => {
      const store = storeOf(t, options(t), { windowMs: 150 })
      for (let round = 0; round < 3; round += 1) {
        const { totalHits, resetTime } = await store.increment('a')
        assert.equal(totalHits, 1)
        await sleep(Math.max(0, resetTime - Date.now()))
      }
    })

    test('a window that is longer than the longest is the longest', async (t) => {
      const store = storeOf(t, options(t), { windowMs: Infinity })
      assert.deepEqual(await hits(store, 'a', 2), [1, 2])
      const { resetTime } = await store.increment('a')
      assert.ok(resetTime - Date.now() > 3_649 * 24 * HOUR_MS)
    })

    test('whoever is blocked is told more than the limit', async (t) => {
      const store = storeOf(t, options(t), { limit: 5 })
      await hits(store, 'a', 2)
      await store.limiter.block('a', '10m')
      const { totalHits, resetTime } = await store.increment('a')
      assert.equal(totalHits, 6)
      assert.ok(resetTime - Date.now() > 590_000)
      await store.limiter.unblock('a')
      assert.deepEqual(await hits(store, 'a', 1), [3])
    })

    test('any key that a keyGenerator may give is counted', async (t) => {
      const store = storeOf(t, options(t))
      for (const key of ['', 7, undefined, 'a b\n{c}:*', '🦀', 'x'.repeat(5_000)]) {
        assert.deepEqual(await hits(store, key, 2), [1, 2])
      }
    })

    test('after shutdown it rejects', async (t) => {
      const store = storeOf(t, options(t))
      await store.increment('a')
      await store.shutdown()
      await store.shutdown()
      await assert.rejects(store.increment('a'), { code: 'ERR_RATE_LIMIT_CLOSED' })
    })

    test('it says whether others count here, and under which prefix', (t) => {
      const given = options(t)
      const store = storeOf(t, given)
      assert.equal(store.localKeys, place === 'memory')
      assert.equal(store.prefix, given.prefix ?? 'express-rate-limit')
    })

    test('it counts as the memory store of express-rate-limit does', async (t) => {
      const [ours, theirs] = [storeOf(t, options(t)), new MemoryStore()]
      theirs.init({ windowMs: HOUR_MS })
      t.after(() => theirs.shutdown())
      let seed = 7
      const random = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below
      for (let step = 0; step < 400; step += 1) {
        const key = `key-${random(4)}`
        const verb = ['increment', 'increment', 'increment', 'decrement', 'get', 'resetKey'][random(6)]
        const [told, expected] = [await ours[verb](key), await theirs[verb](key)]
        // Where nothing is counted theirs may say so in either way.
        assert.equal(told?.totalHits ?? 0, expected?.totalHits ?? 0, `step ${step}: ${verb} ${key}`)
      }
    })
  })
}

describe('what is shared', { timeout: 60_000 }, () => {
  for (const [place, options] of Object.entries(places(() => redis)).filter(([place]) => place !== 'memory')) {
    test(`each hit of two stores is counted once, ${place}`, async (t) => {
      const given = options(t)
      const stores = [storeOf(t, given), storeOf(t, given)]
      const calls = Array.from({ length: 200 }, (_, index) => stores[index % 2].increment('a'))
      const told = (await Promise.all(calls)).map(({ totalHits }) => totalHits).sort((one, other) => one - other)
      assert.deepEqual(
        told,
        Array.from({ length: 200 }, (_, index) => index + 1),
      )
    })

    test(`resetAll is heeded by the other within a second, ${place}`, async (t) => {
      const given = options(t)
      const [one, other] = [storeOf(t, given), storeOf(t, given)]
      await hits(one, 'a', 3)
      assert.equal((await other.get('a')).totalHits, 3)
      await one.resetAll()
      assert.equal(await one.get('a'), undefined)
      await until(async () => (await other.get('a')) === undefined, 'the other has forgotten', 10_000)
      // One that is made later begins in the same era.
      await hits(one, 'a', 2)
      assert.deepEqual(await hits(storeOf(t, given), 'a', 1), [3])
    })
  }

  test('two stores in memory share nothing', async (t) => {
    await hits(storeOf(t), 'a', 3)
    assert.deepEqual(await hits(storeOf(t), 'a', 1), [1])
  })

  test('keys in Redis expire with their window, also after a decrement', async (t) => {
    const prefix = ownPrefix()
    const store = storeOf(t, { redisUrl: redis.url, prefix, timeout: '30s', onStoreError: 'throw' })
    await hits(store, 'a', 2)
    await store.decrement('a')
    const keys = await redisCommand(redis.port, 'KEYS', `${prefix}:*`)
    assert.equal(keys.length, 1)
    const left = await redisCommand(redis.port, 'PTTL', keys[0])
    assert.ok(left > 0 && left <= 2 * HOUR_MS, `${left}`)
    await store.decrement('a')
    assert.deepEqual(await redisCommand(redis.port, 'KEYS', `${prefix}:*`), [])
  })

  for (const aheadMs of [-HOUR_MS, HOUR_MS]) {
    test(`resetTime is by this process's clock, which Redis's is ${aheadMs > 0 ? 'behind' : 'ahead of'}`, async (t) => {
      const store = storeOf(t, { redisUrl: redis.url, prefix: ownPrefix(), timeout: '30s' }, { windowMs: 60_000 })
      const now = Date.now
      t.mock.method(Date, 'now', () => now() + aheadMs)
      const from = Date.now()
      for (let hit = 1; hit <= 3; hit += 1) {
        const { totalHits, resetTime } = await store.increment('a')
        assert.equal(totalHits, hit)
        const began = resetTime - 60_000
        assert.ok(began >= from && began <= Date.now() + 1, `${began - from} ms after the first hit`)
      }
    })
  }
})

describe('options', () => {
  const refused = {
    limit: 5,
    window: '1m',
    limits: [],
    algorithm: 'sliding-window',
    burst: 5,
    resolution: 32,
    align: true,
    fallback: {},
    actions: {},
    newKeys: {},
    lease: false,
    cacheClient: {},
    clock: 'store',
  }
  for (const [name, value] of Object.entries(refused)) {
    test(`${name} is refused`, () => {
      assert.throws(() => new RateLimitStore({ [name]: value }), {
        name: 'TypeError',
        code: 'ERR_RATE_LIMIT_OPTION',
        message: new RegExp(`^\`${name}\` was given to a store of express-rate-limit`),
      })
    })
  }

  test('so are those that nobody knows', () => {
    assert.throws(() => new RateLimitStore({ redisURL: 'redis://localhost' }), {
      code: 'ERR_RATE_LIMIT_UNKNOWN_OPTION',
    })
  })

  test('require and import give the same class', () => {
    const required = createRequire(import.meta.url)('distributed-rate-limiter/express-rate-limit')
    assert.equal(required.RateLimitStore, RateLimitStore)
  })
})
