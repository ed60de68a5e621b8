/** Units that are held: budgets that are settled, and how much is under way at once; by who crashes, too. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { ConcurrencyLimiter, RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertEnded, program, run, start } from './support/child.mjs'
import { atMost, isLong } from './support/long.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { makers, ownPrefix } from './support/stores.mjs'
import { settles, until } from './support/wait.mjs'

const PATIENT = { timeout: '30s', onStoreError: 'throw' }

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

function concurrency(t, options) {
  const limiter = new ConcurrencyLimiter({ prefix: ownPrefix(), ...PATIENT, ...options })
  t.after(() => limiter.close())
  return limiter
}

const stores = { memory: () => ({}), redis: () => ({ redisUrl: redis.url }) }

for (const [store, make] of Object.entries(makers(() => redis))) {
  describe(`budgets, ${store}`, { timeout: atMost(60_000) }, () => {
    const left = async (limiter, key = 'a') => (await limiter.peek(key)).remaining

    test('what was used is spent, and the rest is free at once', async (t) => {
      const limiter = make(t, { limit: 10, window: '1d' })
      const reservation = await limiter.reserve('a', { cost: 6, ttl: '1h' })
      assert.deepEqual([reservation.allowed, reservation.granted, reservation.remaining], [true, 6, 4])
      assert.ok(reservation.expiresAt > 0 && reservation.booked === undefined)
      assert.equal((await limiter.check('a', { cost: 5 })).allowed, false)
      const settlement = await reservation.settle(2)
      assert.deepEqual([settlement.expired, settlement.remaining], [false, 8])
      assert.equal(await reservation.settle(5), settlement, 'only the first counts')
      await reservation.cancel()
      assert.equal(await left(limiter), 8)
    })

    test('what is cancelled is free', async (t) => {
      const limiter = make(t, { limit: 10, window: '1d' })
      const reservation = await limiter.reserve('a', { cost: 10 })
      const refused = await limiter.reserve('a')
      assert.deepEqual([refused.allowed, refused.expiresAt], [false, 0])
      assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 30_000)
      await refused.cancel()
      await reservation[Symbol.asyncDispose]()
      assert.equal(await left(limiter), 10)
    })

    test('more than was reserved is taken past the limit', async (t) => {
      const limiter = make(t, { limit: 10, window: '1d' })
      const reservation = await limiter.reserve('a', { cost: 2 })
      assert.deepEqual(await reservation.settle(12).then(({ allowed, remaining }) => [allowed, remaining]), [false, 0])
      assert.equal((await limiter.refund('a', 2)).remaining, 0, 'what is owed is paid first')
      assert.equal((await limiter.refund('a', 3)).remaining, 3)
    })

    test('what nobody settles is free again, and is booked when it is settled late', async (t) => {
      const limiter = make(t, { limit: 10, window: '1d' })
      const reservation = await limiter.reserve('a', { cost: 6, ttl: 20 })
      await until(async () => (await left(limiter)) === 10, 'it has ended')
      const settlement = await reservation.settle(3)
      assert.deepEqual([settlement.expired, settlement.remaining], [true, 7])
    })

    test('under several limits, and for an action of its own', async (t) => {
      const limits = [
        { name: 'minute', limit: 5, window: '1m' },
        { name: 'day', limit: 8, window: '1d' },
      ]
      const limiter = make(t, { limits })
      const reservation = await limiter.reserve('a', { cost: 5, action: 'chat' })
      assert.deepEqual(
        reservation.limits.map(({ remaining }) => remaining),
        [0, 3],
      )
      assert.equal((await limiter.reserve('a', { cost: 1, action: 'chat' })).name, 'minute')
      assert.equal(await left(limiter), 5, 'another action is counted apart')
      assert.equal((await reservation.settle(1)).expired, false)
      const { limits: after } = await limiter.peek('a', { action: 'chat' })
      assert.deepEqual(
        after.map(({ remaining }) => remaining),
        [4, 7],
      )
    })

    test('refuses what is none', async (t) => {
      const limiter = make(t, { limit: 10, window: '1d' })
      for (const [options, type, code, says] of [
        [{ cost: 11 }, RangeError, 'ERR_RATE_LIMIT_COST', ['`cost`', '11']],
        [{ upTo: 2 }, TypeError, 'ERR_RATE_LIMIT_UNKNOWN_OPTION', ['upTo']],
        [{ ttl: 0 }, RangeError, 'ERR_RATE_LIMIT_OPTION', ['`ttl`']],
        [{ ttl: '2d' }, RangeError, 'ERR_RATE_LIMIT_OPTION', ['`ttl`', '2d']],
        [{ ttl: null }, TypeError, 'ERR_RATE_LIMIT_OPTION', ['`ttl`', 'null']],
        [7, TypeError, 'ERR_RATE_LIMIT_OPTION', ['`options`']],
      ]) {
        assertRefusal(await rejectionOf(() => limiter.reserve('a', options), 'it'), { type, code, says }, 'reserve')
      }
      const reservation = await limiter.reserve('a', { cost: 4 })
      for (const actual of [-1, 0.5, NaN, '3', undefined, 2 ** 32 + 1]) {
        const error = await rejectionOf(() => reservation.settle(actual), `${actual}`)
        assert.equal(error.code, 'ERR_RATE_LIMIT_COST')
        assert.match(error.message, /`actual`/)
      }
      assert.equal((await reservation.settle(4)).remaining, 6, 'one that was refused may be said again')
    })
  })
}

test('what cannot be had is refused in a sentence', async (t) => {
  for (const [options, says] of [
    [{ clock: 'timestamps', limit: 1, window: '1m' }, 'timestamps'],
    [
      { limits: [{ name: 'a', by: 'user', limit: 1, window: '1m' }], newKeys: { limit: 1, window: '1m', by: 'ip' } },
      'newKeys',
    ],
    ...(process.platform === 'linux' ? [[{ shared: ownPrefix(), limit: 1, window: '1m' }, 'shared']] : []),
  ]) {
    const limiter = new RateLimiter(options)
    t.after(() => limiter.close())
    const key = options.newKeys ? { user: 'u', ip: 'i' } : 'a'
    const error = await rejectionOf(() => limiter.reserve(key), says)
    assertRefusal(error, { type: Error, code: 'ERR_RATE_LIMIT_UNSUPPORTED', says: [says, '`reserve`'] }, says)
  }
})

test('a refusal that is known ends when another process settles', { timeout: atMost(30_000) }, async (t) => {
  const prefix = ownPrefix()
  const make = () => {
    const limiter = new RateLimiter({
      ...PATIENT,
      prefix,
      redisUrl: redis.url,
      limit: 10,
      window: '1d',
      denyCache: '1m',
    })
    t.after(() => limiter.close())
    return limiter
  }
  const [one, other] = [make(), make()]
  const reservation = await other.reserve('a', { cost: 8, ttl: '1h' })
  await until(async () => (await one.check('a', { cost: 5 })).source === 'deny-cache', 'the refusal is known')
  await reservation.settle(1)
  await until(async () => (await one.check('a', { cost: 5 })).allowed, 'it is told')
})

for (const [store, options] of Object.entries(stores)) {
  describe(`permits, ${store}`, { timeout: atMost(60_000) }, () => {
    test('never more than the limit', async (t) => {
      const limiter = concurrency(t, { ...options(), limit: 3 })
      const permits = await Promise.all(Array.from({ length: 5 }, () => limiter.acquire('a')))
      assert.equal(permits.filter(({ acquired }) => acquired).length, 3)
      assert.equal(limiter.stats().held, 3)
      assert.equal((await limiter.peek('a')).remaining, 0)
      assert.ok((await limiter.acquire('b', { cost: 3 })).acquired, 'another key')
      await Promise.all(permits.map((permit) => permit.release()))
      await permits[0].release()
      assert.equal((await limiter.peek('a')).remaining, 3)
      assert.equal(limiter.stats().held, 1)
    })

    test('who waits is served in turn', async (t) => {
      const limiter = concurrency(t, { ...options(), limit: 1 })
      const first = await limiter.acquire('a')
      const served = []
      const waiting = ['x', 'y', 'z'].map(async (name) => {
        const permit = await limiter.acquire('a', { maxWait: '1h' })
        served.push(name)
        await permit.release()
      })
      const gaveUp = new AbortController()
      const aborted = rejectionOf(() => limiter.acquire('a', { maxWait: '1h', signal: gaveUp.signal }), 'aborted')
      assert.equal((await limiter.acquire('a', { maxWait: 30 })).acquired, false)
      gaveUp.abort(new Error('no more'))
      assert.match((await aborted).message, /no more/)
      await first.release()
      await settles(Promise.all(waiting), 'those who wait', 30_000)
      assert.deepEqual(served, ['x', 'y', 'z'])
      assert.equal(limiter.stats().waiting, 0)
    })

    test('a permit lives for as long as it is held, and its holder hears when it is lost', async (t) => {
      const limiter = concurrency(t, { ...options(), limit: 1, ttl: 600 })
      const permit = await limiter.acquire('a')
      const end = permit.expiresAt
      await until(() => permit.expiresAt > end + 600, 'it has been renewed beyond its first end', 20_000)
      assert.equal(permit.signal.aborted, false)
      assert.equal((await limiter.acquire('a')).acquired, false)
    })

    test('closing releases, and refuses whoever waits', async (t) => {
      const shared = { ...options(), prefix: ownPrefix(), limit: 1 }
      const limiter = concurrency(t, shared)
      await limiter.acquire('a')
      const refused = rejectionOf(() => limiter.acquire('a', { maxWait: '1h' }), 'who waits')
      await settles(limiter.close(), 'close')
      assert.equal((await refused).code, 'ERR_RATE_LIMIT_CLOSED')
      assert.equal((await rejectionOf(() => limiter.acquire('a'), 'later')).code, 'ERR_RATE_LIMIT_CLOSED')
      if (shared.redisUrl) assert.ok((await concurrency(t, shared).acquire('a')).acquired)
    })
  })
}

test('options of a concurrency limit are checked', () => {
  for (const [options, type, says] of [
    [undefined, TypeError, '`options`'],
    [{}, TypeError, '`limit`'],
    [{ limit: 0 }, RangeError, '`limit`'],
    [{ limit: 4_097 }, RangeError, '`limit`'],
    [{ limit: 1, ttl: 99 }, RangeError, '`ttl`'],
    [{ limit: 1, window: '1m' }, TypeError, 'window'],
    [{ limit: 1, algorithm: 'concurrency' }, TypeError, 'algorithm'],
  ]) {
    const error = thrownBy(() => new ConcurrencyLimiter(options), JSON.stringify(options))
    assert.ok(error instanceof type && error.message.includes(says), `${JSON.stringify(options)}: ${error}`)
  }
  assert.throws(() => new RateLimiter({ limit: 1, window: '1m', algorithm: 'concurrency' }), RangeError)
})

test('a permit that was reset is lost', { timeout: atMost(30_000) }, async (t) => {
  const prefix = ownPrefix()
  const limiter = concurrency(t, { redisUrl: redis.url, prefix, limit: 1, ttl: 600 })
  const permit = await limiter.acquire('a')
  const [name] = await redisCommand(redis.port, 'KEYS', `${prefix}:*`)
  await redisCommand(redis.port, 'DEL', name)
  await until(() => permit.signal.aborted, 'its holder hears of it', 20_000)
  assert.match(permit.signal.reason.message, /lost/)
  assert.equal(limiter.stats().held, 0)
})

test('neither a permit nor a reservation keeps a process alive', { timeout: atMost(30_000) }, async () => {
  const end = await run(program('permit-left.mjs'), { args: [redis.url], within: 20_000 })
  assertEnded(end, 'the program')
  assert.equal(end.stdout.trim(), 'true true')
})

describe('while Redis is away', { timeout: atMost(60_000) }, () => {
  test('holds are made and settled here, or count nowhere, or reject', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const make = (onStoreError) => {
      const limiter = new RateLimiter({ redisUrl: server.url, limit: 10, window: '1d', onStoreError, timeout: '5s' })
      t.after(() => limiter.close())
      return limiter
    }
    const [local, allow, deny, reject] = ['local', 'allow', 'deny', 'throw'].map(make)
    await Promise.all([local, allow, deny, reject].map((limiter) => limiter.ready({ timeout: '30s' })))
    const before = await local.reserve('before', { cost: 4, ttl: '1h' })
    assert.equal(before.source, 'redis')
    await server.stop()
    const reservation = await local.reserve('a', { cost: 6 })
    assert.deepEqual([reservation.allowed, reservation.source, reservation.remaining], [true, 'fallback', 4])
    const settlement = await reservation.settle(1)
    assert.deepEqual([settlement.expired, settlement.remaining, settlement.source], [false, 9, 'fallback'])
    assert.equal((await before.settle(3)).source, 'fallback')
    const uncounted = await allow.reserve('a', { cost: 6 })
    assert.deepEqual([uncounted.allowed, uncounted.expiresAt], [true, 0])
    assert.equal((await uncounted.settle(6)).expired, false)
    assert.equal((await deny.reserve('a')).allowed, false)
    const { code } = await rejectionOf(() => reject.reserve('a'), 'throw')
    assert.ok(['ERR_RATE_LIMIT_STORE_UNAVAILABLE', 'ERR_RATE_LIMIT_STORE_TIMEOUT'].includes(code), code)
  })
})

describe('crashes', { timeout: atMost(120_000) }, () => {
  test('a thousand histories end with exact accounts', async (t) => {
    const [prefix, limit, processes, each] = [ownPrefix(), 1_000_000, isLong ? 20 : 5, isLong ? 500 : 200]
    let [booked, doubtful, heard] = [0, 0, 0]
    const children = Array.from({ length: processes }, () => {
      const under = new Map()
      const child = start(program('budget-spender.mjs'), { args: [redis.url, prefix, limit, each], within: 60_000 })
      // Each is killed in the midst of its histories, after as many messages.
      const enough = 1 + Math.floor(Math.random() * each)
      let said = 0
      child.listen((message) => {
        said += 1
        heard += 1
        if (message.books !== undefined) under.set(message.history, message.books)
        if (message.booked !== undefined) {
          under.delete(message.history)
          booked += message.booked
        }
        if (said === enough) child.signal('SIGKILL')
      })
      return child.ended.then(() => under.forEach((units) => (doubtful += units)))
    })
    await Promise.all(children)
    assert.ok(heard > 0)
    const limiter = new RateLimiter({
      ...PATIENT,
      prefix,
      redisUrl: redis.url,
      limit,
      window: '1d',
      algorithm: 'fixed-window',
    })
    t.after(() => limiter.close())
    const [name] = await redisCommand(redis.port, 'KEYS', `${prefix}:*`)
    // What nobody has settled ends by itself, and is gone when something is written: the state of a fixed window is left, and nothing over it.
    let units
    const isBare = async () => {
      units = limit - (await limiter.check('budget')).remaining
      await limiter.refund('budget')
      return Number(await redisCommand(redis.port, 'STRLEN', name)) === 20
    }
    await until(isBare, 'all holds have ended', 20_000)
    units -= 1
    assert.ok(units >= booked && units <= booked + doubtful, `${booked} + ${doubtful} in doubt, but ${units} are spent`)
  })

  test('never more than the limit is held, and no permit is lost beyond its end', async (t) => {
    const [prefix, limit, ttl, lanes] = [ownPrefix(), 6, 3_000, 5]
    const crashes = isLong ? 1_000 : 20
    await redisCommand(redis.port, 'DEL', 'witness')
    let crashed = 0
    const crash = async () => {
      while (crashed < crashes / lanes) {
        crashed += 1
        const name = `holder-${crashed}`
        const args = [redis.url, redis.port, prefix, limit, ttl, lanes, name]
        const child = start(program('permit-holder.mjs'), { args, within: 60_000 })
        const enough = 1 + Math.floor(Math.random() * 10)
        let said = 0
        child.listen(() => {
          said += 1
          if (said === enough) child.signal('SIGKILL')
        })
        await child.ended
        await redisCommand(redis.port, 'RPUSH', 'witness', `x ${name}`)
      }
    }
    await Promise.all([crash(), crash(), crash()])
    const [key] = await redisCommand(redis.port, 'KEYS', `${prefix}:*`)
    // Redis itself forgets the key when the last of its permits ends.
    const life = key === undefined ? 0 : Number(await redisCommand(redis.port, 'PTTL', key))
    assert.ok(life <= ttl + 2, `${life} ms`)
    const held = new Map()
    let most = 0
    for (const line of await redisCommand(redis.port, 'LRANGE', 'witness', '0', '-1')) {
      const [sign, name] = line.split(' ')
      if (sign === 'x') held.delete(name)
      else held.set(name, (held.get(name) ?? 0) + (sign === '+' ? 1 : -1))
      most = Math.max(
        most,
        [...held.values()].reduce((sum, units) => sum + units, 0),
      )
    }
    assert.ok(most <= limit, `${most} were held`)
    assert.ok(most > 1, `${most}: nobody was there together`)
    const limiter = concurrency(t, { redisUrl: redis.url, prefix, limit })
    await until(async () => (await limiter.peek('key')).remaining === limit, 'all of them have ended', 20_000)
  })
})
