/** The limiter on a cache of four operations: in this process, and a real memcached. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { memcachedCache } from 'distributed-rate-limiter/memcached'
import memjs from 'memjs'

import { startMemcached } from '../scripts/memcached.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf } from './support/face.mjs'
import { assertAllSettled, startLoad } from './support/load.mjs'
import { MemoryCache } from './support/memory-cache.mjs'
import { reportsOf } from './support/race.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { settles, sleep, until } from './support/wait.mjs'

const silent = { log() {} }

let memcached
let client
before(async () => {
  memcached = await startMemcached()
  client = memjs.Client.create(memcached.address, { logger: silent, timeout: 2, retries: 0 })
})
after(async () => {
  client.close()
  await memcached.stop()
})

let made = 0
/** A limiter that shares its counts with no other, and tells of every failure. */
function limiterOn(cacheClient, options) {
  made += 1
  return new RateLimiter({ cacheClient, prefix: `cache-${made}`, timeout: '10s', onStoreError: 'throw', ...options })
}

const stores = {
  'a cache in memory': () => new MemoryCache(),
  memcached: () => memcachedCache(client),
}

for (const [name, cacheOf] of Object.entries(stores)) {
  describe(name, { timeout: 60_000 }, () => {
    test('counts down, then denies', async (t) => {
      const limiter = limiterOn(cacheOf(), { limit: 3, window: '1d' })
      t.after(() => limiter.close())
      for (const remaining of [2, 1, 0]) {
        assertDecision(await limiter.check('a'), { allowed: true, limit: 3, remaining, source: 'client' })
      }
      for (let again = 0; again < 3; again += 1) {
        assertDecision(await limiter.check('a'), { allowed: false, limit: 3, remaining: 0, source: 'client' })
      }
      assertDecision(await limiter.check('b'), { allowed: true, remaining: 2 })
      assert.equal(limiter.stats().sources.client, 7)
    })

    test('many calls at once: never more than the limit, and all of it where they come one after the other', async (t) => {
      const limiter = limiterOn(cacheOf(), { limit: 50, window: '1d' })
      t.after(() => limiter.close())
      const together = await allowedOf(limiter, 'a', 300)
      assert.ok(together >= 1 && together <= 50, `${together} of 50`)
      let more = 0
      while (await limiter.isAllowed('a')) more += 1
      assert.equal(together + more, 50, 'whatever was refused has taken itself back')
    })

    test('peek says what check would, and changes nothing', async (t) => {
      const limiter = limiterOn(cacheOf(), { limit: 2, window: '1d' })
      t.after(() => limiter.close())
      for (const remaining of [2, 1]) {
        assertDecision(await limiter.peek('a'), { allowed: true, remaining, source: 'client' })
        assertDecision(await limiter.peek('a', { cost: 2 }), { allowed: remaining === 2, remaining })
        await limiter.check('a')
      }
      assertDecision(await limiter.peek('a'), { allowed: false, remaining: 0 })
    })

    test('any key is a key of its own', async (t) => {
      const limiter = limiterOn(cacheOf(), { limit: 1, window: '1d', prefix: `ödd ${name}\n` })
      t.after(() => limiter.close())
      const keys = [
        'a',
        'a b',
        'a%20b',
        'ü',
        '\ud800',
        '\ud801',
        'x'.repeat(300),
        'x'.repeat(301),
        'a\0b',
        '\r\n',
        '🦀',
      ]
      for (const expected of [true, false]) {
        for (const key of keys) assert.equal(await limiter.isAllowed(key), expected, JSON.stringify(key))
      }
    })

    test('whoever waits retryAfterMs is allowed', async (t) => {
      const limiter = limiterOn(cacheOf(), { limit: 5, window: 200 })
      t.after(() => limiter.close())
      for (let round = 0; round < 5; round += 1) {
        while (await limiter.isAllowed('a'));
        const { allowed, retryAfterMs } = await limiter.check('a')
        if (allowed) continue
        await sleep(retryAfterMs)
        assert.ok(await limiter.isAllowed('a'), `told to wait ${retryAfterMs} ms`)
      }
    })

    test('acquire waits its turn', async (t) => {
      const limiter = limiterOn(cacheOf(), { limit: 2, window: 100 })
      t.after(() => limiter.close())
      const all = await settles(Promise.all(Array.from({ length: 6 }, () => limiter.acquire('a'))), 'six callers')
      assert.ok(all.every(({ allowed }) => allowed))
    })
  })
}

