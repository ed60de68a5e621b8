/** What only Nest has: guards in its three places, the decorator, and exceptions that filters see. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { Controller, Get, HttpException, UseGuards } from '@nestjs/common'
import { RateLimit, RateLimitGuard } from 'distributed-rate-limiter/nest'

import { decorate, startNest } from './support/frameworks.mjs'
import { get } from './support/http.mjs'
import { hourly } from './support/stores.mjs'

/** A controller whose methods answer `hello`, by their paths with decorators of their own. */
function controllerOf(routes, ...own) {
  class Routes {}
  const members = {}
  for (const [path, decorators] of Object.entries(routes)) {
    Routes.prototype[path] = () => 'hello'
    members[path] = { decorators: [Get(path), ...decorators] }
  }
  return decorate(Routes, members, Controller(), ...own)
}

async function serve(t, controllers, settings) {
  const { port, stop } = await startNest(controllers, settings)
  t.after(stop)
  return async (...paths) => {
    const statuses = []
    for (const path of paths) statuses.push((await get(port, path)).status)
    return statuses
  }
}

describe('Nest', { timeout: 60_000 }, () => {
  test('guards everything, a controller, or a handler', async (t) => {
    const guard = () => UseGuards(new RateLimitGuard({ limiter: hourly(t) }))
    const ask = await serve(t, [controllerOf({ one: [guard()], free: [] }), controllerOf({ a: [], b: [] }, guard())])
    assert.deepEqual(await ask('/free', '/free', '/one', '/one'), [200, 200, 200, 429])
    assert.deepEqual(await ask('/a', '/b'), [200, 429])
  })

  test('the decorator gives a controller or a handler options of its own, the handler’s before the controller’s', async (t) => {
    const guards = [new RateLimitGuard({ limiter: hourly(t, { limit: 2 }), status: 503 })]
    const ask = await serve(
      t,
      [
        controllerOf({ usual: [], free: [RateLimit(false)], own: [RateLimit({ limiter: hourly(t) })] }),
        controllerOf({ inherited: [], counted: [RateLimit({ status: 420 })] }, RateLimit(false)),
      ],
      { guards },
    )
    assert.deepEqual(await ask('/free', '/free', '/free', '/inherited', '/inherited'), Array(5).fill(200))
    assert.deepEqual(await ask('/own', '/own'), [200, 503])
    assert.deepEqual(await ask('/usual', '/usual', '/usual', '/counted'), [200, 200, 503, 420])
  })

  test('bad options of a decorator come out with the first request, as an error with its code', async (t) => {
    const guards = [new RateLimitGuard({ limiter: hourly(t) })]
    const { port, stop } = await startNest([controllerOf({ bad: [RateLimit({ statsu: 1 })] })], { guards })
    t.after(stop)
    const { status, body } = await get(port, '/bad')
    assert.deepEqual([status, JSON.parse(body)], [500, { code: 'ERR_RATE_LIMIT_UNKNOWN_OPTION' }])
  })

  for (const isOnFastify of [false, true]) {
    test(`onDenied may answer itself, on ${isOnFastify ? 'Fastify' : 'Express'}: the status is set already`, async (t) => {
      const onDenied = (request, response, { limit }) => response.send({ limit })
      const guards = [new RateLimitGuard({ limiter: hourly(t), status: 503, onDenied })]
      // A hook that waits, as those of compression and of sessions do: the reply is not on its way when `onDenied` returns.
      const prepare = (app) =>
        isOnFastify && app.addHook('onSend', () => new Promise((resolve) => setImmediate(resolve)))
      const { port, stop } = await startNest([controllerOf({ one: [] })], { guards, isOnFastify, prepare })
      t.after(stop)
      await get(port, '/one')
      const { status, headers, body } = await get(port, '/one')
      assert.deepEqual([status, JSON.parse(body)], [503, { limit: 1 }])
      assert.match(headers['content-type'], /^application\/json/)
    })
  }

  test('a refusal is an HttpException with what it says', async (t) => {
    const guard = new RateLimitGuard({ limiter: hourly(t) })
    const headers = {}
    const request = { headers: {}, ip: '192.0.2.1', socket: { remoteAddress: '192.0.2.1' } }
    const response = { header: (name, value) => (headers[name] = value) }
    const context = {
      getType: () => 'http',
      getHandler: () => () => {},
      getClass: () => class {},
      switchToHttp: () => ({ getRequest: () => request, getResponse: () => response }),
    }
    assert.equal(await guard.canActivate(context), true)
    const error = await guard.canActivate(context).catch((thrown) => thrown)
    assert.ok(error instanceof HttpException)
    assert.equal(error.getStatus(), 429)
    assert.equal(error.getResponse().title, 'Too many requests')
    assert.equal(headers['Content-Type'], 'application/problem+json')
  })

  test('messages and sockets go on', async (t) => {
    const guard = new RateLimitGuard({ limiter: hourly(t) })
    for (const type of ['rpc', 'ws', 'graphql']) {
      assert.equal(await guard.canActivate({ getType: () => type }), true)
    }
  })
})
