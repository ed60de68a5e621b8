/** express-rate-limit itself with the store for it, over HTTP, and Redis that goes away. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'

import express from 'express'
import express4 from 'express-4'
import { rateLimit } from 'express-rate-limit'
import { RateLimitStore } from 'distributed-rate-limiter/express-rate-limit'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { program } from './support/child.mjs'
import { get, startServer } from './support/http.mjs'
import { ownPrefix } from './support/stores.mjs'
import { sleep, until } from './support/wait.mjs'

const HOUR_MS = 3_600_000

let redis
before(async () => (redis = await startRedis()))
after(() => redis.stop())

/** An application of `framework` behind express-rate-limit and our store; what express-rate-limit complains of fails the test. */
async function serve(t, { framework = express, store, logger = complainer(), ...options }) {
  const app = framework()
  t.after(() => store.shutdown())
  const limiter = rateLimit({ windowMs: HOUR_MS, limit: 3, ...options, logger, store })
  app.use(limiter)
  app.get('/', (request, response) => {
    response.status(Number(request.headers['x-answer'] ?? 200)).json(request.rateLimit ?? null)
  })
  app.use((error, request, response, next) => {
    response.status(500).json({ code: error.code })
    void next
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address()
  return { limiter, ask: (headers) => get(port, '/', headers) }
}

const complainer = () => ({ warn: assert.ifError, error: assert.ifError })

const inRedis = () =>
  new RateLimitStore({ redisUrl: redis.url, prefix: ownPrefix(), timeout: '30s', onStoreError: 'throw' })

/** The status of each of `calls` requests. */
async function statuses(ask, calls, headers) {
  const told = []
  for (let call = 0; call < calls; call += 1) told.push((await ask(headers)).status)
  return told
}

for (const [name, framework] of Object.entries({ 'Express 5': express, 'Express 4': express4 })) {
  describe(`express-rate-limit with ${name}`, { timeout: 60_000 }, () => {
    test('admits the limit, and tells of it in its headers', async (t) => {
      const { ask } = await serve(t, { framework, store: inRedis(), standardHeaders: 'draft-8', identifier: 'default' })
      const first = await ask()
      assert.equal(first.status, 200)
      assert.equal(first.headers.ratelimit, '"default"; r=2; t=3600')
      assert.equal(first.headers['x-ratelimit-remaining'], '2')
      assert.deepEqual(await statuses(ask, 4), [200, 200, 429, 429])
      const last = await ask()
      assert.equal(last.status, 429)
      assert.match(last.headers.ratelimit, /^"default"; r=0; t=(3600|35\d\d)$/)
      assert.match(last.headers['retry-after'], /^(3600|35\d\d)$/)
    })

    test('hits beyond the limit are seen by whoever looks', async (t) => {
      const store = inRedis()
      const handler = (request, response) => response.status(429).json(request.rateLimit)
      const { ask, limiter } = await serve(t, { framework, store, handler })
      const used = []
      for (let call = 0; call < 6; call += 1) used.push(JSON.parse((await ask()).body).used)
      assert.deepEqual(used, [1, 2, 3, 4, 5, 6])
      assert.equal((await limiter.getKey('127.0.0.1')).totalHits, 6)
      await limiter.resetKey('127.0.0.1')
      assert.equal(await limiter.getKey('127.0.0.1'), undefined)
      assert.equal((await ask()).status, 200)
    })

    test('a limit may be a function of the request', async (t) => {
      const limit = (request) => (request.headers['x-plan'] === 'paid' ? 4 : 2)
      const { ask } = await serve(t, { framework, store: inRedis(), limit })
      assert.deepEqual(await statuses(ask, 3, { 'x-plan': 'paid' }), [200, 200, 200])
      assert.equal((await ask()).status, 429)
    })

    test('requests that failed are not counted, and those that were refused free nothing', async (t) => {
      const store = inRedis()
      const { ask, limiter } = await serve(t, { framework, store, skipFailedRequests: true })
      const counted = async () => (await limiter.getKey('127.0.0.1'))?.totalHits ?? 0
      const settled = (hits) => until(async () => (await counted()) === hits, `${hits} hits are counted`)
      for (let call = 0; call < 5; call += 1) {
        assert.equal((await ask({ 'x-answer': '503' })).status, 503)
        await settled(0)
      }
      assert.deepEqual(await statuses(ask, 3), [200, 200, 200])
      for (let call = 0; call < 4; call += 1) {
        assert.equal((await ask()).status, 429)
        await settled(3)
      }
    })

    test('requests that succeeded are not counted', async (t) => {
      const { ask, limiter } = await serve(t, { framework, store: inRedis(), skipSuccessfulRequests: true })
      for (let call = 0; call < 5; call += 1) {
        assert.equal((await ask()).status, 200)
        await until(async () => (await limiter.getKey('127.0.0.1')) === undefined, 'nothing is counted')
      }
      assert.deepEqual(await statuses(ask, 4, { 'x-answer': '401' }), [401, 401, 401, 429])
    })
  })
}

describe('express-rate-limit', { timeout: 60_000 }, () => {
  test('windows below a second', async (t) => {
    const windowMs = 300
    const { ask } = await serve(t, { store: inRedis(), limit: 1, windowMs })
    for (let round = 0; round < 3; round += 1) {
      const { status, body } = await ask()
      assert.equal(status, 200)
      await sleep(Math.max(0, new Date(JSON.parse(body).resetTime) - Date.now()))
    }
  })

  test('is told of a prefix that two limiters have', async (t) => {
    const said = []
    const logger = { warn: (error) => said.push(error.code), error: (error) => said.push(error.code) }
    const ask = async (...prefixes) => {
      const app = express()
      const server = app.listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.after(() => server.close())
      for (const prefix of prefixes) {
        const store = new RateLimitStore({ redisUrl: redis.url, prefix, timeout: '30s' })
        t.after(() => store.shutdown())
        app.use(rateLimit({ windowMs: HOUR_MS, limit: 9, store, logger }))
      }
      app.get('/', (request, response) => response.end())
      assert.equal((await get(server.address().port)).status, 200)
    }
    await ask(ownPrefix(), ownPrefix())
    assert.deepEqual(said, [])
    const prefix = ownPrefix()
    await ask(prefix, prefix)
    assert.deepEqual(said, ['ERR_ERL_DOUBLE_COUNT'])
  })

  test('processes share one limit exactly', async (t) => {
    const begun = Array.from({ length: 3 }, async () => {
      const port = await freePort()
      const server = await startServer(program('express-store.mjs'), { port, env: { REDIS_URL: redis.url } })
      t.after(() => server.stop('SIGKILL'))
      return port
    })
    const ports = await Promise.all(begun)
    const asked = Array.from({ length: 60 }, (_, index) => get(ports[index % 3]))
    const answers = await Promise.all(asked)
    const used = answers.filter(({ status }) => status === 200).map(({ body }) => Number(body))
    assert.deepEqual(
      used.sort((one, other) => one - other),
      Array.from({ length: 20 }, (_, index) => index + 1),
    )
    assert.equal(answers.filter(({ status }) => status === 429).length, 40)
  })
})

describe('Redis goes away', { timeout: 60_000 }, () => {
  let own
  before(async () => (own = await startRedis()))
  after(() => own.stop())

  /** The test's own Redis, up, and a store that has used it. */
  async function used(t, options) {
    await own.restart()
    const store = new RateLimitStore({ redisUrl: own.url, prefix: ownPrefix(), ...options })
    await store.limiter.ready()
    return store
  }

  async function lose(store) {
    const down = once(store.limiter, 'storeDown')
    await own.kill()
    await down
  }

  test('this process goes on counting by itself, and Redis counts when it is back', async (t) => {
    const store = await used(t, {})
    const { ask } = await serve(t, { store })
    assert.equal((await ask()).status, 200)
    await lose(store)
    assert.deepEqual(await statuses(ask, 5), [200, 200, 200, 429, 429])
    const up = once(store.limiter, 'storeUp')
    await own.restart()
    await up
    const before = store.limiter.stats().sources.redis
    await ask()
    assert.ok(store.limiter.stats().sources.redis > before)
  })

  /** Has the test's own Redis stand still, with all that it holds, while `work` is done; the store knows of both. */
  async function withoutIt(store, work) {
    process.kill(own.pid, 'SIGSTOP')
    try {
      const isDown = async () => {
        await store.increment('another')
        return store.limiter.stats().store === 'down'
      }
      await until(isDown, 'the store knew that it is away', 20_000)
      await work()
    } finally {
      process.kill(own.pid, 'SIGCONT')
    }
    await until(() => store.limiter.stats().store === 'up', 'the store knew that it is back', 20_000)
  }

  test('what was forgotten stays so while this process asks in vain', async (t) => {
    const store = await used(t, {})
    t.after(() => store.shutdown())
    store.init({ windowMs: HOUR_MS, limit: 3 })
    await store.increment('a')
    await store.resetAll()
    // So much later that it asks whether others have forgotten all keys: once, and while Redis is away.
    const later = performance.now() + 60_000
    await withoutIt(store, () => {
      t.mock.method(performance, 'now', () => later)
      return store.increment('b')
    })
    assert.equal(await store.get('a'), undefined)
  })

  test("with 'throw' express-rate-limit decides: by an error", async (t) => {
    const store = await used(t, { onStoreError: 'throw' })
    const { ask } = await serve(t, { store })
    assert.equal((await ask()).status, 200)
    await lose(store)
    const { status, body } = await ask()
    assert.equal(status, 500)
    assert.equal(JSON.parse(body).code, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE')
  })

  test("with 'throw' express-rate-limit decides: by passOnStoreError", async (t) => {
    const store = await used(t, { onStoreError: 'throw' })
    const errors = []
    const logger = { warn: assert.ifError, error: (error) => errors.push(error.code) }
    const { ask } = await serve(t, { store, passOnStoreError: true, logger })
    await lose(store)
    assert.deepEqual(await statuses(ask, 5), [200, 200, 200, 200, 200])
    assert.deepEqual(errors, Array(5).fill('ERR_RATE_LIMIT_STORE_UNAVAILABLE'))
  })

  for (const [onStoreError, expected] of Object.entries({ allow: 200, deny: 429 })) {
    test(`with '${onStoreError}' every request is answered with ${expected}`, async (t) => {
      const store = await used(t, { onStoreError })
      const { ask } = await serve(t, { store })
      await lose(store)
      assert.deepEqual(await statuses(ask, 5), Array(5).fill(expected))
    })
  }

  test('resetKey and resetAll say that they could not tell it', async (t) => {
    const store = await used(t, {})
    t.after(() => store.shutdown())
    await lose(store)
    await assert.rejects(store.resetKey('a'), { code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE' })
    await assert.rejects(store.resetAll(), { code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE' })
    // Nobody waits for these: they would fail the test as rejections that nobody handles.
    void store.resetKey('a')
    void store.resetAll()
    await store.increment('a')
  })
})
