/** @fastify/rate-limit itself with the store for it, over HTTP, its own tests with it, and Redis that goes away. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import rateLimit from '@fastify/rate-limit'
import fastify from 'fastify'
import { rateLimitStore } from 'distributed-rate-limiter/fastify-rate-limit'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { describe as inWords, program, run } from './support/child.mjs'
import { get, startServer } from './support/http.mjs'
import { ownPrefix } from './support/stores.mjs'

const HOUR_MS = 3_600_000

let redis
before(async () => (redis = await startRedis()))
after(() => redis.stop())

/** A class of stores whose limiter is closed with the test. */
function classOf(t, options) {
  const Store = rateLimitStore(options)
  t.after(() => Store.limiter.close())
  return Store
}

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
