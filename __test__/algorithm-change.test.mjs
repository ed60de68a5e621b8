/** `update` to another algorithm: what the limit was stays in force beside what it is, until what it counted is forgotten. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { startRedis } from '../scripts/redis.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { ask, assertEnded, program, start } from './support/child.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf } from './support/face.mjs'
import { assertRefusal, thrownBy } from './support/refusal.mjs'
import { limiterOf, onEach } from './support/stores.mjs'
import { until } from './support/wait.mjs'

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

const STORES = onEach(() => redis)
const onRedis = STORES.redis

/** Nothing comes back while a test runs. */
const WINDOW = '30d'
const numbers = (algorithm, limit = 10, more = {}) => ({ algorithm, limit, window: WINDOW, ...more })

describe('what was consumed survives another algorithm', { timeout: 60_000 }, () => {
  for (const [store, withStore] of Object.entries(STORES)) {
    for (const from of ALGORITHMS) {
      test(`${from}, in ${store}`, async (t) => {
        for (const to of ALGORITHMS.filter((name) => name !== from)) {
          const limiter = limiterOf(t, withStore(numbers(from)))
          assert.equal(await allowedOf(limiter, 'a', 7), 7)
          limiter.update(numbers(to))
          const { remaining, name, limits } = await limiter.peek('a')
          // A leaky bucket holds one unit beside those that wait.
          assert.ok(remaining >= 3 && remaining <= 4, `${remaining} left of a ${from} as a ${to}`)
          assert.deepEqual([name, limits], [undefined, undefined], 'one limit is told of')
          const more = await allowedOf(limiter, 'a', 20)
          assert.equal(more, remaining)
          assertDecision(await limiter.check('a'), { allowed: false, remaining: 0 })
          // Back, and what was admitted meanwhile counts as well.
          limiter.update(numbers(from))
          assert.equal(await allowedOf(limiter, 'a', 20), from === 'leaky-bucket' ? 11 - 7 - more : 0)
          limiter.update(numbers(to, 20))
          assert.ok((await allowedOf(limiter, 'a', 40)) <= 11, 'the difference, and no more')
          assertDecision(await limiter.check('b'), { allowed: true })
        }
      })
    }
  }

  test('all stores say the same on random schedules', async (t) => {
    let seed = 7
    const random = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below
    const burst = { extra: 3, window: WINDOW }
    for (let round = 0; round < 12; round += 1) {
      const withBurst = ALGORITHMS[random(3)]
      const any = () => {
        const algorithm = ALGORITHMS[random(5)]
        return numbers(algorithm, 8 + random(8), algorithm === withBurst ? { burst } : {})
      }
      const first = any()
      const limiters = Object.values(STORES).map((withStore) => limiterOf(t, withStore(first)))
      for (let step = 0; step < 60; step += 1) {
        const key = `k${random(2)}`
        const units = 1 + random(3)
        const kind = random(12)
        const next = any()
        const act = {
          0: (limiter) => limiter.update(next),
          1: (limiter) => limiter.refund(key, units),
          2: (limiter) => limiter.penalty(key, units),
          3: (limiter) => limiter.peek(key, { cost: units }),
          4: (limiter) => limiter.check(key, { upTo: units }),
          5: (limiter) => (units === 3 ? limiter.reset(key) : undefined),
          6: (limiter) => (units === 3 ? limiter.block(key, '1h') : limiter.unblock(key)),
        }[kind]
        const told = await Promise.all(
          limiters.map((limiter) => (act ?? ((one) => one.check(key, { cost: units })))(limiter)),
        )
        const said = told.map(
          (decision) => decision && [decision.allowed, decision.granted, decision.limit, decision.remaining],
        )
        for (const other of said) assert.deepEqual(other, said[0], `round ${round}, step ${step}`)
      }
    }
  })

  test('of named limits, of actions, of single keys and of groups of keys', async (t) => {
    const limiter = limiterOf(
      t,
      onRedis({
        limits: [
          { name: 'a', ...numbers('sliding-window', 5) },
          { name: 'b', ...numbers('fixed-window') },
        ],
      }),
    )
    assert.equal(await allowedOf(limiter, 'x', 4), 4)
    limiter.update({
      limits: [
        { name: 'a', ...numbers('token-bucket', 5) },
        { name: 'b', ...numbers('sliding-counter') },
      ],
    })
    const { limits, name } = await limiter.check('x')
    assert.equal(name, 'a')
    assert.deepEqual(
      limits.map(({ name, remaining }) => [name, remaining]),
      [
        ['a', 0],
        ['b', 5],
      ],
    )
    assert.deepEqual(
      (await limiter.explain('x')).limits.map(({ name, algorithm }) => [name, algorithm]),
      [
        ['a', 'token-bucket'],
        ['b', 'sliding-counter'],
      ],
    )
    assert.deepEqual(Object.keys(limiter.stats().limits), ['a', 'b'])

    const own = (algorithm) => ({
      ...numbers(algorithm, 5),
      actions: { login: numbers(algorithm, 3) },
      overrides: { 'vip:*': { limit: 8, window: WINDOW } },
    })
    const one = limiterOf(t, onRedis(own('sliding-window')))
    one.configure('c', { limit: 2, window: WINDOW })
    for (const [key, action] of [['x', 'login'], ['x', 'read'], ['vip:1'], ['c']])
      await one.check(key, { cost: 2, action })
    one.update(own('token-bucket'))
    for (const [key, action, left] of [
      ['x', 'login', 1],
      ['x', 'read', 3],
      ['vip:1', undefined, 6],
      ['c', undefined, 0],
    ]) {
      assertDecision(await one.peek(key, { action }), { remaining: left })
    }
  })

  test('what was held before is settled after it, and a fallback knows of it', async (t) => {
    const limiter = limiterOf(t, onRedis(numbers('sliding-window')))
    const reservation = await limiter.reserve('a', { cost: 8, ttl: '1m' })
    assert.equal(reservation.allowed, true)
    limiter.update(numbers('token-bucket'))
    assertDecision(await limiter.check('a', { cost: 3 }), { allowed: false })
    const { remaining: left, expired } = await reservation.settle(2)
    assert.deepEqual([left, expired], [8, false])

    const away = limiterOf(t, { redisUrl: 'redis://127.0.0.1:1', ...numbers('sliding-window'), timeout: 50 })
    await until(async () => (await away.check('b')).source === 'fallback', 'it decides in the place of Redis')
    const { remaining } = await away.peek('b')
    away.update(numbers('fixed-window'))
    assertDecision(await away.check('b'), { remaining: remaining - 1, source: 'fallback' })
  })

  test('with a lease and with refusals that are known', async (t) => {
    const leased = limiterOf(t, onRedis({ ...numbers('sliding-window', 1_000), lease: { max: 50, ttl: '1m' } }))
    assert.equal(await allowedOf(leased, 'a', 200), 200)
    leased.update(numbers('token-bucket', 1_000))
    await until(async () => (await leased.peek('a')).remaining === 800, 'what was leased is given back')
    const known = limiterOf(t, onRedis({ ...numbers('sliding-window', 3), denyCache: '1m' }))
    assert.equal(await allowedOf(known, 'a', 5), 3)
    known.update(numbers('token-bucket', 3))
    assert.equal(await allowedOf(known, 'a', 5), 0)
  })
})

