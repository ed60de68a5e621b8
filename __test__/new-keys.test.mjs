/** `newKeys`: how many new identities one source may bring, and that whoever is known is served all the same. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { assertDecision } from './support/decision.mjs'
import { atMost } from './support/long.mjs'
import { reportsOf } from './support/race.mjs'
import { assertRefusal, rejectionOf } from './support/refusal.mjs'
import { makers } from './support/stores.mjs'
import { until } from './support/wait.mjs'

const USER = { name: 'user', by: 'user', limit: 10, window: '1d' }
const of = (limit, more) => ({ limits: [USER], newKeys: { limit, window: '1d', by: 'ip' }, ...more })
const who = (user, ip = '::1') => ({ user, ip })

/** The names of those of these users who are allowed, one after the other. */
async function admitted(limiter, users, ip, options) {
  const names = []
  for (const user of users) if (await limiter.isAllowed(who(user, ip), options)) names.push(user)
  return names
}
/** What the source has left. */
const left = async (limiter, user, ip, options) => (await limiter.peek(who(user, ip), options)).limits.at(-1).remaining

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

for (const [store, make] of Object.entries(makers(() => redis))) {
  describe(`newKeys, ${store}`, { timeout: atMost(60_000) }, () => {
    test('who is one too many is refused, by name; who is known is served', async (t) => {
      const limiter = make(t, of(2))
      const first = assertDecision(await limiter.check(who('u1'), { cost: 3 }), {
        allowed: true,
        granted: 3,
        name: 'user',
        limit: 10,
        remaining: 7,
        source: store,
      })
      assert.deepEqual(
        first.limits.map(({ resetAt, ...others }) => others),
        [
          { name: 'user', allowed: true, limit: 10, remaining: 7, retryAfterMs: 0 },
          { name: 'newKeys', allowed: true, limit: 2, remaining: 1, retryAfterMs: 0 },
        ],
      )
      assert.deepEqual(await admitted(limiter, ['u2', 'u3', 'u4']), ['u2'])
      const refused = assertDecision(await limiter.check(who('u3')), { allowed: false, name: 'newKeys', limit: 2 })
      assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 86_400_000, `it waits ${refused.retryAfterMs} ms`)
      assert.equal(refused.limits[0].remaining, 10, 'nothing was taken of the user')
      const known = assertDecision(await limiter.check(who('u1')), { allowed: true, name: 'user', remaining: 6 })
      const { allowed, remaining, retryAfterMs } = known.limits[1]
      assert.deepEqual({ allowed, remaining, retryAfterMs }, { allowed: true, remaining: 0, retryAfterMs: 0 })
      assertDecision(await limiter.check(who('u3', '::2')), { allowed: true })
    })

    test('a look says what would be, and takes nothing', async (t) => {
      const limiter = make(t, of(1))
      for (let again = 0; again < 3; again += 1) {
        assertDecision(await limiter.peek(who('u1')), { allowed: true, granted: 0 })
        assert.equal(await left(limiter, 'u1'), 1)
      }
      await limiter.check(who('u1'))
      assertDecision(await limiter.peek(who('u1')), { allowed: true })
      assertDecision(await limiter.peek(who('u2')), { allowed: false, name: 'newKeys' })
    })

    for (const algorithm of ALGORITHMS) {
      test(`counted by ${algorithm}, on limits by it and of its own`, async (t) => {
        const users = ['u1', 'u2', 'u3', 'u1', 'u2', 'u3']
        for (const options of [
          of(2, { algorithm }),
          of(2, { newKeys: { limit: 2, window: '1d', by: 'ip', algorithm } }),
        ]) {
          // A queue has a place for who leaves at once besides.
          if (algorithm === 'leaky-bucket') options.newKeys.burst = 1
          assert.deepEqual(await admitted(make(t, options), users), ['u1', 'u2', 'u1', 'u2'])
        }
      })
    }

    test('what is given back, taken and blocked is the user, and so is what is forgotten with a source', async (t) => {
      const limiter = make(t, of(2))
      await limiter.check(who('u1'), { cost: 4 })
      await limiter.refund(who('u1'), 2)
      await limiter.penalty(who('u1'), 1)
      assert.deepEqual(
        (await limiter.peek(who('u1'))).limits.map(({ remaining }) => remaining),
        [7, 1],
      )
      await limiter.refund({ user: 'u1' }, 1)
      await limiter.block(who('u1'), '1h')
      assertDecision(await limiter.check(who('u1')), { allowed: false, name: 'user' })
      await limiter.unblock(who('u1'))
      await limiter.reset(who('u1'))
      assert.equal(await left(limiter, 'u1'), 1, 'a source stays as it is')
      assert.deepEqual(await admitted(limiter, ['u1', 'u2']), ['u1'], 'who was forgotten is new')
      await limiter.reset({ ip: '::1' })
      assert.equal(await left(limiter, 'u2'), 2)
      assert.deepEqual(await admitted(limiter, ['u1', 'u2', 'u3', 'u4']), ['u1', 'u2', 'u3'])
      const nobody = await rejectionOf(() => limiter.block({ ip: '::1' }, '1h'), 'a source is no caller')
      assertRefusal(nobody, { type: TypeError, code: 'ERR_RATE_LIMIT_KEY', says: ['names nobody'] }, 'a source')
    })

    test('a call must say where it comes from', async (t) => {
      const limiter = make(t, of(2))
      for (const key of [{ user: 'u1' }, { ip: '::1' }, 'u1']) {
        const refused = await rejectionOf(() => limiter.check(key), 'a part is missing')
        assertRefusal(
          refused,
          { type: TypeError, code: 'ERR_RATE_LIMIT_KEY', says: ['user', 'ip'] },
          'a part is missing',
        )
      }
    })

    test('all actions of a source share it', async (t) => {
      const actions = { login: { by: 'user', limit: 5, window: '1d' }, visit: { by: 'ip', limit: 5, window: '1d' } }
      const limiter = make(t, of(3, { actions }))
      assert.deepEqual(await admitted(limiter, ['u1'], '::1', { action: 'login' }), ['u1'])
      assert.deepEqual(await admitted(limiter, ['u1'], '::1', { action: 'another' }), ['u1'])
      assert.deepEqual(await admitted(limiter, ['u1', 'u2'], '::1'), ['u1'])
      assert.deepEqual(await admitted(limiter, ['u1', 'u2'], '::1', { action: 'login' }), ['u1'])
      // Nobody is new in a limit of the sources themselves.
      const visit = assertDecision(await limiter.check({ ip: '::1' }, { action: 'visit' }), { allowed: true })
      assert.equal(visit.limits, undefined)
    })

    test("a key's own limits and a call's change nothing of it", async (t) => {
      const limiter = make(t, of(2))
      limiter.configure({ user: 'u1', ip: '::1' }, { limit: 1, window: '1d' })
      assertDecision(await limiter.check(who('u1')), { allowed: true, remaining: 0, limit: 1 })
      const own = { limit: 20, window: '1d' }
      assertDecision(await limiter.check(who('u2'), own), { allowed: true, limit: 20, remaining: 19 })
      assertDecision(await limiter.check(who('u3'), own), { allowed: false, name: 'newKeys' })
    })

    test('a cost may be more than a source may bring', async (t) => {
      const limiter = make(t, of(1))
      assertDecision(await limiter.check(who('u1'), { cost: 10 }), { allowed: true, granted: 10 })
    })

    test('as many limits as there may be, and it', async (t) => {
      const limits = Array.from({ length: 16 }, (_, index) => ({ ...USER, name: `n${index}`, by: `f${index % 8}` }))
      const limiter = make(t, { limits, newKeys: { limit: 1, window: '1d', by: 'ip' } })
      const key = Object.fromEntries([['ip', '::1'], ...limits.map(({ by }) => [by, 'x'])])
      const decision = assertDecision(await limiter.check(key), { allowed: true, name: 'n0' })
      assert.equal(decision.limits.length, 17)
      assert.deepEqual(
        { ...decision.limits.at(-1), resetAt: 0 },
        {
          name: 'newKeys',
          allowed: true,
          limit: 1,
          remaining: 0,
          retryAfterMs: 0,
          resetAt: 0,
        },
      )
      assertDecision(await limiter.check({ ...key, f7: 'y' }), { allowed: false, name: 'newKeys' })
    })

    test('nobody is told by what anybody is called', async (t) => {
      const limiter = make(t, of(2, { hashKeys: 'a secret of all servers' }))
      assert.deepEqual(await admitted(limiter, ['u1', 'u2', 'u3', 'u1']), ['u1', 'u2', 'u1'])
    })

    test('waiting is for a place of the source', async (t) => {
      const limiter = make(t, of(1, { newKeys: { limit: 1, window: '300ms', by: 'ip' } }))
      assertDecision(await limiter.acquire(who('u1')), { allowed: true })
      const late = assertDecision(await limiter.acquire(who('u2'), { maxWait: 0 }), { allowed: false, name: 'newKeys' })
      assert.ok(late.retryAfterMs <= 300, `it would wait ${late.retryAfterMs} ms`)
      const three = await Promise.all(['u2', 'u3', 'u4'].map((user) => limiter.acquire(who(user), { maxWait: '30s' })))
      for (const decision of three) assertDecision(decision, { allowed: true, name: 'user', remaining: 9 })
    })

    // Reckoning with no more than a source may bring, who is behind would be told an hour later.
    test('who waits behind others is told by what the user has left', async (t) => {
      const limiter = make(t, of(1))
      await limiter.check(who('u1'), { cost: 8 })
      const patience = new AbortController()
      const first = limiter.acquire(who('u1'), { cost: 5, signal: patience.signal })
      const second = await limiter.acquire(who('u1'), { cost: 5, maxWait: '1h' })
      assertDecision(second, { allowed: false, name: 'user' })
      patience.abort()
      await assert.rejects(first, { name: 'AbortError' })
    })

    test('a flood leaves no more than it may bring, and who is known is served', async (t) => {
      const limiter = make(t, of(100))
      const users = Array.from({ length: 20_000 }, (_, index) => `made-up-${index}`)
      await redisCommand(redis.port, 'FLUSHALL')
      assert.equal(await limiter.isAllowed(who('known')), true)
      let [count, served] = [0, 0]
      for (let start = 0; start < users.length; start += 2_500) {
        const answers = await Promise.all([
          ...users.slice(start, start + 2_500).map((user) => limiter.isAllowed(who(user))),
          limiter.isAllowed(who('known')),
        ])
        served += Number(answers.pop())
        count += answers.filter((allowed) => allowed).length
      }
      // The known one is the first of the hundred.
      assert.deepEqual({ count, served }, { count: 99, served: 8 })
      if (store === 'memory') assert.equal(limiter.stats().keys, 101, 'theirs, and the one of the source')
      else assert.equal(await redisCommand(redis.port, 'DBSIZE'), 101)
    })
  })
}

