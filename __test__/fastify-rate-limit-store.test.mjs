/** The store for @fastify/rate-limit: its interface on every store. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'

import { rateLimitStore } from 'distributed-rate-limiter/fastify-rate-limit'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { places } from './support/rate-limit-stores.mjs'
import { ownPrefix } from './support/stores.mjs'
import { sleep } from './support/wait.mjs'

const { Counter } = createRequire(import.meta.url)('../middleware/stores/counter.js')

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

let redis
before(async () => (redis = await startRedis()))
after(() => redis.stop())

/** A class of stores whose limiter is closed with the test. */
function classOf(t, options) {
  const Store = rateLimitStore(options)
  t.after(() => Store.limiter.close())
  return Store
}

/** `incr` and `read` as promises. */
const call = (store, verb, key, timeWindow, max) =>
  new Promise((resolve, reject) => {
    store[verb](key, (error, result) => (error ? reject(error) : resolve(result)), timeWindow, max)
  })

/** A store whose window is an hour and whose limit is 3, unless it is said otherwise. */
function asker(store, { timeWindow = HOUR_MS, max = 3 } = {}) {
  return {
    incr: (key) => call(store, 'incr', key, timeWindow, max),
    read: (key) => call(store, 'read', key, timeWindow, max),
    currents: async (key, calls) => {
      const told = []
      for (let made = 0; made < calls; made += 1) told.push((await call(store, 'incr', key, timeWindow, max)).current)
      return told
    },
  }
}

const route = (method, url, more) => ({ ...more, routeInfo: { method, url } })