describe('the entries of a cache', { timeout: 60_000 }, () => {
  test('live for three windows, one for each window and key', async (t) => {
    const cache = new MemoryCache()
    const limiter = limiterOn(cache, { limit: 1, window: '10s', prefix: 'p' })
    t.after(() => limiter.close())
    await limiter.check('a')
    await limiter.check('b')
    for (const key of cache.keys) assert.match(key, /^p:default:sliding-counter:[ab]:\d+$/)
    for (const lifetime of cache.lifetimes) assert.ok(lifetime > 29_000 && lifetime <= 30_000, `${lifetime} ms`)
  })

  test('one call is one increment and one get; a refusal one decrement more', async (t) => {
    const cache = new MemoryCache()
    const limiter = limiterOn(cache, { limit: 1, window: '1d' })
    t.after(() => limiter.close())
    await limiter.ready()
    const { get } = cache.calls
    await limiter.check('a')
    assert.deepEqual(cache.calls, { get: get + 1, set: 0, incrementAndGet: 1, decrementAndGet: 0 })
    await limiter.check('a')
    assert.deepEqual(cache.calls, { get: get + 2, set: 0, incrementAndGet: 2, decrementAndGet: 1 })
  })
})

describe('what a cache cannot do', () => {
  const cacheClient = new MemoryCache()
  const plain = { limit: 5, window: '1m', cacheClient }
  const unsupported = { type: Error, code: 'ERR_RATE_LIMIT_UNSUPPORTED', says: ['cacheClient'] }

  const options = {
    'another algorithm': { algorithm: 'token-bucket' },
    'the sliding window': { algorithm: 'sliding-window' },
    'several limits': {
      limit: undefined,
      window: undefined,
      limits: [
        { name: 'a', limit: 1, window: '1s' },
        { name: 'b', limit: 2, window: '1m' },
      ],
    },
    'an action with another algorithm': { actions: { a: { limit: 1, window: '1s', algorithm: 'token-bucket' } } },
    'a burst': { burst: { extra: 1, window: '1s' } },
    'a window below a millisecond': { window: 0.5 },
    'a window with a fraction': { window: 1.5 },
    'a fallback that instances share': { fallback: { share: 'fleet' } },
    'refusals that are known': { denyCache: '1s' },
  }
  for (const [what, more] of Object.entries(options)) {
    test(`${what} is refused`, () => {
      const refusal = thrownBy(() => new RateLimiter({ ...plain, ...more }), what)
      assertRefusal(refusal, unsupported, what)
    })
  }

  test('sliding-counter by its name is what it is without', async (t) => {
    const cache = new MemoryCache()
    const limiters = [undefined, 'sliding-counter'].map((algorithm) =>
      limiterOn(cache, { limit: 2, window: '1d', algorithm, prefix: 'named' }),
    )
    t.after(() => Promise.all(limiters.map((limiter) => limiter.close())))
    for (const limiter of limiters) assert.equal(await limiter.isAllowed('a'), true)
    assert.equal(await limiters[0].isAllowed('a'), false)
  })

  const calls = {
    'a cost above 1': (limiter) => limiter.check('a', { cost: 2 }),
    upTo: (limiter) => limiter.check('a', { upTo: 3 }),
    refund: (limiter) => limiter.refund('a', 1),
    penalty: (limiter) => limiter.penalty('a', 1),
    block: (limiter) => limiter.block('a', '1m'),
    unblock: (limiter) => limiter.unblock('a'),
    reset: (limiter) => limiter.reset('a'),
    timestamp: (limiter) => limiter.check('a', { timestamp: Date.now() }),
    'a window of the call with a fraction': (limiter) => limiter.check('a', { limit: 5, window: 1.5 }),
  }
  for (const [what, call] of Object.entries(calls)) {
    test(`${what} is refused, whether the cache answers or not`, async (t) => {
      const cache = new MemoryCache()
      const limiter = limiterOn(cache, { limit: 5, window: '1m', timeout: 50 })
      t.after(() => limiter.close())
      assertRefusal(await rejectionOf(() => call(limiter), what), unsupported, what)
      cache.fault = () => Promise.reject(new Error('away'))
      await until(
        () => limiter.check('a').catch(() => limiter.stats().store === 'down'),
        'the cache is known to be away',
      )
      assertRefusal(await rejectionOf(() => call(limiter), what), unsupported, what)
    })
  }

  const nothing = () => {}
  const strangers = {
    'a string': 'localhost:11211',
    null: null,
    'an empty object': {},
    'three operations': { get: nothing, set: nothing, incrementAndGet: nothing },
    'a client of Redis': { evalsha: nothing, eval: nothing },
  }
  for (const [what, stranger] of Object.entries(strangers)) {
    test(`${what} is no cache`, () => {
      const refusal = thrownBy(() => new RateLimiter({ ...plain, cacheClient: stranger }), what)
      const says = ['cacheClient', 'incrementAndGet', 'was given']
      assertRefusal(refusal, { type: TypeError, code: 'ERR_RATE_LIMIT_OPTION', says }, what)
    })
  }

  test('two stores are refused', () => {
    const refusal = thrownBy(() => new RateLimiter({ ...plain, redisUrl: 'redis://localhost' }), 'two stores')
    assertRefusal(refusal, { type: TypeError, code: 'ERR_RATE_LIMIT_OPTION', says: ['redisUrl', 'cacheClient'] }, 'two')
  })

  test('what is no client of memjs is no memcached', () => {
    for (const stranger of [undefined, null, {}, 'localhost:11211', new MemoryCache()]) {
      const refusal = thrownBy(() => memcachedCache(stranger), String(stranger))
      assertRefusal(refusal, { type: TypeError, code: 'ERR_RATE_LIMIT_OPTION', says: ['memjs'] }, String(stranger))
    }
  })
})

