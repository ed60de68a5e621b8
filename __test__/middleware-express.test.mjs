/** What only Express has: routers and single routes; and Redis that goes away, in each way that a limiter may take it. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { describe, test } from 'node:test'

import { rateLimit } from 'distributed-rate-limiter/express'
import express5 from 'express'
import express4 from 'express-4'

import { startRedis } from '../scripts/redis.mjs'
import { get } from './support/http.mjs'
import { hourly } from './support/stores.mjs'
import { until } from './support/wait.mjs'

async function serve(t, app) {
  const server = createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return async (...paths) => {
    const statuses = []
    for (const path of paths) statuses.push((await get(server.address().port, path)).status)
    return statuses
  }
}

for (const [name, express] of Object.entries({ 'express 4': express4, 'express 5': express5 })) {
  describe(name, { timeout: 60_000 }, () => {
    test('before a route, a router, or all', async (t) => {
      const app = express()
      const hello = (request, response) => response.send('hello')
      const router = express.Router()
      router.use(rateLimit({ limiter: hourly(t) }))
      router.get('/a', hello)
      app.use('/api', router)
      app.get('/one', rateLimit({ limiter: hourly(t) }), hello)
      app.get('/free', hello)
      const ask = await serve(t, app)
      assert.deepEqual(await ask('/api/a', '/api/a', '/one', '/one', '/free', '/free'), [200, 429, 200, 429, 200, 200])
    })

    test('onDenied may hand the refusal on', async (t) => {
      const app = express()
      const onDenied = (request, response, { violated }, next) =>
        next(Object.assign(new Error(violated[0]), { status: 420 }))
      app.use(rateLimit({ limiter: hourly(t), onDenied }))
      app.get('/', (request, response) => response.send('hello'))
      app.use((error, request, response, next) => response.status(error.status).send(error.message))
      const ask = await serve(t, app)
      assert.deepEqual(await ask('/', '/'), [200, 420])
    })

    test('an error of what comes after is not handed on twice', async (t) => {
      const app = express()
      app.use(rateLimit({ limiter: hourly(t, { limit: 9 }) }))
      app.get('/', () => {
        throw new Error('of the application')
      })
      let errors = 0
      app.use((error, request, response, next) => {
        errors += 1
        response.status(500).end()
      })
      const ask = await serve(t, app)
      assert.deepEqual(await ask('/'), [500])
      assert.equal(errors, 1)
    })

    test('somebody who has answered meanwhile is left alone', async (t) => {
      const app = express()
      const limiter = hourly(t, { algorithm: 'leaky-bucket', limit: 20, window: '1s', burst: 5 })
      app.use((request, response, next) => {
        next()
        if (request.path === '/late') response.status(503).send('too late')
      })
      app.use(rateLimit({ limiter }))
      let asked = 0
      app.use((request, response) => response.send(`${(asked += 1)}`))
      const ask = await serve(t, app)
      assert.deepEqual(await ask('/', '/late', '/'), [200, 503, 200])
      assert.equal(asked, 2)
    })

    for (const [onStoreError, expected] of [
      ['local', [200, 429]],
      ['allow', [200, 200]],
      ['deny', [429, 429]],
      ['throw', [500, 500]],
    ]) {
      test(`Redis that goes away, ${onStoreError}`, async (t) => {
        const redis = await startRedis()
        t.after(() => redis.stop())
        const away = onStoreError === 'local' ? { fallback: { limit: 1 } } : {}
        const settings = { redisUrl: redis.url, onStoreError, timeout: '5s', denyCache: false }
        const limiter = hourly(t, { limit: 2, ...settings, ...away })
        await limiter.ready()
        const app = express()
        app.use(rateLimit({ limiter }))
        app.get('/', (request, response) => response.send('hello'))
        const codes = []
        app.use((error, request, response, next) => {
          codes.push(error.code)
          response.status(500).end()
        })
        const ask = await serve(t, app)
        assert.deepEqual(await ask('/', '/', '/'), [200, 200, 429])
        await redis.kill()
        await until(() => limiter.stats().store === 'down', 'it knows that Redis is away')
        assert.deepEqual(await ask('/', '/'), expected)
        const isThrown = onStoreError === 'throw'
        assert.deepEqual(codes, isThrown ? Array(2).fill('ERR_RATE_LIMIT_STORE_UNAVAILABLE') : [])
        await redis.start()
        await until(() => limiter.stats().store === 'up', 'it knows that Redis is back')
        const before = limiter.stats().sources.redis
        await ask('/')
        assert.equal(limiter.stats().sources.redis, before + 1)
      })
    }
  })
}