for (const [place, options] of Object.entries(places(() => redis))) {
  describe(`the interface, ${place}`, { timeout: 60_000 }, () => {
    test('counts each key, also beyond the limit', async (t) => {
      const { currents } = asker(new (classOf(t, options(t)))({}))
      assert.deepEqual(await currents('a', 6), [1, 2, 3, 4, 5, 6])
      assert.deepEqual(await currents('b', 2), [1, 2])
    })

    test('a window begins with the first request, and its end stays where it is', async (t) => {
      const { incr } = asker(new (classOf(t, options(t)))({}))
      const from = performance.now()
      assert.equal((await incr('a')).ttl, HOUR_MS)
      const { ttl } = await incr('a')
      const passed = performance.now() - from
      assert.ok(Number.isInteger(ttl) && ttl <= HOUR_MS && ttl >= HOUR_MS - passed - 2, `${ttl} after ${passed}`)
    })

    test('read tells without counting', async (t) => {
      const { incr, read } = asker(new (classOf(t, options(t)))({}))
      assert.deepEqual(await read('a'), { current: 0, ttl: 0 })
      await incr('a')
      await incr('a')
      for (let look = 0; look < 2; look += 1) {
        const { current, ttl } = await read('a')
        assert.equal(current, 2)
        assert.ok(ttl > 0 && ttl <= HOUR_MS)
      }
    })

    test('windows below a second end, and after the time that is told', async (t) => {
      const { incr } = asker(new (classOf(t, options(t)))({}), { timeWindow: 150 })
      for (let round = 0; round < 3; round += 1) {
        const { current, ttl } = await incr('a')
        assert.equal(current, 1)
        await sleep(ttl)
      }
    })

    test('a window of no length never holds more than one', async (t) => {
      const { currents, read } = asker(new (classOf(t, options(t)))({}), { timeWindow: 0 })
      assert.deepEqual(await currents('a', 5), [1, 1, 1, 1, 1])
      assert.deepEqual(await read('a'), { current: 0, ttl: 0 })
    })

    test('a window that is longer than the longest is the longest', async (t) => {
      const Store = classOf(t, options(t))
      for (const way of [{}, { continueExceeding: true }, { exponentialBackoff: true }]) {
        const { incr, read } = asker(new Store(way).child(route('GET', JSON.stringify(way))), {
          timeWindow: 1e15,
          max: 1,
        })
        for (const current of [1, 2, 3]) {
          const told = await incr('a')
          assert.equal(told.current, current)
          assert.ok(told.ttl > 3_649 * DAY_MS && told.ttl <= 3_650 * DAY_MS, `${told.ttl}`)
        }
        assert.equal((await read('a')).current, 3)
      }
    })

    test('children count apart: each route, and what has none by its limit', async (t) => {
      const store = new (classOf(t, options(t)))({})
      const children = [
        store,
        store.child(route('GET', '/a')),
        store.child(route('POST', '/a')),
        store.child(route(['GET', 'POST'], '/a')),
        store.child(route('GET', '/b')),
        store.child(route('GET', '/b')).child(route('GET', '/b')),
        store.child({ routeInfo: {}, max: 3, timeWindow: 1_000 }),
        store.child({ routeInfo: {}, max: 3, timeWindow: 2_000 }),
        store.child({ routeInfo: {}, max: () => 3, timeWindow: () => 1_000 }),
        // A path may look like the end of another's, with a key that looks like its beginning.
        store.child(route('GET', '/b:x')),
      ]
      for (const child of children) assert.deepEqual(await asker(child).currents('x', 1), [1])
      assert.deepEqual(await asker(store.child(route('GET', '/b'))).currents('x:x', 1), [1])
      for (const child of children) assert.deepEqual(await asker(child).currents('x', 1), [2])
    })

    test('the same route is the same store', async (t) => {
      const Store = classOf(t, options(t))
      await asker(new Store({}).child(route('GET', '/a'))).currents('x', 3)
      assert.deepEqual(await asker(new Store({}).child(route('GET', '/a'))).currents('x', 1), [4])
    })

    test('continueExceeding: who goes on is refused for a whole window again', async (t) => {
      const store = new (classOf(t, options(t)))({ continueExceeding: true, exponentialBackoff: true })
      const { incr, currents, read } = asker(store)
      assert.deepEqual(await currents('a', 3), [1, 2, 3])
      for (const current of [4, 5, 6]) assert.deepEqual(await incr('a'), { current, ttl: HOUR_MS })
      const peeked = await read('a')
      assert.equal(peeked.current, 6)
      assert.ok(peeked.ttl > HOUR_MS / 2 && peeked.ttl <= HOUR_MS)
      assert.equal((await read('a')).current, 6)
      assert.deepEqual(await currents('b', 1), [1])
    })

    test('continueExceeding: who has waited for a window is as good as new', async (t) => {
      const store = new (classOf(t, options(t)))({ continueExceeding: true })
      const { incr } = asker(store, { timeWindow: 900, max: 1 })
      assert.equal((await incr('a')).current, 1)
      assert.equal((await incr('a')).current, 2)
      await sleep(500)
      assert.deepEqual(await incr('a'), { current: 3, ttl: 900 })
      await sleep(500)
      assert.equal((await incr('a')).current, 4, 'it is refused beyond the end of its window')
      await sleep(900)
      assert.equal((await incr('a')).current, 1)
    })

    test('exponentialBackoff: each request beyond the limit waits twice as long, up to a day', async (t) => {
      const { currents, incr } = asker(new (classOf(t, options(t)))({ exponentialBackoff: true }))
      assert.deepEqual(await currents('a', 3), [1, 2, 3])
      for (let beyond = 1; beyond <= 8; beyond += 1) {
        const ttl = Math.min(HOUR_MS * 2 ** (beyond - 1), DAY_MS)
        assert.deepEqual(await incr('a'), { current: 3 + beyond, ttl })
      }
      const long = asker(new (classOf(t, options(t)))({ exponentialBackoff: true }), { timeWindow: 2 * DAY_MS, max: 1 })
      const ttls = []
      for (let made = 0; made < 4; made += 1) ttls.push((await long.incr('long')).ttl / DAY_MS)
      assert.deepEqual(ttls, [2, 2, 4, 4])
    })

    test('exponentialBackoff: whoever has waited begins anew', async (t) => {
      const { incr } = asker(new (classOf(t, options(t)))({ exponentialBackoff: true }), { timeWindow: 500, max: 1 })
      for (let round = 0; round < 2; round += 1) {
        assert.deepEqual(await incr('a'), { current: 1, ttl: 500 })
        assert.deepEqual(await incr('a'), { current: 2, ttl: 500 })
        assert.deepEqual(await incr('a'), { current: 3, ttl: 1_000 })
        await sleep(1_000)
      }
    })

    test('whoever is blocked is told more than the limit', async (t) => {
      const Store = classOf(t, options(t))
      const { incr, read } = asker(new Store({}))
      await Store.limiter.block(':a', '10m')
      for (const ask of [incr, read]) {
        const { current, ttl } = await ask('a')
        assert.equal(current, 4)
        assert.ok(ttl > 590_000 && ttl <= 600_000, `${ttl}`)
      }
    })

    test('what is wrong is told to the callback', async (t) => {
      const Store = classOf(t, options(t))
      await Store.limiter.close()
      for (const verb of ['incr', 'read']) {
        await assert.rejects(call(new Store({}), verb, 'a', 1_000, 1), { code: 'ERR_RATE_LIMIT_CLOSED' })
      }
    })
  })
}