describe('a cache in trouble', { timeout: 60_000 }, () => {
  const faults = {
    rejects: () => Promise.reject(new Error('cache error')),
    hangs: () => new Promise(() => {}),
    throws: () => {
      throw new Error('cache error')
    },
    'answers a fraction': async () => 1.5,
    'answers words': async () => 'OK',
    'answers an object': async () => ({ value: 1 }),
    'answers NaN': async () => NaN,
    'counts nothing': async (name) => (name === 'get' ? null : 0),
  }
  for (const [title, fault] of Object.entries(faults)) {
    test(`${title}: the fallback decides, and the cache again when it is well`, async (t) => {
      const cache = new MemoryCache()
      const fallback = { limit: 4, window: '1d' }
      const limiter = limiterOn(cache, { limit: 2, window: '1d', timeout: 50, onStoreError: 'local', fallback })
      t.after(() => limiter.close())
      assertDecision(await limiter.check('a'), { allowed: true, limit: 2, remaining: 1, source: 'client' })
      cache.fault = fault
      for (const remaining of [3, 2, 1, 0]) {
        const decision = await settles(limiter.check('b'), `${title}, ${remaining} left`)
        assertDecision(decision, { allowed: true, limit: 4, remaining, source: 'fallback' })
      }
      assertDecision(await limiter.check('b'), { allowed: false, limit: 4, source: 'fallback' })
      cache.fault = undefined
      await until(async () => (await limiter.check('c')).source === 'client', 'the cache decided again')
      assert.equal((await allowedOf(limiter, 'a', 5)) <= 1, true, 'what was counted before is not forgotten')
    })
  }

  test('memcached is killed under load, and comes back', async (t) => {
    const server = await startMemcached()
    const own = memjs.Client.create(server.address, { logger: silent, timeout: 0.2, conntimeout: 0.2, retries: 0 })
    const cacheClient = memcachedCache(own)
    const limiter = limiterOn(cacheClient, { limit: 1_000_000, window: '1d', timeout: 100, onStoreError: 'local' })
    t.after(async () => {
      await limiter.close()
      own.close()
      await server.stop()
    })
    const load = startLoad(limiter, { callers: 20 })
    await until(() => load.now.sources.client > 300, 'memcached decided under load')
    load.phase('during')
    await server.stop()
    await until(() => load.now.sources.fallback > 300, 'the fallback decided under load')
    await server.restart()
    load.phase('after')
    await until(() => load.now.sources.client > 300, 'memcached decided again', 20_000)
    assertAllSettled(await load.stop())
  })
})

