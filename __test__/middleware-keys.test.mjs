/** The functions that say whom a request is counted for: that different clients never share a key, and that no secret reaches a store. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { rateLimit as express } from 'distributed-rate-limiter/express'
import { byAddress, byApiKey, byHeader, byRoute, byUser, fields, together } from 'distributed-rate-limiter/keys'
import expressApp from 'express'
import { Hono } from 'hono'
import Koa from 'koa'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { start, frameworks } from './support/frameworks.mjs'
import { get } from './support/http.mjs'

const ADDRESS = '192.0.2.1'
const addressOf = () => ADDRESS
const asked = (headers = {}, more = {}) => ({ method: 'GET', headers, ...more })

describe('keys', () => {
  test('byAddress', () => assert.equal(byAddress()(asked(), addressOf), ADDRESS))

  test('byHeader: by its value in any case of its name, otherwise by address', () => {
    const key = byHeader('X-Tenant')
    assert.equal(key(asked({ 'x-tenant': 'a' }), addressOf), 'x-tenant:a')
    assert.equal(key(asked({ 'x-tenant': ['a', 'b'] }), addressOf), 'x-tenant:a, b')
    assert.equal(key(asked({ 'x-tenant': '' }), addressOf), ADDRESS)
    assert.equal(key(asked(), addressOf), ADDRESS)
  })

  test('byUser: by who is logged in, otherwise by address', async () => {
    const key = byUser(({ user }) => user)
    const of = (user) => key(asked({}, { user }), addressOf)
    assert.equal(of('alice'), 'user:alice')
    assert.equal(of(42), 'user:42')
    assert.equal(of(0), 'user:0')
    assert.equal(of(42n), 'user:42')
    assert.equal(of(ADDRESS), `user:${ADDRESS}`, 'nobody can be called like an address')
    for (const nobody of [undefined, null, '']) assert.equal(of(nobody), ADDRESS)
    for (const wrong of [{}, NaN, true, [1]]) assert.throws(() => of(wrong), { code: 'ERR_RATE_LIMIT_KEY' })
    assert.equal(await of(Promise.resolve('alice')), 'user:alice')
    assert.equal(await of(Promise.resolve(undefined)), ADDRESS)
    await assert.rejects(of(Promise.resolve({})), { code: 'ERR_RATE_LIMIT_KEY' })
    await assert.rejects(of(Promise.reject(new Error('no'))), /no/)
  })

  test('byApiKey: by a digest, otherwise by address', () => {
    const secret = 'sk-live-1234567890'
    const key = byApiKey()(asked({ 'x-api-key': secret }), addressOf)
    // printf sk-live-1234567890 | openssl dgst -sha256 -binary | basenc --base64url
    assert.equal(key, 'api-key:sRyXszzu1UT0TBSfFv4x4gScN6v9zB3KsF3f1P16BQQ')
    assert.notEqual(byApiKey()(asked({ 'x-api-key': `${secret}0` }), addressOf), key)
    assert.equal(byApiKey('Authorization')(asked({ authorization: secret }), addressOf), key)
    assert.equal(byApiKey()(asked(), addressOf), ADDRESS)
  })

  test('together: different parts never make one key', async () => {
    const of = (...parts) => together(...parts.map((part) => () => part))(asked(), addressOf)
    assert.equal(of('a', 'b'), 'a|b')
    const parts = ['a', 'a|b', 'b', '|', '%', '%7C', '%25', 'a|', '|b', '%25|']
    const seen = new Map()
    for (const first of parts) {
      for (const second of parts) {
        const key = of(first, second)
        assert.equal(seen.get(key), undefined, `${first} and ${second}`)
        seen.set(key, [first, second])
      }
    }
    assert.equal(await of('a', Promise.resolve('b')), 'a|b')
    for (const missing of [undefined, null, 5]) assert.throws(() => of('a', missing), { code: 'ERR_RATE_LIMIT_KEY' })
    await assert.rejects(of(Promise.resolve(undefined), 'a'), { code: 'ERR_RATE_LIMIT_KEY' })
  })

  test('fields: each by its own', async () => {
    const user = byUser(({ user }) => user)
    const key = fields({ user, ip: byAddress() })
    assert.deepEqual(key(asked({}, { user: 'a' }), addressOf), { user: 'user:a', ip: ADDRESS })
    assert.deepEqual(await key(asked({}, { user: Promise.resolve('a') }), addressOf), { user: 'user:a', ip: ADDRESS })
  })
})

test('several limits by fields, whole', { timeout: 30_000 }, async (t) => {
  const limiter = new RateLimiter({
    limits: [
      { name: 'user', by: 'user', limit: 1, window: '1h' },
      { name: 'address', by: 'ip', limit: 2, window: '1h' },
    ],
  })
  t.after(() => limiter.close())
  const [, , framework] = frameworks
  const key = fields({ user: byUser((request) => request.headers['x-user']), ip: byAddress() })
  const { port } = await start(t, framework, { limiter, key })
  const as = async (user) => (await get(port, '/', { 'x-user': user })).status
  assert.deepEqual([await as('a'), await as('a'), await as('b'), await as('c')], [200, 429, 200, 429])
})

describe('byRoute', { timeout: 30_000 }, () => {
  /** Each framework counts routes apart, and never paths: `/status/200` and `/status/201` are one route. */
  for (const framework of frameworks.filter(({ name }) => ['fastify', 'nest'].includes(name))) {
    test(`as an action of ${framework.name}`, async (t) => {
      const limiter = new RateLimiter({ limit: 1, window: '1h' })
      t.after(() => limiter.close())
      const { port } = await start(t, framework, { limiter, action: byRoute() })
      const seen = []
      for (const path of ['/status/200', '/status/201', '/', '/']) seen.push((await get(port, path)).status)
      assert.deepEqual(seen, [200, 429, 200, 429])
    })
  }

  test('of Express: the pattern with where it is mounted; before the router, of all together', async (t) => {
    const seen = []
    const limiter = new RateLimiter({ limit: 9, window: '1h' })
    t.after(() => limiter.close())
    const action = byRoute()
    const note = express({ limiter, action: (request) => void seen.push(action(request)) })
    const app = expressApp()
    const router = expressApp.Router()
    app.use(note)
    router.get('/users/:id', note, (request, response) => response.send('hello'))
    app.use('/api', router)
    const server = app.listen(0, '127.0.0.1')
    t.after(() => server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    await get(server.address().port, '/api/users/5?x=1')
    assert.deepEqual(seen, ['GET *', 'GET /api/users/:id'])
  })

  test('of Hono', async () => {
    const app = new Hono()
    const route = byRoute()
    app.get('/users/:id', (context) => context.text(route(context)))
    assert.equal(await (await app.request('/users/5')).text(), 'GET /users/:id')
  })

  test('of Koa, with a router that notes it, and without', () => {
    const route = byRoute()
    const context = new Koa().createContext({ method: 'GET', url: '/users/5', headers: {}, socket: {} }, {})
    assert.equal(route(context), 'GET *')
    context._matchedRoute = '/users/:id'
    assert.equal(route(context), 'GET /users/:id')
  })
})

test('an API key never reaches Redis', { timeout: 30_000 }, async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const limiter = new RateLimiter({ limit: 1, window: '1h', redisUrl: redis.url })
  t.after(() => limiter.close())
  await limiter.ready()
  const [, , framework] = frameworks
  const { port } = await start(t, framework, { limiter, key: byApiKey() })
  const as = async (key) => (await get(port, '/', { 'x-api-key': key })).status
  assert.deepEqual([await as('sk-live-secret'), await as('sk-live-secret'), await as('sk-live-other')], [200, 429, 200])
  const keys = await redisCommand(redis.port, 'KEYS', '*')
  assert.equal(keys.length, 2)
  assert.doesNotMatch(JSON.stringify(keys), /secret|other|sk-live/)
})
