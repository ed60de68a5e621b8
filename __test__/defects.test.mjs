/**
 * Defects of other rate limiters, which their users have met, shown absent here. RLF is rate-limiter-flexible, UPS
 * `@upstash/ratelimit`, RLR rate-limit-redis, FST `@fastify/rate-limit`, CELL redis-cell; a number is that of their issue.
 */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { assertDecision } from './support/decision.mjs'
import { atMost } from './support/long.mjs'
import { assertRefusal, rejectionOf } from './support/refusal.mjs'
import { makers } from './support/stores.mjs'
import { settles, sleep, until } from './support/wait.mjs'

const DAY = 86_400_000

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const { memory: inMemory, redis: onRedis } = makers(() => redis)
const command = (...args) => redisCommand(redis.port, ...args)

/** The keys of a prefix with the milliseconds that each has to live; one that has expired meanwhile is left out. */
async function lifetimes(prefix) {
  const names = await command('KEYS', `${prefix}:*`)
  const all = await Promise.all(names.map(async (name) => [name, await command('PTTL', name)]))
  return all.filter(([, ttl]) => ttl !== -2)
}

describe('defects of others', { timeout: atMost(60_000) }, () => {
  for (const algorithm of ALGORITHMS) {
    test(`RLF: a window below one second becomes INCRBY without expiry, ${algorithm}`, async (t) => {
      const prefix = `below-${algorithm}`
      const limiter = onRedis(t, { algorithm, limit: 2, window: 200, prefix })
      for (let calls = 0; calls < 5; calls += 1) {
        await limiter.check('a')
        for (const [name, ttl] of await lifetimes(prefix)) assert.ok(ttl >= 0, `${name} would stay for ever`)
      }
      // Without an expiry the key would be refused for ever.
      await until(async () => (await lifetimes(prefix)).length === 0, 'Redis had forgotten the key')
      assertDecision(await limiter.check('a', { cost: 2 }), { allowed: true })
    })

    test(`RLR: a decrement after expiry makes a key at -1 that never expires, ${algorithm}`, async (t) => {
      const prefix = `late-${algorithm}`
      const limiter = onRedis(t, { algorithm, limit: 3, window: 100, prefix })
      await limiter.check('a')
      await until(async () => (await lifetimes(prefix)).length === 0, 'Redis had forgotten the key')
      const full = (await limiter.peek('a')).limit
      assertDecision(await limiter.refund('a', 2), { allowed: true, remaining: full })
      assert.deepEqual(await lifetimes(prefix), [], 'there was nothing to give back, so nothing is kept')
      const { granted } = await limiter.check('a', { upTo: full })
      assert.equal(granted, full, 'as much as ever')
    })

    test(`UPS#156, #161: a refused weighted call still consumed, ${algorithm}`, async (t) => {
      for (const make of [inMemory, onRedis]) {
        const limiter = make(t, { algorithm, limit: 10, window: '1d' })
        const { remaining } = await limiter.check('a', { cost: 4 })
        for (let again = 0; again < 5; again += 1) {
          assertDecision(await limiter.check('a', { cost: remaining + 1 }), { allowed: false, remaining })
        }
        assertDecision(await limiter.check('a', { cost: remaining }), { allowed: true, remaining: 0 })
      }
    })
  }

  test('UPS: time is the client’s clock, and skewed clocks let 8 through where 4 were allowed', async (t) => {
    for (const algorithm of ALGORITHMS) {
      const options = { algorithm, limit: 4, window: '1d', prefix: `skewed-${algorithm}` }
      const [one, other] = [onRedis(t, options), onRedis(t, options)]
      const full = (await one.peek('a')).limit
      assertDecision(await one.check('a', { cost: full }), { allowed: true })
      const now = Date.now
      t.after(() => (Date.now = now))
      for (const skew of [-3 * DAY, -DAY, -1, 1, DAY, 3 * DAY]) {
        Date.now = () => now() + skew
        assert.equal(await other.isAllowed('a'), false, `a clock that is off by ${skew} ms`)
        assert.equal(await other.isAllowed('a', { timestamp: now() + skew }), false, 'also where a call says so')
        Date.now = now
      }
    }
  })

  test('FST: a flood of other keys pushes out one’s own counter, which resets it', async (t) => {
    const limiter = inMemory(t, { limit: 2, window: '1d', maxMemory: '64kb' })
    assert.equal(await limiter.isAllowed('mine', { cost: 2 }), true)
    for (let index = 0; index < 10_000; index += 1) await limiter.isAllowed(`other-${index}`)
    assert.equal(await limiter.isAllowed('mine'), false, 'it is counted still')
  })

  test('RLF#152, UPS: memory grows with the keys', async (t) => {
    const limiter = inMemory(t, { limit: 2, window: '1d', maxMemory: '64kb' })
    for (let index = 0; index < 20_000; index += 1) await limiter.isAllowed(`key-${index}`)
    const { keys } = limiter.stats()
    assert.ok(keys <= 500, `${keys} keys are kept`)
  })

  test('all: a fixed window lets 2 × limit through around its edge', async (t) => {
    const limiter = inMemory(t, { limit: 10, window: '1m', clock: 'timestamps' })
    const edge = 60_000 * 28_000_000
    const admitted = []
    for (let timestamp = edge - 60_000; timestamp < edge + 120_000; timestamp += 250) {
      // Nothing in the first of three minutes but its end, then as much as there is.
      if (timestamp < edge - 2_000) continue
      const { granted } = await limiter.check('a', { upTo: 5, timestamp })
      for (let unit = 0; unit < granted; unit += 1) admitted.push(timestamp)
    }
    assert.ok(admitted.length > 20, 'units came back')
    for (let index = 10; index < admitted.length; index += 1) {
      const between = admitted[index] - admitted[index - 10]
      assert.ok(between >= 60_000, `11 within ${between} ms`)
    }
  })

  test('RLF#280, #150: a union burns points on the limits that passed, in several round trips', async (t) => {
    const limits = [
      { name: 'wide', limit: 9, window: '1d' },
      { name: 'narrow', limit: 1, window: '1d' },
      { name: 'last', limit: 9, window: '1d' },
    ]
    const limiter = onRedis(t, { limits, denyCache: false })
    await limiter.ready()
    for (let calls = 0; calls < 6; calls += 1) await limiter.check('a')
    assert.deepEqual(
      (await limiter.peek('a')).limits.map(({ remaining }) => remaining),
      [8, 0, 8],
      'five refusals have cost nothing',
    )
    const { batches, batchedCalls } = limiter.stats()
    assert.deepEqual({ batches, batchedCalls }, { batches: 7, batchedCalls: 7 }, 'one script call for each call')
  })

  test('FST#152: a key without a time to live is blocked for ever', async (t) => {
    const limiter = onRedis(t, { limit: 1, window: 200, prefix: 'persist' })
    await limiter.check('a')
    const [[name] = []] = await lifetimes('persist')
    if (name !== undefined) await command('PERSIST', name)
    await sleep(250)
    assertDecision(await limiter.check('a'), { allowed: true })
    for (const [, ttl] of await lifetimes('persist')) assert.ok(ttl >= 0, 'and it has a time to live again')
  })

  test('CELL#58: Retry-After is floored, zero or negative', async (t) => {
    for (const algorithm of ALGORITHMS) {
      const limiter = inMemory(t, { algorithm, limit: 1, window: 2_500, clock: 'timestamps' })
      const full = (await limiter.peek('a', { timestamp: 10_000 })).limit
      await limiter.check('a', { cost: full, timestamp: 10_000 })
      for (let timestamp = 10_000; timestamp < 15_000; timestamp += 7) {
        const { allowed, retryAfter, retryAfterMs } = assertDecision(await limiter.peek('a', { timestamp }))
        if (allowed) break
        assert.ok(retryAfter >= 1 && retryAfter * 1_000 >= retryAfterMs, `${algorithm}: ${retryAfter}, ${retryAfterMs}`)
      }
    }
  })

  test('RLF#238, #231: a 32-bit timer ends a 30-day key at once', async (t) => {
    const warnings = []
    const warned = (warning) => warnings.push(warning)
    process.on('warning', warned)
    t.after(() => process.off('warning', warned))
    for (const make of [inMemory, onRedis]) {
      const limiter = make(t, { limit: 1, window: '60d' })
      await limiter.check('a')
      await limiter.block('b', '60d')
      const giveUp = new AbortController()
      const waiting = limiter.acquire('a', { signal: giveUp.signal })
      let settled = false
      waiting.then(
        () => (settled = true),
        () => {},
      )
      await sleep(20)
      assert.equal(settled, false, 'who waits goes on waiting')
      for (const key of ['a', 'b']) {
        const { retryAfterMs } = assertDecision(await limiter.check(key), { allowed: false })
        assert.ok(retryAfterMs > 59 * DAY, `${key} is counted for ${retryAfterMs} ms`)
      }
      giveUp.abort()
      await assert.rejects(settles(waiting, 'acquire'))
    }
    assert.deepEqual(warnings, [])
  })

  test('RLF#210: a block is undone, by a block of 0 or by points that come back', async (t) => {
    for (const make of [inMemory, onRedis]) {
      const limiter = make(t, { limit: 2, window: '1d' })
      await limiter.check('a')
      await limiter.block('a', '1h')
      const refusal = await rejectionOf(() => limiter.block('a', 0), 'a block of 0')
      assertRefusal(refusal, { type: RangeError, code: 'ERR_RATE_LIMIT_OPTION', says: ['duration'] }, 'a block of 0')
      await limiter.refund('a')
      assert.equal(await limiter.isAllowed('a'), false, 'neither lifts it')
      await limiter.unblock('a')
      assertDecision(await limiter.check('a'), { allowed: true, remaining: 1 })
    }
  })

  test('RLF#253, #72: a rejection with something that is no Error ends the process', async (t) => {
    const limiter = inMemory(t, { limit: 1, window: '1d' })
    await limiter.check('a')
    assertDecision(await limiter.check('a'), { allowed: false })
    const absent = onRedis(t, {
      limit: 1,
      window: '1d',
      redisUrl: `redis://127.0.0.1:${await freePort()}`,
      timeout: 50,
    })
    const refusal = await rejectionOf(() => absent.check('a'), 'a store that is away')
    assert.ok(refusal instanceof Error, 'a denial is an answer, and trouble is an Error')
    assert.match(refusal.code, /^ERR_RATE_LIMIT_STORE_/)
  })

  test('RLR#144, UPS#122: NOSCRIPT after Redis has lost its scripts', async (t) => {
    const limiter = onRedis(t, { limit: 5, window: '1d' })
    await limiter.check('a')
    await command('SCRIPT', 'FLUSH')
    assertDecision(await limiter.check('a'), { allowed: true, remaining: 3, source: 'redis' })
  })

  test('UPS#17: there is no way to look without taking', async (t) => {
    for (const make of [inMemory, onRedis]) {
      const limiter = make(t, { limit: 2, window: '1d' })
      for (let looks = 0; looks < 5; looks += 1)
        assertDecision(await limiter.peek('a'), { allowed: true, remaining: 2 })
    }
  })
})