describe('what is shared', { timeout: 60_000 }, () => {
  for (const [place, options] of Object.entries(places(() => redis)).filter(([place]) => place !== 'memory')) {
    test(`each request of two processes' stores is counted once, ${place}`, async (t) => {
      const given = options(t)
      const stores = [classOf(t, given), classOf(t, given)].map((Store) => new Store({}))
      const asked = Array.from({ length: 200 }, (_, index) => call(stores[index % 2], 'incr', 'a', HOUR_MS, 50))
      const told = (await Promise.all(asked)).map(({ current }) => current).sort((one, other) => one - other)
      assert.deepEqual(
        told,
        Array.from({ length: 200 }, (_, index) => index + 1),
      )
    })
  }

  test('keys in Redis expire', async (t) => {
    const prefix = ownPrefix()
    const Store = classOf(t, { redisUrl: redis.url, prefix, timeout: '30s', onStoreError: 'throw' })
    await asker(new Store({ exponentialBackoff: true })).currents('a', 5)
    const keys = await redisCommand(redis.port, 'KEYS', `${prefix}:*`)
    assert.equal(keys.length, 2)
    for (const key of keys) {
      const left = await redisCommand(redis.port, 'PTTL', key)
      assert.ok(left > 0 && left <= 2 * DAY_MS, `${key} ${left}`)
    }
  })
})

test('of a key that was never counted nothing is left, also where the clock of Redis is ahead', async (t) => {
  const { read } = asker(new (classOf(t, { redisUrl: redis.url, prefix: ownPrefix(), timeout: '30s' }))({}))
  const now = Date.now
  t.mock.method(Date, 'now', () => now() - HOUR_MS)
  assert.deepEqual(await read('a'), { current: 0, ttl: 0 })
})

test('a refusal of which the store does not hear is an error only where those are wanted', async (t) => {
  const codeOf = (promise) =>
    promise.then(
      () => undefined,
      ({ code }) => code,
    )
  const outcomes = []
  for (const more of [{}, { onStoreError: 'throw' }]) {
    const counter = new Counter('fastify-rate-limit', { redisUrl: 'redis://127.0.0.1:1', ...more })
    t.after(() => counter.close())
    outcomes.push(await codeOf(counter.block('a', 1_000)))
    await counter.close()
    outcomes.push(await codeOf(counter.block('a', 1_000)))
  }
  const closed = 'ERR_RATE_LIMIT_CLOSED'
  assert.deepEqual(outcomes, [undefined, closed, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE', closed])
})

describe('options', () => {
  test('those of a limit are refused', () => {
    assert.throws(() => rateLimitStore({ limit: 5 }), {
      code: 'ERR_RATE_LIMIT_OPTION',
      message: /^`limit` was given to a store of fastify-rate-limit/,
    })
  })

  test('require and import give the same function', () => {
    const required = createRequire(import.meta.url)('distributed-rate-limiter/fastify-rate-limit')
    assert.equal(required.rateLimitStore, rateLimitStore)
  })
})
