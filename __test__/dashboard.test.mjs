/** The dashboard's server: whom it lets in, and what it answers. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { dashboard, dashboardPlugin } from 'distributed-rate-limiter/dashboard'
import express from 'express'
import fastify from 'fastify'

import { startRedis } from '../scripts/redis.mjs'
import { ask, atEnd, NASTY, post, serve, watch } from './support/dashboard.mjs'
import { until } from './support/wait.mjs'

const FILES = ['', 'app.mjs', 'style.css', 'icon.svg', 'chart.mjs', 'lookup.mjs']
const VERBS = ['lookup', 'block', 'unblock', 'reset']

const yes = () => true

function limiterOf(t, options) {
  const limiter = new RateLimiter({ limit: 5, window: '1h', ...options })
  atEnd(t, () => limiter.close())
  return limiter
}

test('import and require give the same', async () => {
  const required = createRequire(import.meta.url)('distributed-rate-limiter/dashboard')
  assert.deepEqual(Object.keys(required), ['dashboard', 'dashboardPlugin'])
  assert.equal(required.dashboard, dashboard)
})

describe('options', () => {
  const limiter = new RateLimiter({ limit: 1, window: '1s' })

  for (const [what, given, message] of [
    ['nothing', [limiter], /authorize.*open: true/],
    ['no word about who may look', [limiter, { title: 'x' }], /authorize.*open: true/],
    ['open: false', [limiter, { open: false }], /authorize.*open: true/],
    ['open, as another truth', [limiter, { open: 1 }], /`open` must be true or false/],
    ['open, and who may look', [limiter, { open: true, authorize: yes }], /give one of them/],
    ['admin for everybody', [limiter, { open: true, admin: true }], /needs `authorize`/],
    ['admin alone', [limiter, { admin: true }], /needs `authorize`/],
    ['admin, as another truth', [limiter, { authorize: yes, admin: 'yes' }], /`admin` must be true or false/],
    ['authorize that is a promise', [limiter, { authorize: Promise.resolve(true) }], /`authorize` must be a function/],
    ['no limiter', [undefined, { open: true }], /`limiter` must be a RateLimiter/],
    ['no limiters', [{}, { open: true }], /`limiter` must be a RateLimiter/],
    ['something that is no limiter', [{ api: limiter, login: {} }, { open: true }], /`limiter` must be a RateLimiter/],
    ['a list of limiters', [[limiter], { open: true }], /`limiter` must be a RateLimiter/],
    ['options that are none', [limiter, true], /`options` must be an object/],
    ['a title that is none', [limiter, { open: true, title: '' }], /`title` must be/],
    ['a path that is none', [limiter, { open: true, path: 'limits' }], /`path` must be/],
    [
      'a header that ends the headers',
      [limiter, { authorize: yes, challenge: 'Basic\r\nx: y' }],
      /`challenge` must be/,
    ],
  ]) {
    test(`refused: ${what}`, () => {
      assert.throws(() => dashboard(...given), { name: 'TypeError', code: 'ERR_RATE_LIMIT_OPTION', message })
    })
  }

  test('refused: one that there is not, by name', () => {
    const code = 'ERR_RATE_LIMIT_UNKNOWN_OPTION'
    assert.throws(() => dashboard(limiter, { authorise: yes }), {
      name: 'TypeError',
      code,
      message: 'the dashboard has no `authorise`: did you mean `authorize`?',
    })
  })

  test('what Object.prototype says is no word from the app', () => {
    Object.prototype.open = true
    try {
      assert.throws(() => dashboard(limiter, {}), { code: 'ERR_RATE_LIMIT_OPTION' })
    } finally {
      delete Object.prototype.open
    }
  })

  test('refused in the plugin too', async () => {
    const app = fastify()
    app.register(dashboardPlugin, { prefix: '/limits', limiter })
    await assert.rejects(app.ready().then(), { code: 'ERR_RATE_LIMIT_OPTION' })
  })
})

describe('who may look', { timeout: 60_000 }, () => {
  const everyPlace = [
    ...[...FILES, 'events'].map((place) => ['GET', place]),
    ...VERBS.map((place) => ['POST', place]),
    ['PUT', ''],
  ]

  for (const [what, authorize] of [
    ['false', () => false],
    ['a promise of false', async () => false],
    ['nothing, as where `return` was forgotten', () => {}],
    ['an object, as `res.status(401)` is', () => ({})],
    ['1', () => 1],
  ]) {
    test(`nobody, where \`authorize\` answers ${what}: 403 at every place, and no data`, async (t) => {
      const limiter = limiterOf(t, { limit: 1 })
      await limiter.check('the key')
      await limiter.check('the key')
      const port = await serve(t, dashboard(limiter, { authorize, admin: true, title: 'The title' }))
      for (const [method, place] of everyPlace) {
        const body = JSON.stringify({ limiter: 'limiter', key: 'the key', durationMs: 60_000 })
        const headers = { 'Content-Type': 'application/json', Origin: `http://127.0.0.1:${port}` }
        const answer = await ask(port, `/${place}`, { method, headers, ...(method === 'POST' && { body }) })
        assert.deepEqual([place, answer.status], [place, 403])
        assert.equal(answer.body, '{"error":"This is not for you to see."}')
        assert.match(answer.headers['content-security-policy'], /default-src 'none'/)
      }
      assert.equal((await limiter.peek('the key')).remaining, 0, 'it was not reset')
    })
  }

  test('with a challenge they get 401 and a way to say who they are', async (t) => {
    const authorize = (req) => req.headers.authorization === `Basic ${btoa('ops:secret')}`
    const challenge = 'Basic realm="limits"'
    const port = await serve(t, dashboard(limiterOf(t), { authorize, challenge }))
    const { status, headers } = await ask(port, '/')
    assert.deepEqual([status, headers['www-authenticate']], [401, challenge])
    const known = { Authorization: `Basic ${btoa('ops:secret')}` }
    assert.equal((await ask(port, '/', { headers: known })).status, 200)
    const { next } = await watch(t, port, '/events', known)
    assert.equal((await next('hello')).limiters.length, 1)
  })

  test('where `authorize` fails nobody is let in, and the framework is told', async (t) => {
    const authorize = () => Promise.reject(new Error('the session store is away'))
    const port = await serve(t, dashboard(limiterOf(t), { authorize }))
    const { status, body } = await ask(port, '/')
    assert.deepEqual([status, body], [500, '{"error":"This went wrong on the server."}'])

    const app = express()
    app.use('/limits', dashboard(limiterOf(t), { authorize }))
    app.use((error, req, res, next) => res.status(418).send(error.message))
    const { status: told, body: by } = await ask(await serve(t, app), '/limits/')
    assert.deepEqual([told, by], [418, 'the session store is away'])
  })
})

describe('what is served', { timeout: 60_000 }, () => {
  test('each file as what it is, with headers that let nothing else in', async (t) => {
    const port = await serve(t, dashboard(limiterOf(t), { open: true }))
    for (const file of FILES) {
      const { status, headers, body } = await ask(port, `/${file}`)
      assert.deepEqual([file, status], [file, 200])
      const [, extension = 'html'] = file.split('.')
      const types = { html: 'text/html', mjs: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' }
      assert.ok(headers['content-type'].startsWith(types[extension]), headers['content-type'])
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['referrer-policy'], 'no-referrer')
      assert.equal(headers['x-frame-options'], 'DENY')
      const policy = headers['content-security-policy']
      assert.doesNotMatch(policy, /unsafe|\*|https?:|data:/)
      for (const rule of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]) {
        assert.ok(policy.includes(rule), rule)
      }
      assert.doesNotMatch(body, /\son\w+=|style="|<script>/, 'nothing that the policy would forbid')
      const head = await ask(port, `/${file}`, { method: 'HEAD' })
      assert.deepEqual([head.status, head.body, head.headers['content-length']], [200, '', headers['content-length']])
    }
  })

  test('other places and other methods are refused', async (t) => {
    const port = await serve(t, dashboard(limiterOf(t), { authorize: yes, admin: true }))
    for (const path of [
      '/index.html',
      '/../index.js',
      '/..%2findex.js',
      '/page/app.mjs',
      '/nothing',
      '//',
      '/constructor',
    ]) {
      assert.deepEqual([path, (await ask(port, path)).status], [path, 404])
    }
    for (const [method, path, allow] of [
      ['POST', '/', 'GET, HEAD'],
      ['DELETE', '/events', 'GET, HEAD'],
      ['GET', '/lookup', 'POST'],
      ['GET', '/reset', 'POST'],
      ['HEAD', '/block', 'POST'],
    ]) {
      const { status, headers } = await ask(port, path, { method })
      assert.deepEqual([method, path, status, headers.allow], [method, path, 405, allow])
    }
    assert.equal(
      (await ask(port, '/events', { method: 'HEAD' })).headers['content-type'],
      'text/event-stream; charset=utf-8',
    )
  })
})

describe('what is posted', { timeout: 60_000 }, () => {
  const body = { limiter: 'limiter', key: 'alice', durationMs: 3_600_000 }

  for (const [what, headers, status] of [
    ["a form of another site's page", { 'Content-Type': 'text/plain', 'Sec-Fetch-Site': 'cross-site' }, 415],
    ['a form of our own', { 'Content-Type': 'application/x-www-form-urlencoded' }, 415],
    ['something like JSON', { 'Content-Type': 'application/jsonp' }, 415],
    ['a page of another site', { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site' }, 403],
    ['a page of another port', { Origin: 'http://127.0.0.1:1', 'Sec-Fetch-Site': 'same-site' }, 403],
    ['a browser that only names its origin, another one', { Origin: 'http://evil.example' }, 403],
    ['a page without an origin', { Origin: 'null' }, 403],
    ['a liar about its own origin', { 'Sec-Fetch-Site': 'cross-site' }, 403],
    ['an address that was typed', { 'Sec-Fetch-Site': 'none' }, 403],
  ]) {
    test(`refused: ${what}`, async (t) => {
      const limiter = limiterOf(t)
      const port = await serve(t, dashboard(limiter, { authorize: yes, admin: true }))
      for (const verb of VERBS) assert.equal((await post(port, `/${verb}`, body, headers)).status, status)
      assert.equal(await limiter.isAllowed('alice'), true, 'it was not blocked')
    })
  }

  test('refused: who says nothing about where it comes from', async (t) => {
    const port = await serve(t, dashboard(limiterOf(t), { authorize: yes, admin: true }))
    const headers = { 'Content-Type': 'application/json' }
    const { status } = await ask(port, '/block', { method: 'POST', headers, body: JSON.stringify(body) })
    assert.equal(status, 403)
  })

  test('accepted: a page behind a proxy that changes the host, since the browser says where it comes from', async (t) => {
    const port = await serve(t, dashboard(limiterOf(t), { authorize: yes, admin: true }))
    const headers = { Host: 'inside:8080', Origin: 'https://outside.example', 'Sec-Fetch-Site': 'same-origin' }
    assert.equal((await post(port, '/lookup', body, headers)).status, 200)
  })

  test('refused: bodies that are none, and arguments that the limiter refuses, by its own words', async (t) => {
    const limiter = limiterOf(t)
    const port = await serve(t, dashboard(limiter, { authorize: yes, admin: true }))
    for (const [verb, sent, status, error] of [
      ['lookup', '', 400, /must be JSON/],
      ['lookup', '{', 400, /must be JSON/],
      ['lookup', '[]', 400, /JSON object/],
      ['lookup', 'null', 400, /JSON object/],
      ['lookup', {}, 404, /no such limiter/],
      ['lookup', { limiter: '__proto__', key: 'a' }, 404, /no such limiter/],
      ['lookup', { limiter: 'limiter' }, 400, /key/],
      ['lookup', { limiter: 'limiter', key: '' }, 400, /key/],
      ['lookup', { limiter: 'limiter', key: { user: 'a' } }, 400, /key/],
      ['lookup', { limiter: 'limiter', key: 'a', action: 7 }, 400, /action/],
      ['block', { limiter: 'limiter', key: 'a' }, 400, /duration/],
      ['block', { limiter: 'limiter', key: 'a', durationMs: -1 }, 400, /duration/],
    ]) {
      const answer = await post(port, `/${verb}`, sent)
      assert.equal(answer.status, status, JSON.stringify(sent))
      assert.match(answer.body.error, error)
    }
    const long = JSON.stringify({ limiter: 'limiter', key: 'x'.repeat(1_000_000) })
    assert.equal((await post(port, '/lookup', long)).status, 413)
    await limiter.close()
    assert.equal((await post(port, '/lookup', { limiter: 'limiter', key: 'a' })).status, 503)
  })

  test('an error that is not ours is told to the framework alone', async (t) => {
    const limiter = limiterOf(t)
    limiter.peek = () => Promise.reject(new Error('a secret of the inside'))
    const port = await serve(t, dashboard(limiter, { authorize: yes }))
    const { status, body } = await post(port, '/lookup', { limiter: 'limiter', key: 'a' })
    assert.deepEqual([status, body], [500, { error: 'This went wrong on the server.' }])
  })

  test('without `admin` nothing is changed', async (t) => {
    const limiter = limiterOf(t)
    const port = await serve(t, dashboard(limiter, { authorize: yes }))
    for (const verb of ['block', 'unblock', 'reset']) {
      const { status, body: said } = await post(port, `/${verb}`, body)
      assert.deepEqual([status, said.error], [403, 'This dashboard only shows; it changes nothing.'])
    }
    assert.equal(await limiter.isAllowed('alice'), true)
    assert.equal((await post(port, '/lookup', body)).body.remaining, 4)
  })

  test('keys of any form are found as they are', async (t) => {
    const limiter = limiterOf(t)
    const port = await serve(t, dashboard(limiter, { authorize: yes }))
    for (const key of NASTY) {
      await limiter.check(key)
      assert.equal((await post(port, '/lookup', { limiter: 'limiter', key })).body.remaining, 4)
    }
  })
})

describe('on Redis', { timeout: 60_000 }, () => {
  let redis
  before(async () => (redis = await startRedis()))
  after(() => redis.stop())

  test('block, unblock and reset are those of all processes; actions and fields are named', async (t) => {
    const options = {
      redisUrl: redis.url,
      timeout: '10s',
      onStoreError: 'throw',
      actions: { post: { limit: 2, window: '1h' } },
    }
    const [here, there] = [limiterOf(t, options), limiterOf(t, options)]
    const by = limiterOf(t, {
      limit: undefined,
      window: undefined,
      limits: [{ name: 'u', by: 'user', limit: 3, window: '1h' }],
    })
    await Promise.all([here.ready(), there.ready()])
    const port = await serve(t, dashboard({ here, by }, { authorize: yes, admin: true }))
    const asked = { limiter: 'here', key: 'bob' }

    await post(port, '/block', { ...asked, durationMs: 3_600_000 })
    assert.equal(await there.isAllowed('bob'), false)
    const { body: blocked } = await post(port, '/lookup', asked)
    assert.ok(!blocked.allowed && blocked.retryAfterMs > 3_000_000, JSON.stringify(blocked))
    await post(port, '/unblock', asked)
    await until(() => there.isAllowed('bob'), 'the other process heard of it')
    await there.check('bob', { action: 'post' })
    assert.equal((await post(port, '/lookup', { ...asked, action: 'post' })).body.remaining, 1)
    await post(port, '/reset', { ...asked, action: 'post' })
    assert.equal((await there.peek('bob', { action: 'post' })).remaining, 2)

    await by.check({ user: 'eve' })
    assert.equal((await post(port, '/lookup', { limiter: 'by', key: { user: 'eve' } })).body.remaining, 2)
  })

  test('a store that does not answer is 503', async (t) => {
    const server = await startRedis()
    atEnd(t, () => server.stop())
    const limiter = limiterOf(t, { redisUrl: server.url })
    await limiter.ready()
    const port = await serve(t, dashboard(limiter, { authorize: yes, admin: true }))
    await server.kill()
    const { status, body } = await post(port, '/block', { limiter: 'limiter', key: 'a', durationMs: 60_000 })
    assert.deepEqual([status, typeof body.error], [503, 'string'])
  })
})