describe('another algorithm is refused', () => {
  const range = { type: TypeError, code: 'ERR_RATE_LIMIT_OPTION' }
  const newKeys = (algorithm) => ({
    limits: [{ name: 'user', by: 'user', limit: 1, window: '1h' }],
    newKeys: { ...numbers(algorithm), by: 'ip' },
  })
  for (const [what, first, next, ...says] of [
    [
      'with timestamps',
      { ...numbers('sliding-window'), clock: 'timestamps' },
      [numbers('token-bucket')],
      'algorithm',
      'timestamps',
    ],
    ['of newKeys', newKeys('fixed-window'), [newKeys('token-bucket')], 'newKeys', 'token-bucket'],
    [
      'where a burst comes',
      numbers('fixed-window'),
      [numbers('token-bucket'), numbers('fixed-window', 10, { burst: { extra: 1, window: '1m' } })],
      'burst',
    ],
  ]) {
    test(what, (t) => {
      const limiter = limiterOf(t, first)
      for (const good of next.slice(0, -1)) limiter.update(good)
      const policies = limiter.policies()
      assertRefusal(
        thrownBy(() => limiter.update(next.at(-1)), 'update'),
        { ...range, says },
        'update',
      )
      assert.deepEqual(limiter.policies(), policies)
    })
  }
})

describe('several processes', { timeout: 120_000 }, () => {
  test('go over to another algorithm one after the other, and none admits beyond the limit', async (t) => {
    const options = onRedis({ ...numbers('sliding-window', 3_000), timeout: '30s' })
    const all = Array.from({ length: 4 }, () =>
      start(program('updated.mjs'), { args: [JSON.stringify(options), 'key'], within: 90_000 }),
    )
    t.after(() => Promise.all(all.map((one) => one.stop('SIGKILL'))))
    await Promise.all(all.map((one) => one.message()))
    const watcher = limiterOf(t, options)
    const used = async () => 3_000 - (await watcher.peek('key')).remaining
    for (const [index, one] of all.entries()) {
      await until(async () => (await used()) > 500 * (index + 1), 'a part of the limit is used', 30_000)
      await ask(one, { update: numbers('token-bucket', 3_000) })
    }
    await until(async () => (await used()) >= 3_000, 'all of it is used', 30_000)
    const reports = await Promise.all(all.map((one) => ask(one, { report: true })))
    assert.equal(
      reports.reduce((sum, { allowed }) => sum + allowed, 0),
      3_000,
    )
    for (const one of all) one.send({ end: true })
    for (const one of all) assertEnded(await one.ended, 'a process')
  })

  test('that share their policies go over together', async (t) => {
    const options = onRedis({ ...numbers('sliding-window', 6), policies: { shared: 'fleet' } })
    const [one, other] = [limiterOf(t, options), limiterOf(t, options)]
    await Promise.all([one.ready(), other.ready()])
    assert.equal(await allowedOf(one, 'a', 4), 4)
    await one.publishPolicies(numbers('fixed-window', 6))
    for (const limiter of [one, other]) {
      await until(() => limiter.policies()[0].algorithm === 'fixed-window', 'it has heard of it')
    }
    assert.equal(await allowedOf(other, 'a', 5), 2)
    assert.equal(await allowedOf(one, 'a', 5), 0)
  })
})
