/** `update`: the limits of a running limiter are replaced as a whole, and what was consumed survives. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { DistributedRateLimiter } from 'distributed-rate-limiter'

import guards from '../middleware/http.js'
import { startRedis } from '../scripts/redis.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { ask, assertEnded, program, start } from './support/child.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf } from './support/face.mjs'
import { assertRefusal, thrownBy } from './support/refusal.mjs'
import { limiterOf, onEach } from './support/stores.mjs'
import { settles, until } from './support/wait.mjs'

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

const STORES = onEach(() => redis)
const onRedis = STORES.redis

describe('what was consumed survives', { timeout: 60_000 }, () => {
  for (const [store, withStore] of Object.entries(STORES)) {
    for (const algorithm of ALGORITHMS) {
      test(`${algorithm}, in ${store}`, async (t) => {
        // A bucket that grows with its limit keeps its share, so here it has the same pace and another size.
        const isBucket = algorithm.endsWith('bucket')
        const size = (units) => (algorithm === 'leaky-bucket' ? units - 1 : units)
        const options = (units) =>
          isBucket
            ? { algorithm, limit: 10, window: '1d', burst: size(units) }
            : { algorithm, limit: units, window: '1d' }
        const limiter = limiterOf(t, withStore(options(10)))
        assert.equal(await allowedOf(limiter, 'a', 8), 8)
        limiter.update(options(20))
        assertDecision(await limiter.check('a', { cost: 2 }), { allowed: true, limit: 20, remaining: 10 })
        limiter.update(options(5))
        assertDecision(await limiter.check('a'), { allowed: false, limit: 5, remaining: 0 })
        limiter.update(options(11))
        assert.equal(await allowedOf(limiter, 'a', 5), 1)
        // What `configure` has given to a key is such a change, and stays through others.
        if (!isBucket) {
          limiter.configure('a', { limit: 13, window: '1d' })
          assert.equal(await allowedOf(limiter, 'a', 5), 2)
          limiter.update(options(12))
          assertDecision(await limiter.peek('a'), { limit: 13, remaining: 0 })
          limiter.configure('a', null)
          assertDecision(await limiter.peek('a'), { limit: 12, remaining: 0 })
        }
        assertDecision(await limiter.check('b'), { allowed: true })
      })
    }
  }
})

describe('an update', { timeout: 30_000 }, () => {
  test('is told by policies() and by an event, and decides from the next call on', async (t) => {
    const limiter = limiterOf(t, { limit: 1, window: '1h' })
    const told = new Promise((resolve) => limiter.once('policies', resolve))
    assert.equal(limiter.update({ limit: 2, window: '2h', actions: { login: { limit: 1, window: '1m' } } }), undefined)
    const policies = [
      { name: 'default', algorithm: 'sliding-window', limit: 2, windowMs: 7_200_000 },
      { name: 'default', algorithm: 'sliding-window', limit: 1, windowMs: 60_000, action: 'login' },
    ]
    assert.deepEqual(limiter.policies(), policies)
    assert.deepEqual(await settles(told, 'the event'), policies)
    assert.equal(await allowedOf(limiter, 'a', 5), 2)
  })

  test('replaces the whole description: what it leaves out is as without it', async (t) => {
    const actions = { login: { limit: 1, window: '1h' } }
    const limiter = limiterOf(t, { limit: 5, window: '1h', resolution: 64, actions })
    assert.equal(await limiter.isAllowed('a', { action: 'login' }), true)
    assert.equal(await limiter.isAllowed('a', { action: 'login' }), false)
    assert.equal(await limiter.isAllowed('a', { action: 'read' }), true)
    limiter.update({ limit: 3, window: '1h' })
    // Without a limit of its own an action has the limiter's; one that had that already has the new one.
    assertDecision(await limiter.check('a', { action: 'login' }), { allowed: true, limit: 3, remaining: 1 })
    assertDecision(await limiter.check('a', { action: 'read' }), { allowed: true, limit: 3, remaining: 1 })
    assert.deepEqual(limiter.stats().actions.login, { allowed: 2, denied: 1 })
  })

  test('makes several limits of one and one of several; stats() names all that there have been', async (t) => {
    const limiter = limiterOf(t, { limit: 1, window: '1h' })
    assert.equal(await allowedOf(limiter, 'a', 2), 1)
    limiter.update({
      limits: [
        { name: 'short', limit: 2, window: '1m' },
        { name: 'long', limit: 5, window: '1h' },
      ],
    })
    assert.equal(await allowedOf(limiter, 'a', 3), 2)
    assert.equal((await limiter.check('a')).name, 'short')
    limiter.update({ limit: 2, window: '1h' })
    assert.equal(await allowedOf(limiter, 'a', 3), 1)
    const { limits, allowed, denied } = limiter.stats()
    assert.deepEqual(
      { ...limits },
      { default: { allowed: 2, denied: 3 }, short: { allowed: 2, denied: 2 }, long: { allowed: 0, denied: 0 } },
    )
    assert.deepEqual({ allowed, denied }, { allowed: 4, denied: 5 })
  })

  test('keeps the prefix, the tag and the secret of the constructor', async (t) => {
    const options = onRedis({ limit: 2, window: '1h', hashTag: true, hashKeys: 'a secret of all servers' })
    const [one, other] = [limiterOf(t, options), limiterOf(t, { ...options, limit: 3 })]
    assert.equal(await allowedOf(one, 'a', 2), 2)
    one.update({ limit: 3, window: '1h' })
    assertDecision(await other.peek('a'), { remaining: 1, limit: 3 })
    assertDecision(await one.peek('a'), { remaining: 1, limit: 3 })
  })

  test('in the words of DistributedRateLimiter', async (t) => {
    const limiter = limiterOf(t, { maxRequests: 1, timeWindowMs: 3_600_000 }, DistributedRateLimiter)
    assert.equal(await allowedOf(limiter, 'a', 2), 1)
    limiter.update({ maxRequests: 3, timeWindowMs: 3_600_000 })
    assert.equal(await allowedOf(limiter, 'a', 3), 2)
    const error = thrownBy(() => limiter.update({ maxRequests: 0, timeWindowMs: 1 }), 'update')
    assertRefusal(error, { type: RangeError, code: 'ERR_RATE_LIMIT_OPTION', says: ['maxRequests'] }, 'update')
  })

  test('leaves calls under way what they began with', async (t) => {
    const limiter = limiterOf(t, onRedis({ limit: 5, window: '1h' }))
    const calls = [limiter.check('a'), limiter.check('a')]
    limiter.update({ limit: 9, window: '1h' })
    for (const { limit } of await Promise.all(calls)) assert.equal(limit, 5)
    assertDecision(await limiter.check('a'), { limit: 9, remaining: 6 })
  })

  test('forgets refusals that are known', async (t) => {
    const limiter = limiterOf(t, onRedis({ limit: 1, window: '1h', denyCache: '1m' }))
    await allowedOf(limiter, 'a', 2)
    assertDecision(await limiter.check('a'), { allowed: false, source: 'deny-cache' })
    // To other numbers, under which the window has passed, and back.
    limiter.update({ limit: 1, window: 0.001 })
    limiter.update({ limit: 1, window: '1h' })
    assertDecision(await limiter.check('a'), { allowed: false, source: 'redis' })
  })

  test('gives back what is leased under other numbers', async (t) => {
    const limiter = limiterOf(t, onRedis({ limit: 100_000, window: '1h', lease: { max: 100, ttl: '1m' } }))
    let calls = 0
    await until(async () => {
      for (let call = 0; call < 50; call += 1, calls += 1) {
        if ((await limiter.check('a')).source === 'lease') return (calls += 1)
      }
    }, 'a lease decides')
    assert.ok(limiter.stats().leases.units > 0)
    limiter.update({ limit: 100_000, window: '1h' })
    assert.ok(limiter.stats().leases.units > 0, 'the same numbers')
    limiter.update({ limit: 50_000, window: '1h' })
    assert.deepEqual(limiter.stats().leases, { held: 0, units: 0 })
    await until(async () => (await limiter.peek('a')).remaining === 50_000 - calls, 'all is given back')
  })

  test('shows in the headers of a guard that was made before', async (t) => {
    const limiter = limiterOf(t, { limit: 3, window: '90s' })
    const guard = guards.rateLimit({ limiter, key: () => 'a' })
    const warned = []
    process.on('warning', (warning) => warned.push(warning.name))
    for (let more = 0; more < 20; more += 1) guards.rateLimit({ limiter, key: () => 'a' })
    const headers = {}
    const response = { setHeader: (name, value) => (headers[name] = value) }
    await guard({ headers: {} }, response, () => {})
    assert.match(headers['RateLimit-Policy'], /q=3;w=90/)
    const told = new Promise((resolve) => limiter.once('policies', resolve))
    limiter.update({ limit: 7, window: '30s' })
    await told
    await guard({ headers: {} }, response, () => {})
    assert.match(headers['RateLimit-Policy'], /q=7;w=30/)
    assert.deepEqual(warned, [], 'that many listeners are no leak')
  })
})

describe('a bad update changes nothing', { timeout: 30_000 }, () => {
  const code = 'ERR_RATE_LIMIT_OPTION'
  const kind = { type: TypeError, code }
  const range = { type: RangeError, code }
  const good = { limit: 9, window: '1h' }
  for (const [given, expected, ...says] of [
    [undefined, kind, 'options'],
    [null, kind, 'options'],
    [{}, kind, 'limit'],
    [{ limit: 9 }, kind, 'window'],
    [{ ...good, limit: 0 }, range, 'limit', '0'],
    [{ ...good, window: '5 parsecs' }, range, 'window'],
    [{ ...good, actions: { login: { limit: 1 } } }, kind, 'actions.login'],
    [{ ...good, limits: [{ name: 'a', ...good }] }, kind, 'limits'],
    [
      {
        limits: [
          { name: 'a', ...good },
          { name: 'a', ...good },
        ],
      },
      kind,
      'limits[1].name',
    ],
    [{ ...good, windw: 1 }, { type: TypeError, code: 'ERR_RATE_LIMIT_UNKNOWN_OPTION' }, 'windw'],
    [{ ...good, prefix: 'other' }, kind, 'prefix', 'cannot be changed'],
    [{ ...good, redisUrl: 'redis://localhost' }, kind, 'redisUrl', 'cannot be changed'],
    [{ ...good, hashTag: true }, kind, 'hashTag', 'cannot be changed'],
    [{ ...good, hashKeys: false }, kind, 'hashKeys', 'cannot be changed'],
    [{ ...good, burst: { extra: 1, window: '1m' } }, kind, 'burst'],
    [{ ...good, actions: { read: { ...good, burst: { extra: 1, window: '1m' } } } }, kind, "'read'", 'burst'],
  ]) {
    test(JSON.stringify(given) ?? 'undefined', async (t) => {
      const limiter = limiterOf(t, { limit: 2, window: '1h' })
      limiter.configure('own', { limit: 5, window: '1h' })
      const before = limiter.policies()
      await limiter.isAllowed('a')
      limiter.on('policies', () => assert.fail('nothing has changed'))
      assertRefusal(
        thrownBy(() => limiter.update(given), 'update'),
        { ...expected, says },
        'update',
      )
      assert.deepEqual(limiter.policies(), before)
      assertDecision(await limiter.check('a'), { allowed: true, limit: 2, remaining: 0 })
      assertDecision(await limiter.check('a', { action: 'read' }), { allowed: true, limit: 2, remaining: 1 })
      assertDecision(await limiter.peek('own'), { limit: 5 })
    })
  }

  test('one under which a limit of `configure` is none', (t) => {
    const limiter = limiterOf(t, onRedis({ limit: 1, window: '1h', lease: { max: 10, ttl: '10s' } }))
    assertRefusal(
      thrownBy(() => limiter.update({ limit: 1, window: '1s' }), 'update'),
      { ...range, says: ['lease.ttl'] },
      'update',
    )
  })

  test('a share that begins, a fallback of shared memory, and a limiter that is closed', async (t) => {
    const alone = limiterOf(t, { redisUrl: redis.url, limit: 1, window: '1h' })
    const share = { limit: 1, window: '1h', fallback: { share: 'fleet' } }
    assertRefusal(
      thrownBy(() => alone.update(share), 'update'),
      { ...kind, says: ['fallback.share'] },
      'update',
    )
    if (STORES.shared) {
      const shared = limiterOf(t, STORES.shared({ limit: 1, window: '1h' }))
      const fallback = { limit: 1, window: '1h', fallback: { limit: 1 } }
      assertRefusal(
        thrownBy(() => shared.update(fallback), 'update'),
        { ...kind, says: ['fallback'] },
        'update',
      )
    }
    await alone.close()
    const error = thrownBy(() => alone.update({ limit: 1, window: '1h' }), 'update')
    assertRefusal(error, { type: Error, code: 'ERR_RATE_LIMIT_CLOSED' }, 'update')
  })

  test('whoever waits is told of a cost that there can no longer be', async (t) => {
    const limiter = limiterOf(t, { limit: 5, window: 300 })
    await allowedOf(limiter, 'a', 5)
    const waiting = limiter.acquire('a', { cost: 5 })
    limiter.update({ limit: 4, window: 300 })
    await assert.rejects(settles(waiting, 'the wait'), { code: 'ERR_RATE_LIMIT_COST' })
  })
})

describe('under load', { timeout: 120_000 }, () => {
  const PROCESSES = 8
  const sum = (reports, what) => reports.reduce((sum, report) => sum + report[what], 0)

  test(`${PROCESSES} processes are told while they call, and none admits beyond the rule`, async (t) => {
    const limit = (limit) => ({ limit, window: '1h' })
    const options = onRedis({ ...limit(2_000), timeout: '30s' })
    const watcher = limiterOf(t, options)
    const used = async () => 2_000 - (await watcher.peek('key')).remaining
    const all = Array.from({ length: PROCESSES }, () =>
      start(program('updated.mjs'), { args: [JSON.stringify(options), 'key'], within: 90_000 }),
    )
    t.after(() => Promise.all(all.map((one) => one.stop('SIGKILL'))))
    await Promise.all(all.map((one) => one.message()))
    const tell = (message) => Promise.all(all.map((one) => ask(one, message)))

    // Lowered below what is used by then: whoever has heard of it admits nobody.
    await until(async () => (await used()) > 500, 'a part of the limit is used', 30_000)
    await tell({ update: limit(400) })
    const total = sum(await tell({ report: true }), 'allowed')
    assert.ok(total > 400 && total <= 2_000, `${total} until all had heard of it`)
    assert.equal(await used(), total, 'what was admitted is what is remembered')
    await new Promise(setImmediate)
    const lowered = await tell({ report: true })
    assert.equal(sum(lowered, 'allowed'), 0)

    // Raised: exactly the difference, while some have heard of it and others have not.
    await tell({ update: limit(total + 300) })
    await until(async () => (await used()) >= Math.min(2_000, total + 300), 'all of it is used', 30_000)
    const raised = await tell({ report: true })
    assert.equal(sum(raised, 'allowed'), 300)
    const rest = await tell({ report: true })
    assert.equal(sum(rest, 'allowed'), 0)
    assert.ok(sum(lowered, 'denied') + sum(raised, 'denied') + sum(rest, 'denied') > 0, 'all the time they called')
    t.diagnostic(`${total} before, 0 under the lower limit, 300 under the higher`)

    for (const one of all) one.send({ end: true })
    for (const one of all) assertEnded(await one.ended, 'a process')
  })
})