describe('memcached', { timeout: 60_000 }, () => {
  test('counts as the four operations say', async () => {
    const cache = memcachedCache(client)
    assert.equal(await cache.get('new'), null)
    assert.equal(await cache.decrementAndGet('new'), 0)
    assert.equal(await cache.get('new'), null, 'nothing is made by counting down')
    const counts = await Promise.all(Array.from({ length: 12 }, () => cache.incrementAndGet('new', 60_000)))
    assert.deepEqual(
      counts.sort((a, b) => a - b),
      Array.from({ length: 12 }, (_, index) => index + 1),
    )
    for (const count of [11, 10, 9]) assert.equal(await cache.decrementAndGet('new'), count)
    assert.equal((await cache.get('new')).trim(), '9', 'memcached leaves a blank where a digit was')
    await cache.set('new', 3, 60_000)
    assert.equal(await cache.incrementAndGet('new', 60_000), 4)
  })

  test('counts each of the clients that make one entry at the same time', async (t) => {
    const clients = Array.from({ length: 4 }, () =>
      memjs.Client.create(memcached.address, { logger: silent, retries: 0 }),
    )
    t.after(() => clients.forEach((client) => client.close()))
    const caches = clients.map((client) => memcachedCache(client))
    for (let round = 0; round < 40; round += 1) {
      const keys = Array.from({ length: 250 }, (_, index) => `made-${round}-${index}`)
      const counts = keys.map((key) => Promise.all(caches.map((cache) => cache.incrementAndGet(key, 60_000))))
      for (const seen of await Promise.all(counts)) assert.deepEqual(seen.sort(), [1, 2, 3, 4])
    }
  })

  test('does not try for ever to make an entry', async () => {
    let tries = 0
    const increment = async () => {
      tries += 1
      throw new Error('MemJS INCREMENT: Item not stored')
    }
    const cache = memcachedCache({ get() {}, set() {}, increment, decrement() {} })
    await assert.rejects(cache.incrementAndGet('full', 60_000), /not stored/)
    assert.equal(tries, 3)
  })

  const expiries = [
    { ms: 1, s: [1, 2] },
    { ms: 60_000, s: [60, 61] },
    { ms: 29 * 86_400_000, s: [29 * 86_400, 29 * 86_400 + 1] },
    // Longer ones are moments to memcached: taken for seconds, such an entry would be gone at once, and with it the count.
    { ms: 31 * 86_400_000, s: [31 * 86_400, 31 * 86_400 + 3] },
    { ms: 3 * 365 * 86_400_000, s: [3 * 365 * 86_400, 3 * 365 * 86_400 + 3] },
  ]
  for (const { ms, s } of expiries) {
    test(`an entry of ${ms} ms lives for so long`, async () => {
      const cache = memcachedCache(client)
      const key = `expires-${ms}`
      assert.equal(await cache.incrementAndGet(key, ms), 1)
      const [, left] = /\bt(-?\d+)/.exec(await memcached.command(`mg ${key} t`)) ?? []
      assert.ok(left >= s[0] - 1 && left <= s[1], `${left} s are left of ${ms} ms`)
      assert.equal(await cache.incrementAndGet(key, ms), 2)
    })
  }

  test('an entry that outlives what memcached can count stays for ever', async () => {
    const cache = memcachedCache(client)
    assert.equal(await cache.incrementAndGet('for-ever', 30 * 365 * 86_400_000), 1)
    assert.match(await memcached.command('mg for-ever t'), /t-1/)
  })
})

describe('processes on one memcached', { timeout: 60_000 }, () => {
  test('never admit more than the limit in a window, and use it', async () => {
    const options = { limit: 40, window: 500, prefix: 'processes' }
    const args = [memcached.address, JSON.stringify(options), 'a', 4_000]
    const programs = Array.from({ length: 4 }, () => ({ file: 'cache-race.mjs', args }))
    const admitted = new Map()
    for (const report of await reportsOf(programs, 30_000)) {
      assert.deepEqual(report.sources, ['client'])
      for (const [window, count] of Object.entries(report.admitted)) {
        admitted.set(window, (admitted.get(window) ?? 0) + count)
      }
    }
    for (const [window, count] of admitted) assert.ok(count <= 40, `${count} were admitted in window ${window}`)
    const total = [...admitted.values()].reduce((sum, count) => sum + count, 0)
    assert.ok(total > 40, `only ${total} were admitted in eight windows`)
  })
})
