/** Clients of the application's that fail, lie, or are left behind: nothing is lost, and nothing is kept. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertEnded, program, run } from './support/child.mjs'
import { limiterOf, STANDALONE } from './support/clients.mjs'
import { assertDecision } from './support/decision.mjs'
import { assertAllSettled, startLoad } from './support/load.mjs'
import { atMost } from './support/long.mjs'
import { assertRefusal, rejectionOf } from './support/refusal.mjs'
import { settles, until } from './support/wait.mjs'

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

for (const [name, kind] of Object.entries(STANDALONE)) {
  describe(`${name} in trouble`, { timeout: atMost(60_000) }, () => {
    const options = { limit: 1_000_000, window: '1d', onStoreError: 'local' }

    test('the server is killed under load, and comes back', async (t) => {
      const server = await startRedis()
      const client = await kind.open(server)
      const limiter = limiterOf({ ...options, timeout: 200, redisClient: client })
      t.after(async () => {
        await limiter.close()
        await kind.close(client)
        await server.stop()
      })
      const load = startLoad(limiter, { callers: 20 })
      await until(() => load.now.sources.client > 500, 'the client decided under load')
      load.phase('during')
      await server.kill()
      await until(() => load.now.sources.fallback > 500, 'the fallback decided under load')
      await server.restart()
      load.phase('after')
      await until(() => load.now.sources.client > 500, 'the client decided again', 20_000)
      assertAllSettled(await load.stop())
    })

    test('the client is closed under load', async (t) => {
      const client = await kind.open(redis)
      const limiter = limiterOf({ ...options, timeout: 100, redisClient: client })
      t.after(() => limiter.close())
      const load = startLoad(limiter, { callers: 20 })
      await until(() => load.now.sources.client > 500, 'the client decided under load')
      await kind.close(client)
      load.phase('after')
      await until(() => load.now.sources.fallback > 500, 'the fallback decided under load')
      assertAllSettled(await load.stop())
      assert.equal(limiter.stats().store, 'down')
    })
  })
}

describe('what a client may do', { timeout: 60_000 }, () => {
  const DECIDED = { allowed: true, limit: 5, source: 'fallback' }
  const misdeeds = {
    'never answers': () => new Promise(() => {}),
    'throws at once': () => {
      throw new Error('thrown redis://user:secret@host')
    },
    'throws no error': () => {
      throw null
    },
    rejects: () => Promise.reject(new Error('rejected redis://user:secret@host')),
    'rejects with nothing': () => Promise.reject(undefined),
    'answers a number': () => 42,
    'answers nothing': () => undefined,
    'answers an empty array': async () => [],
    'answers an object': async () => ({ ok: true }),
    'answers strings': async () => ['\u0001'],
    'answers a thenable that throws': () => ({
      get then() {
        throw new Error('no promise')
      },
    }),
    'answers an array whose elements throw': async () =>
      Object.defineProperty([1], 0, {
        get() {
          throw new Error('no element')
        },
      }),
    'answers a huge array': async () => new Array(1e6).fill(1),
    'answers an error that throws': () =>
      Promise.reject({
        get message() {
          throw new Error('no message')
        },
      }),
  }
  for (const [title, misdeed] of Object.entries(misdeeds)) {
    test(`${title}: the fallback decides`, async (t) => {
      const redisClient = { evalsha: misdeed, eval: misdeed }
      const limiter = limiterOf({ limit: 5, window: '1d', timeout: 50, onStoreError: 'local', redisClient })
      t.after(() => limiter.close())
      const told = []
      limiter.on('storeDown', (error) => told.push(error))
      assertDecision(await settles(limiter.check('a'), title), { ...DECIDED, remaining: 4 })
      await until(() => told.length > 0, 'storeDown was told')
      assertDecision(await settles(limiter.check('a'), title), { ...DECIDED, remaining: 3 })
      assert.equal(told[0].code, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE')
      assert.ok(!told[0].message.includes('secret'), told[0].message)
      if (title === 'answers strings') assert.match(told[0].message, /must return Buffers/)
      if (title === 'throws at once') assert.match(told[0].message, /thrown redis:\/\/\*\*\*@host/)
    })
  }

  test('work that fails after a good start is decided here, and Redis decides again', async (t) => {
    const client = await STANDALONE.ioredis.open(redis)
    t.after(() => STANDALONE.ioredis.close(client))
    let fault
    const through = (name) => (script, keys, args) => {
      if (fault !== undefined && keys.length > 0) return fault()
      return client[name](script, keys.length, ...keys, ...args)
    }
    const redisClient = { evalsha: through('evalshaBuffer'), eval: through('evalBuffer') }
    const limiter = limiterOf({ limit: 50, window: '1d', timeout: 100, onStoreError: 'local', redisClient })
    t.after(() => limiter.close())
    assertDecision(await limiter.check('a'), { source: 'client', remaining: 49 })
    for (const misdeed of Object.values(misdeeds)) {
      fault = misdeed
      assertDecision(await settles(limiter.check('a'), `${misdeed}`), { allowed: true, source: 'fallback' })
      fault = undefined
      await until(async () => (await limiter.check('a')).source === 'client', 'the client decided again')
    }
  })

  test('what JavaScript was too busy to send is not sent once the circuit has opened', async (t) => {
    let sent = 0
    const evalsha = async (_, keys) => {
      sent += keys.length
      return [Buffer.alloc(0)]
    }
    const redisClient = { evalsha, eval: evalsha }
    // Turned by the loop itself, nobody would give up while that is busy.
    const options = { limit: 5, window: '1d', timeout: 100, onStoreError: 'local', redisClient }
    const limiter = limiterOf({ ...options, driver: 'thread' })
    t.after(() => limiter.close())
    await limiter.ready()
    const busy = (ms) => {
      const end = performance.now() + ms
      while (performance.now() < end);
    }
    // Two batches, as many as open the circuit when they are late.
    const first = limiter.check('a')
    busy(30)
    const second = limiter.check('a')
    busy(300)
    for (const call of [first, second]) assertDecision(await call, { allowed: true, source: 'fallback' })
    assert.equal(sent, 0, 'it would have been counted for nothing')
  })

  test('a late answer is dropped, and comes to no other call', async (t) => {
    const client = await STANDALONE.ioredis.open(redis)
    t.after(() => STANDALONE.ioredis.close(client))
    const held = []
    let hold = false
    const through = (name) => async (script, keys, args) => {
      const reply = await client[name](script, keys.length, ...keys, ...args)
      if (hold && keys.length > 0) await new Promise((resolve) => held.push(resolve))
      return reply
    }
    const redisClient = { evalsha: through('evalshaBuffer'), eval: through('evalBuffer') }
    const limiter = limiterOf({ limit: 50, window: '1d', timeout: 50, onStoreError: 'local', redisClient })
    t.after(() => limiter.close())
    await limiter.ready()
    hold = true
    for (const key of ['a', 'b', 'c']) assertDecision(await limiter.check(key), { source: 'fallback' })
    hold = false
    held.forEach((release) => release())
    await until(async () => (await limiter.check('d')).source === 'client', 'the client decided again')
    assertDecision(await limiter.peek('never called'), { remaining: 50, source: 'client' })
  })

  test('a replica refuses to write, and the message says so', async (t) => {
    const server = await startRedis()
    const client = await STANDALONE.ioredis.open(server)
    const limiter = limiterOf({ limit: 5, window: '1d', redisClient: client })
    t.after(async () => {
      await limiter.close()
      STANDALONE.ioredis.close(client)
      await server.stop()
    })
    await limiter.check('a')
    await redisCommand(server.port, 'REPLICAOF', '127.0.0.1', '1')
    const refusal = await rejectionOf(() => limiter.check('a'), 'a call on a replica')
    assertRefusal(refusal, { type: Error, code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE', says: ['READONLY'] }, 'a replica')
    await redisCommand(server.port, 'REPLICAOF', 'NO', 'ONE')
    await until(() => limiter.check('a').then(Boolean, () => false), 'the server writes again')
  })
})

describe('what is left behind', { timeout: 60_000 }, () => {
  for (const [what, printed] of [
    ['nothing', 'made\n'],
    ['call', 'decided by fallback\n'],
    ['not-awaited', 'settled: true\n'],
  ]) {
    test(`a client that never answers keeps no process alive: ${what}`, async () => {
      const end = await run(program('client-exit.mjs'), { args: [what] })
      assertEnded(end, 'a program that left its limiter behind')
      assert.equal(end.stdout, printed)
    })
  }

  test('limiters that are dropped let go of their clients', async () => {
    const end = await run(program('client-dropped.mjs'), { args: [50], nodeArgs: ['--expose-gc'], within: 30_000 })
    assertEnded(end, 'a program that dropped its limiters')
    assert.equal(end.stdout, 'collected\n')
  })
})
