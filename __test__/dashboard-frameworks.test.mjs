/** Every framework can carry the dashboard: the real ones, each asked over HTTP for all that the page asks. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { describe, test } from 'node:test'

import { serve as serveHono } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { RateLimiter } from 'distributed-rate-limiter'
import { dashboard, dashboardPlugin } from 'distributed-rate-limiter/dashboard'
import express from 'express'
import express4 from 'express-4'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'

import { ask, atEnd, post, serve, watch } from './support/dashboard.mjs'
import { settles } from './support/wait.mjs'

function limiterOf(t) {
  const limiter = new RateLimiter({ limit: 5, window: '1h' })
  atEnd(t, () => limiter.close())
  return limiter
}

/** Each serves `page` below `/limits`, and `/other` of its own. */
const CARRIERS = {
  http: (t, page, make) => {
    const handler = make({ path: '/limits' })
    return serve(t, (req, res) => handler(req, res, () => res.writeHead(req.url === '/other' ? 200 : 404).end()))
  },
  'express 5': (t, page, make) => serve(t, expressApp(express, make({}))),
  'express 4': (t, page, make) => serve(t, expressApp(express4, make({}))),
  'express with a parser of JSON before it': (t, page, make) => serve(t, expressApp(express, make({}), express.json())),
  'express 4 with a parser of forms before it': (t, page, make) =>
    serve(t, expressApp(express4, make({}), express4.urlencoded({ extended: false }))),
  'express with a parser of bytes before it': (t, page, make) =>
    serve(t, expressApp(express, make({}), express.raw({ type: '*/*' }))),
  fastify: async (t, page) => {
    const app = fastify({ forceCloseConnections: true })
    app.register(dashboardPlugin, { prefix: '/limits', ...page })
    app.get('/other', async () => 'other')
    await app.listen({ port: 0, host: '127.0.0.1' })
    atEnd(t, () => app.close())
    return app.server.address().port
  },
  koa: (t, page, make) => {
    const app = new Koa()
    const handler = make({ path: '/limits' })
    app.use((ctx, next) => {
      if (!/^\/limits(\/|$)/.test(ctx.path)) return next()
      ctx.respond = false
      handler(ctx.req, ctx.res)
    })
    app.use((ctx) => {
      if (ctx.path === '/other') ctx.body = 'other'
    })
    return serve(t, createServer(app.callback()))
  },
  hono: async (t, page, make) => {
    const app = new Hono()
    const handler = make({ path: '/limits' })
    const carry = (c) => {
      handler(c.env.incoming, c.env.outgoing)
      return RESPONSE_ALREADY_SENT
    }
    app.all('/limits', carry).all('/limits/*', carry)
    app.get('/other', (c) => c.text('other'))
    const server = await new Promise((resolve) => {
      const made = serveHono({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(made))
    })
    atEnd(t, () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    })
    return server.address().port
  },
}

function expressApp(express, page, ...before) {
  const app = express()
  app.use(...before, (req, res, next) => next())
  app.use('/limits', page)
  app.get('/other', (req, res) => res.send('other'))
  return createServer(app)
}

describe('each framework', { timeout: 120_000 }, () => {
  for (const [name, carry] of Object.entries(CARRIERS)) {
    test(`${name}: the page, its stream, and what it posts`, async (t) => {
      const limiter = limiterOf(t)
      const seen = []
      const authorize = (request) => {
        seen.push(request)
        return request.headers['x-who'] === 'admin'
      }
      const page = { limiter, authorize, admin: true }
      const make = (more) => dashboard(limiter, { authorize, admin: true, ...more })
      const port = await carry(t, page, make)
      const who = { 'x-who': 'admin' }

      assert.equal((await ask(port, '/limits/')).status, 403)
      const { status, headers } = await ask(port, '/limits?x=1', { headers: who })
      assert.deepEqual([status, headers.location], [302, './limits/'])
      const { body } = await ask(port, '/limits/', { headers: who })
      assert.match(body, /<!doctype html>/)
      assert.match((await ask(port, '/limits/style.css', { headers: who })).headers['content-type'], /css/)
      assert.equal((await ask(port, '/other')).status, 200)
      assert.equal((await ask(port, '/limits/nothing', { headers: who })).status, 404)
      assert.equal((await ask(port, '/limitsother', { headers: who })).status, 404)

      await limiter.check('alice')
      const stream = await watch(t, port, '/limits/events', who)
      assert.equal(stream.headers['content-type'], 'text/event-stream; charset=utf-8')
      const [{ name: told, policies }] = (await stream.next('hello')).limiters
      assert.deepEqual([told, policies], ['limiter', limiter.policies()])
      assert.equal((await stream.next('state')).limiters.limiter.allowed, 1)

      const looked = await post(port, '/limits/lookup', { limiter: 'limiter', key: 'alice' }, who)
      assert.deepEqual([looked.status, looked.body.remaining, looked.body.allowed], [200, 4, true])
      const blocked = await post(port, '/limits/block', { limiter: 'limiter', key: 'alice', durationMs: 60_000 }, who)
      assert.deepEqual([blocked.status, blocked.body], [200, {}])
      assert.equal(await limiter.isAllowed('alice'), false)
      assert.equal((await post(port, '/limits/reset', { limiter: 'limiter', key: 'alice' })).status, 403, 'nobody')
      assert.equal(await limiter.isAllowed('alice'), false)
      assert.ok(seen.length >= 8)

      await limiter.close()
      await stream.ended()
    })
  }

  test('fastify: the app closes while somebody watches, and authorize has its own request', async (t) => {
    const app = fastify()
    app.decorateRequest('session', null)
    app.addHook('onRequest', async (request) => (request.session = { isAdmin: true }))
    app.register(dashboardPlugin, {
      prefix: '/limits',
      limiter: limiterOf(t),
      authorize: (request) => request.session.isAdmin,
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { next, ended } = await watch(t, app.server.address().port, '/limits/events')
    await next('hello')
    await settles(app.close(), 'closing')
    await ended()
  })
})
