/** The store for @fastify/rate-limit: its interface on every store, and @fastify/rate-limit itself with it, over HTTP. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import rateLimit from '@fastify/rate-limit'
import fastify from 'fastify'
import { rateLimitStore } from 'distributed-rate-limiter/fastify-rate-limit'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { describe as inWords, program, run } from './support/child.mjs'
import { get, startServer } from './support/http.mjs'
import { places } from './support/rate-limit-stores.mjs'
import { ownPrefix } from './support/stores.mjs'
import { sleep } from './support/wait.mjs'

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

const inRedis = (more) => ({ redisUrl: redis.url, prefix: ownPrefix(), timeout: '30s', onStoreError: 'throw', ...more })

/** An application behind the plugin and our store: `ask(path)`. `routes(app)` adds to `GET /`. */
async function serve(t, { store, routes = () => {}, ...options }) {
  const app = fastify()
  t.after(() => app.close())
  const Store = classOf(t, store)
  await app.register(rateLimit, { max: 3, timeWindow: HOUR_MS, store: Store, ...options })
  app.get('/', async () => 'hello')
  routes(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address()
  const ask = (path) => get(port, path)
  const statuses = async (calls, path) => {
    const told = []
    for (let made = 0; made < calls; made += 1) told.push((await ask(path)).status)
    return told
  }
  return { ask, statuses, limiter: Store.limiter }
}

describe('@fastify/rate-limit', { timeout: 60_000 }, () => {
  test('admits the limit, and tells of it in its headers', async (t) => {
    const { ask, statuses } = await serve(t, { store: inRedis() })
    const first = await ask()
    assert.equal(first.status, 200)
    assert.equal(first.headers['x-ratelimit-limit'], '3')
    assert.equal(first.headers['x-ratelimit-remaining'], '2')
    assert.equal(first.headers['x-ratelimit-reset'], '3600')
    assert.deepEqual(await statuses(4), [200, 200, 429, 429])
    const { headers, body } = await ask()
    assert.match(headers['retry-after'], /^(3600|35\d\d)$/)
    assert.match(JSON.parse(body).message, /^Rate limit exceeded, retry in /)
  })

  test('ban: who goes on beyond the limit is forbidden', async (t) => {
    const { statuses } = await serve(t, { store: inRedis(), ban: 2 })
    assert.deepEqual(await statuses(7), [200, 200, 200, 429, 429, 403, 403])
  })

  test('ban together with continueExceeding', async (t) => {
    const { statuses } = await serve(t, { store: inRedis(), ban: 2, continueExceeding: true })
    assert.deepEqual(await statuses(7), [200, 200, 200, 429, 429, 403, 403])
  })

  test('a limit and a window may be functions of the request', async (t) => {
    const options = { max: async (request) => Number(request.query.max), timeWindow: async () => HOUR_MS }
    const { statuses } = await serve(t, { store: inRedis(), ...options })
    assert.deepEqual(await statuses(3, '/?max=2'), [200, 200, 429])
    assert.deepEqual(await statuses(1, '/?max=9'), [200])
  })

  test('routes with options of their own count apart, the others together', async (t) => {
    const config = { rateLimit: { max: 1 } }
    const routes = (app) => {
      app.get('/other', async () => 'hello')
      app.get('/apart', { config }, async () => 'hello')
      app.get('/too', { config }, async () => 'hello')
      app.get('/never', { config: { rateLimit: false } }, async () => 'hello')
    }
    const { statuses } = await serve(t, { store: inRedis(), routes })
    assert.deepEqual(await statuses(2), [200, 200])
    assert.deepEqual(await statuses(2, '/other'), [200, 429])
    assert.deepEqual(await statuses(2, '/apart'), [200, 429])
    assert.deepEqual(await statuses(2, '/too'), [200, 429])
    assert.deepEqual(await statuses(9, '/never'), Array(9).fill(200))
  })

  test('groupId counts apart what shares a store', async (t) => {
    const routes = (app) => {
      const onRequest = app.rateLimit({ max: 2 })
      for (const [path, groupId] of Object.entries({ '/one': 'x', '/two': 'x', '/three': 'y' })) {
        const config = { rateLimit: { groupId } }
        app.route({ method: 'GET', url: path, config, onRequest, handler: async () => 'hello' })
      }
    }
    const { statuses } = await serve(t, { store: inRedis(), routes, global: false })
    assert.deepEqual(await statuses(2, '/one'), [200, 200])
    assert.deepEqual(await statuses(1, '/two'), [429])
    assert.deepEqual(await statuses(1, '/three'), [200])
  })

  test('{ increment: false } counts nothing', async (t) => {
    const routes = (app) => {
      const limit = app.createRateLimit({ max: 4 })
      app.get('/look', { config: { rateLimit: false } }, (request) => limit(request, { increment: false }))
      app.get('/take', { config: { rateLimit: false } }, (request) => limit(request))
    }
    const { ask } = await serve(t, { store: inRedis(), routes })
    const remaining = []
    for (const path of ['/look', '/take', '/look', '/look', '/take', '/look']) {
      remaining.push(JSON.parse((await ask(path)).body).remaining)
    }
    assert.deepEqual(remaining, [4, 3, 3, 3, 2, 2])
  })

  test('processes share one limit exactly', async (t) => {
    const begun = Array.from({ length: 3 }, async () => {
      const port = await freePort()
      const server = await startServer(program('fastify-store.mjs'), { port, env: { REDIS_URL: redis.url } })
      t.after(() => server.stop('SIGKILL'))
      return port
    })
    const ports = await Promise.all(begun)
    const answers = await Promise.all(Array.from({ length: 60 }, (_, index) => get(ports[index % 3])))
    const remaining = answers
      .filter(({ status }) => status === 200)
      .map(({ headers }) => Number(headers['x-ratelimit-remaining']))
    assert.deepEqual(
      remaining.sort((one, other) => one - other),
      Array.from({ length: 20 }, (_, index) => index),
    )
    assert.equal(answers.filter(({ status }) => status === 429).length, 40)
  })
})

describe('Redis goes away', { timeout: 60_000 }, () => {
  let own
  before(async () => (own = await startRedis()))
  after(() => own.stop())

  /** An application that has used Redis, which is then lost. */
  async function bereft(t, { onStoreError = 'local', ...options }) {
    await own.restart()
    const app = await serve(t, { store: { redisUrl: own.url, prefix: ownPrefix(), onStoreError }, ...options })
    await app.limiter.ready()
    assert.equal((await app.ask()).status, 200)
    const down = once(app.limiter, 'storeDown')
    await own.kill()
    await down
    return app
  }

  test('this process goes on counting by itself', async (t) => {
    const { statuses } = await bereft(t, {})
    assert.deepEqual(await statuses(5), [200, 200, 200, 429, 429])
  })

  test('so it does where each refusal is a change', async (t) => {
    for (const option of ['continueExceeding', 'exponentialBackoff']) {
      const { statuses } = await bereft(t, { [option]: true, ban: 1 })
      assert.deepEqual(await statuses(6), [200, 200, 200, 429, 403, 403], option)
    }
  })

  test("with 'throw' the plugin decides: by an error", async (t) => {
    const { ask } = await bereft(t, { onStoreError: 'throw' })
    const { status, body } = await ask()
    assert.equal(status, 500)
    assert.equal(JSON.parse(body).code, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE')
  })

  test("with 'throw' the plugin decides: by skipOnError", async (t) => {
    const { statuses } = await bereft(t, { onStoreError: 'throw', skipOnError: true })
    assert.deepEqual(await statuses(5), Array(5).fill(200))
  })

  for (const [onStoreError, expected] of Object.entries({ allow: 200, deny: 429 })) {
    test(`with '${onStoreError}' every request is answered with ${expected}`, async (t) => {
      const { statuses } = await bereft(t, { onStoreError, ban: 1 })
      assert.deepEqual(await statuses(5), Array(5).fill(expected))
    })
  }
})

describe("the plugin's own tests, with our store", { timeout: 120_000 }, () => {
  const folder = dirname(createRequire(import.meta.url).resolve('@fastify/rate-limit'))

  /** Their files whose clock is the store's own, and what of them we fail, with the suites that these are in. */
  const files = {
    // They expect the words of ioredis alone, which in our error are one part of it.
    'redis-rate-limit.test.js': [
      'Throw on redis error',
      'With { increment: false } it throws on redis error',
      'Global rate limit',
      'Throw on redis error',
      'Route rate limit',
    ],
    'group-rate-limit.test.js': [],
    // It expects to be told of 285,421 years, and our windows are of ten at most.
    'exponential-backoff.test.js': ['MAx safe Exponential Backoff'],
  }

  for (const [file, failing] of Object.entries(files)) {
    test(file, async (t) => {
      const server = await startRedis()
      t.after(() => server.stop())
      const end = await run(join(folder, 'test', file), {
        nodeArgs: ['--require', program('with-our-store.cjs'), '--test-reporter=tap'],
        env: { REDIS_PORT: String(server.port) },
        within: 100_000,
      })
      const failed = [...end.stdout.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, name]) => name)
      assert.deepEqual(failed, failing, inWords(end))
      const passed = end.stdout.match(/^ *ok \d+ - /gm) ?? []
      const counted = Number(/our store counted (\d+)/.exec(end.stderr)?.[1])
      assert.ok(passed.length >= 2 && counted >= 10, inWords(end))
      const inOurWords = end.stdout.match(/^ *\+ .*\(Connection is closed\.\): check the server/gm) ?? []
      assert.equal(inOurWords.length, failing.filter((name) => name.includes('redis error')).length, inWords(end))
    })
  }
})