describe('newKeys of processes that share a Redis', { timeout: 120_000 }, () => {
  test('8 of them at once bring exactly as many as they may', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const options = JSON.stringify({ ...of(100), redisUrl: server.url, timeout: '30s', onStoreError: 'throw' })
    // Each has some that all have, and some that nobody else has.
    const programs = Array.from({ length: 8 }, (_, index) => ({
      file: 'new-keys-race.mjs',
      args: [options, index, 150],
    }))
    const reports = await reportsOf(programs)
    const all = new Set(reports.flatMap(({ admitted }) => admitted))
    assert.equal(all.size, 100)
    assert.ok(reports.every(({ sources }) => sources.join() === 'redis'))
    assert.equal(await redisCommand(server.port, 'DBSIZE'), 101)
  })
})

describe('newKeys on a cluster', { timeout: 120_000 }, () => {
  let cluster, redisUrl
  before(async () => {
    cluster = await startRedisCluster()
    redisUrl = cluster.nodes.map(({ url }) => url)
  })
  after(() => cluster?.stop())
  const stored = async (prefix) => {
    const names = await Promise.all(cluster.nodes.map(({ port }) => redisCommand(port, 'KEYS', `${prefix}:*`)))
    return names.map((some) => some.length)
  }

  for (const [title, more] of [
    ['keys that lie apart', {}],
    ['keys that lie together', { hashTag: 'ip' }],
  ]) {
    test(`a flood leaves no more than it may bring, ${title}`, async (t) => {
      const prefix = `flood-${'hashTag' in more}`
      const limiter = new RateLimiter({ ...of(20, more), redisUrl, prefix, timeout: '30s', onStoreError: 'throw' })
      t.after(() => limiter.close())
      assert.equal(await limiter.isAllowed(who('known')), true)
      const users = Array.from({ length: 2_000 }, (_, index) => `made-up-${index}`)
      const answers = await Promise.all(users.map((user) => limiter.isAllowed(who(user))))
      assert.equal(answers.filter((allowed) => allowed).length, 19)
      const sizes = await stored(prefix)
      assert.equal(
        sizes.reduce((sum, size) => sum + size),
        21,
        `${sizes}`,
      )
      if ('hashTag' in more) assert.equal(sizes.filter((size) => size > 0).length, 1, `on one server: ${sizes}`)
      assertDecision(await limiter.check(who('known')), { allowed: true, remaining: 8, name: 'user' })
      assertDecision(await limiter.check(who('another')), { allowed: false, name: 'newKeys', limit: 20 })
      assertDecision(await limiter.peek(who('another')), { allowed: false, name: 'newKeys' })
      assertDecision(await limiter.check(who('another', '::2')), { allowed: true })
    })
  }

  test('8 processes at once bring no more than they may', async () => {
    const own = { ...of(50), prefix: 'raced', redisUrl, timeout: '30s', onStoreError: 'throw' }
    const options = JSON.stringify(own)
    const programs = Array.from({ length: 8 }, (_, index) => ({
      file: 'new-keys-race.mjs',
      args: [options, index, 60],
    }))
    const reports = await reportsOf(programs)
    const all = new Set(reports.flatMap(({ admitted }) => admitted))
    // Two first calls of one user at once may take a unit each.
    assert.ok(all.size > 0 && all.size <= 50, `${all.size} of them`)
    const sizes = await stored('raced')
    assert.equal(
      sizes.reduce((sum, size) => sum + size),
      all.size + 1,
    )
  })
})

describe('newKeys while Redis is away', { timeout: 60_000 }, () => {
  test('the fallback has its own, and Redis is told of whom a source has brought', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const newKeys = { limit: 5, window: '1d', by: 'ip', fallback: { limit: 2 } }
    const limiter = new RateLimiter({ ...of(5, { newKeys }), redisUrl: server.url, timeout: '10s' })
    t.after(() => limiter.close())
    await limiter.ready()
    await server.kill()
    await until(() => limiter.stats().store === 'down', 'its loss is known')
    const decisions = []
    for (const user of ['u1', 'u2', 'u3', 'u1']) decisions.push(await limiter.check(who(user), { cost: 2 }))
    assert.deepEqual(
      decisions.map(({ allowed, source }) => [allowed, source]),
      [true, true, false, true].map((allowed) => [allowed, 'fallback']),
    )
    await server.restart()
    await limiter.ready({ timeout: '30s' })
    // Of two users, and of their source.
    await until(() => limiter.stats().told === 3, 'Redis is told')
    const { source, limits } = await limiter.peek(who('u1'))
    assert.equal(source, 'redis')
    assert.deepEqual(
      limits.map(({ remaining }) => remaining),
      [6, 3],
    )
  })
})
