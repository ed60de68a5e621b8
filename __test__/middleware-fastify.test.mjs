/** What only Fastify has: encapsulation, routes with options of their own, hooks; and Redis that goes away. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { rateLimit } from 'distributed-rate-limiter/fastify'
import fastify from 'fastify'

import { startRedis } from '../scripts/redis.mjs'
import { get } from './support/http.mjs'
import { hourly } from './support/stores.mjs'
import { until } from './support/wait.mjs'

/** Builds an application, which ends with the test; asks for paths in turn, and gives their statuses. */
async function serve(t, build) {
  const app = fastify({ forceCloseConnections: true })
  await build(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => app.close())
  return async (...paths) => {
    const statuses = []
    for (const path of paths) statuses.push((await get(app.server.address().port, path)).status)
    return statuses
  }
}

describe('the plugin', { timeout: 30_000 }, () => {
  test('has the names that Fastify asks for', async () => {
    const app = fastify()
    await app.register(rateLimit, { limiter: new RateLimiter({ limit: 1, window: '1h' }) })
    assert.ok(app.hasPlugin('distributed-rate-limiter'))
    assert.match(app.printPlugins(), /distributed-rate-limiter/)
    await app.close()
  })

  test('guards the instance that registers it, what is beneath, and no other', async (t) => {
    const ask = await serve(t, async (app) => {
      app.register(async (guarded) => {
        guarded.register(rateLimit, { limiter: hourly(t) })
        guarded.get('/guarded', async () => 'hello')
        guarded.register(async (beneath) => beneath.get('/beneath', async () => 'hello'))
      })
      app.get('/free', async () => 'hello')
    })
    assert.deepEqual(await ask('/free', '/free', '/free'), [200, 200, 200])
    assert.deepEqual(await ask('/guarded', '/guarded', '/beneath', '/free'), [200, 429, 429, 200])
  })

  test('guards routes that were there before it, and requests that find none', async (t) => {
    const ask = await serve(t, async (app) => {
      app.get('/before', async () => 'hello')
      await app.register(rateLimit, { limiter: hourly(t, { limit: 2 }) })
      app.get('/after', async () => 'hello')
    })
    assert.deepEqual(await ask('/before', '/none', '/none', '/after'), [200, 404, 429, 429])
  })

  test('two of them, each with its own limiter, both count', async (t) => {
    const ask = await serve(t, async (app) => {
      await app.register(rateLimit, { limiter: hourly(t, { limit: 3 }) })
      app.register(async (inner) => {
        await inner.register(rateLimit, { limiter: hourly(t) })
        inner.get('/inner', async () => 'hello')
      })
      app.get('/outer', async () => 'hello')
    })
    assert.deepEqual(await ask('/inner', '/inner', '/outer', '/outer'), [200, 429, 200, 429])
  })

  test('a route has what its configuration says in place of the plugin’s options', async (t) => {
    const strict = hourly(t)
    const ask = await serve(t, async (app) => {
      const early = { rateLimit: { limiter: strict, status: 503, message: 'later' } }
      app.get('/early', { config: early }, async () => 'hello')
      await app.register(rateLimit, { limiter: hourly(t, { limit: 2 }) })
      app.get('/free', { config: { rateLimit: false } }, async () => 'hello')
      app.get('/own', { config: { rateLimit: { limiter: hourly(t), key: () => 'all' } } }, async () => 'hello')
      app.get('/costly', { config: { rateLimit: { cost: 2 } } }, async () => 'hello')
      app.get('/usual', { config: { rateLimit: true } }, async () => 'hello')
      app.get('/skipped', { config: { rateLimit: { skip: () => true } } }, async () => 'hello')
    })
    assert.deepEqual(await ask('/free', '/free', '/free', '/skipped', '/skipped', '/skipped'), Array(6).fill(200))
    assert.deepEqual(await ask('/own', '/own', '/early', '/early'), [200, 429, 200, 503])
    assert.deepEqual(await ask('/costly', '/usual'), [200, 429])
  })

  test('bad options of a route that was there before it come out with its first request', async (t) => {
    const app = fastify()
    app.get('/', { config: { rateLimit: { statsu: 1 } } }, async () => 'hello')
    await app.register(rateLimit, { limiter: hourly(t) })
    t.after(() => app.close())
    const { statusCode, body } = await app.inject('/')
    assert.deepEqual([statusCode, JSON.parse(body).code], [500, 'ERR_RATE_LIMIT_UNKNOWN_OPTION'])
  })

  for (const hook of ['onRequest', 'preParsing', 'preValidation', 'preHandler']) {
    test(`counts in ${hook}`, async (t) => {
      const order = []
      const ask = await serve(t, async (app) => {
        const before = { onRequest: 'onRequest', preParsing: 'onRequest', preValidation: 'preParsing' }[hook]
        app.addHook(before ?? 'preValidation', async () => void order.push('before'))
        await app.register(rateLimit, { limiter: hourly(t), hook, key: () => order.push('counted') && 'all' })
        app.addHook(hook, async () => void order.push('after'))
        app.get('/', async () => 'hello')
      })
      assert.deepEqual(await ask('/', '/'), [200, 429])
      assert.deepEqual(order, ['before', 'counted', 'after', 'before', 'counted'])
    })
  }

  test('onDenied may answer by the reply, too', async (t) => {
    const app = fastify()
    const onDenied = (request, reply, { retryAfter }) => void reply.code(420).send({ wait: retryAfter > 0 })
    await app.register(rateLimit, { limiter: hourly(t), onDenied })
    app.get('/', async () => 'hello')
    t.after(() => app.close())
    await app.inject('/')
    const { statusCode, body } = await app.inject('/')
    assert.deepEqual([statusCode, JSON.parse(body)], [420, { wait: true }])
  })
})

test(
  'Redis: two processes’ limit is one; while it is away the fallback decides; then Redis again',
  { timeout: 60_000 },
  async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const servers = []
    for (let index = 0; index < 2; index += 1) {
      const away = { fallback: { limit: 1 }, timeout: '5s', denyCache: false }
      const limiter = hourly(t, { limit: 4, redisUrl: redis.url, ...away })
      await limiter.ready()
      const ask = await serve(t, async (app) => {
        await app.register(rateLimit, { limiter })
        app.get('/', async () => 'hello')
      })
      servers.push({ ask, limiter })
    }
    const [one, other] = servers
    assert.deepEqual(await one.ask('/', '/'), [200, 200])
    assert.deepEqual(await other.ask('/', '/', '/'), [200, 200, 429])
    assert.deepEqual(await one.ask('/'), [429])

    await redis.kill()
    await until(() => servers.every(({ limiter }) => limiter.stats().store === 'down'), 'both know that it is away')
    assert.deepEqual(await one.ask('/', '/'), [200, 429])
    assert.deepEqual(await other.ask('/', '/'), [200, 429])

    await redis.start()
    await until(() => servers.every(({ limiter }) => limiter.stats().store === 'up'), 'both know that it is back')
    const sources = one.limiter.stats().sources.redis
    assert.equal((await one.ask('/'))[0], 200, 'it has forgotten everything but what it was told')
    assert.equal(one.limiter.stats().sources.redis, sources + 1)
  },
)
