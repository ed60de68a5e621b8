/** The limiter over a client of the application's: every kind of client, against real servers and a real cluster. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import * as ioredis from 'ioredis'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertEnded, program, run } from './support/child.mjs'
import { CLUSTER, STANDALONE } from './support/clients.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf, describeFace } from './support/face.mjs'
import { startLoad } from './support/load.mjs'
import { atMost } from './support/long.mjs'
import { raceOfClients } from './support/race.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { settles, until } from './support/wait.mjs'

let redis
let cluster
before(async () => {
  ;[redis, cluster] = await Promise.all([startRedis(), startRedisCluster()])
})
after(() => Promise.all([redis.stop(), cluster.stop()]))

let made = 0
/** A limiter that shares its counts with no other, that asks whatever it takes, and tells of every failure. */
function limiterOf(options) {
  made += 1
  return new RateLimiter({ prefix: `clients-${made}`, timeout: '10s', onStoreError: 'throw', ...options })
}

// Keys that a client which makes strings of bytes would change, or take for one another.
const ODD_KEYS = [
  'plain',
  'with space',
  'nul\0nul',
  'ümläut',
  '🦀',
  '\ud800',
  '\ud801',
  '\r\n',
  '{tag}',
  '%7B',
  '\xff\xfe',
]

/** What holds for a client of one server and of a cluster alike. `open` resolves with the client, `servers` are those to flush. */
function describeClient(name, { open, close }, server, servers) {
  describe(name, { timeout: atMost(180_000) }, () => {
    let client
    before(async () => {
      client = await open(server())
    })
    after(() => close(client))
    const make = (options) => limiterOf({ redisClient: client, ...options })

    describeFace('client', make)

    test('any key is a key of its own', async (t) => {
      const limiter = make({ limit: 3, window: '1d' })
      t.after(() => limiter.close())
      const keys = [...ODD_KEYS, 'x'.repeat(2_000), `${'x'.repeat(2_000)}y`]
      const counts = await Promise.all(keys.map((key) => allowedOf(limiter, key, 5)))
      assert.deepEqual(
        counts,
        keys.map(() => 3),
      )
    })

    test('SCRIPT FLUSH is not noticed', async (t) => {
      const limiter = make({ limit: 3, window: '1d' })
      t.after(() => limiter.close())
      for (const remaining of [2, 1, 0]) {
        assertDecision(await limiter.check('a'), { allowed: true, remaining, source: 'client' })
        await Promise.all(servers().map(({ port }) => redisCommand(port, 'SCRIPT', 'FLUSH')))
      }
      assertDecision(await limiter.check('a'), { allowed: false, source: 'client' })
      assert.equal(limiter.stats().storeErrors, 0)
    })

    test('what another wrote under a key is an error of that key', async (t) => {
      const limiter = make({ limit: 5, window: '1d', prefix: `strangers-${name}` })
      t.after(() => limiter.close())
      await limiter.isAllowed('good')
      const key = `strangers-${name}:default:sliding-window:bad`
      const planted = await Promise.allSettled(servers().map(({ port }) => redisCommand(port, 'SET', key, 'garbage')))
      assert.ok(
        planted.some(({ status }) => status === 'fulfilled'),
        'one of the servers has the key',
      )
      const calls = ['good', 'bad', 'other'].map((key) => limiter.check(key))
      const [good, bad, other] = await Promise.allSettled(calls)
      assert.equal(good.value.remaining, 3)
      assert.equal(other.value.remaining, 4)
      assertRefusal(bad.reason, { type: Error, code: 'ERR_RATE_LIMIT_STATE' }, 'a value of a stranger')
      assert.equal(limiter.stats().circuitOpened, 0)
    })
  })
}

for (const [name, kind] of Object.entries(STANDALONE)) {
  describeClient(
    name,
    kind,
    () => redis,
    () => [redis],
  )

  describe(`${name} in trouble`, { timeout: atMost(60_000) }, () => {
    test('shares its counts with `redisUrl`, whatever the key', async (t) => {
      const client = await kind.open(redis)
      const options = { limit: 10, window: '1d', prefix: `both-${name}` }
      const limiters = [limiterOf({ ...options, redisClient: client }), limiterOf({ ...options, redisUrl: redis.url })]
      t.after(async () => {
        await Promise.all(limiters.map((limiter) => limiter.close()))
        await kind.close(client)
      })
      for (const key of ODD_KEYS) {
        const allowed = await Promise.all(limiters.map((limiter) => allowedOf(limiter, key, 8)))
        assert.equal(allowed[0] + allowed[1], 10, `${JSON.stringify(key)}: ${allowed.join(' + ')} were allowed`)
      }
    })

    test('the server is killed under load, and comes back', async (t) => {
      const server = await startRedis()
      const client = await kind.open(server)
      const limiter = limiterOf({
        limit: 1_000_000,
        window: '1d',
        timeout: 200,
        onStoreError: 'local',
        redisClient: client,
      })
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
      for (const [phase, report] of Object.entries(await load.stop())) {
        assert.equal(report.settled, report.started, `${phase}: every call settled: ${report}`)
        assert.deepEqual(report.rejected, {}, phase)
      }
    })

    test('the client is closed under load', async (t) => {
      const client = await kind.open(redis)
      const limiter = limiterOf({
        limit: 1_000_000,
        window: '1d',
        timeout: 100,
        onStoreError: 'local',
        redisClient: client,
      })
      t.after(() => limiter.close())
      const load = startLoad(limiter, { callers: 20 })
      await until(() => load.now.sources.client > 500, 'the client decided under load')
      await kind.close(client)
      load.phase('after')
      await until(() => load.now.sources.fallback > 500, 'the fallback decided under load')
      for (const [phase, report] of Object.entries(await load.stop())) {
        assert.equal(report.settled, report.started, `${phase}: every call settled: ${report}`)
        assert.deepEqual(report.rejected, {}, phase)
      }
      assert.equal(limiter.stats().store, 'down')
    })
  })
}

for (const [name, kind] of Object.entries(CLUSTER)) {
  describeClient(
    name,
    kind,
    () => cluster,
    () => cluster.nodes,
  )

  describe(`${name} and its slots`, { timeout: atMost(60_000) }, () => {
    let client
    before(async () => {
      client = await kind.open(cluster)
    })
    after(() => kind.close(client))

    const limits = [
      { name: 'short', limit: 2, window: '1h' },
      { name: 'long', limit: 5, window: '1d' },
    ]

    test('a call whose keys lie in several slots is refused, and takes nothing', async (t) => {
      const limiter = limiterOf({ limits, redisClient: client })
      t.after(() => limiter.close())
      const refusal = await rejectionOf(() => limiter.check('a'), 'two limits on a cluster')
      assertRefusal(
        refusal,
        { type: Error, code: 'ERR_RATE_LIMIT_UNSUPPORTED', says: ['slot', "'{rl}'"] },
        'two limits on a cluster',
      )
      const { allowed, denied, storeErrors } = limiter.stats()
      assert.deepEqual({ allowed, denied, storeErrors }, { allowed: 0, denied: 0, storeErrors: 0 })
    })

    test('a prefix in braces puts them in one', async (t) => {
      const limiter = limiterOf({ limits, redisClient: client, prefix: `{${name}}` })
      t.after(() => limiter.close())
      assert.equal(await allowedOf(limiter, 'a', 10), 2)
      assertDecision(await limiter.check('a'), { allowed: false, name: 'short', source: 'client' })
    })
  })
}

describe('a cluster client that puts a prefix of its own before each key', { timeout: 60_000 }, () => {
  for (const name of ['ioredis Cluster', 'iovalkey Cluster']) {
    test(`${name}: slots are those of the whole key`, async (t) => {
      const packageOf = { 'ioredis Cluster': 'ioredis', 'iovalkey Cluster': 'iovalkey' }
      const { Cluster } = await import(packageOf[name])
      const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
      const client = new Cluster(nodes, { keyPrefix: 'their:' })
      const limiter = limiterOf({ limit: 2, window: '1d', redisClient: client, prefix: `prefixed-${packageOf[name]}` })
      t.after(async () => {
        await limiter.close()
        client.disconnect()
      })
      // So many that some of a batch lie in one slot without the prefix and in two with it, as keys of different lengths may.
      const digest = (index) => createHash('sha1').update(`${index}`).digest('hex')
      const keys = Array.from({ length: 3_000 }, (_, index) => digest(index).slice(0, 8 + (index % 32)))
      for (const expected of [true, true, false]) {
        const answers = await Promise.all(keys.map((key) => limiter.isAllowed(key)))
        assert.ok(
          answers.every((answer) => answer === expected),
          `each of them is ${expected}`,
        )
      }
    })
  }
})

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
    const limiter = limiterOf({ limit: 5, window: '1d', timeout: 100, onStoreError: 'local', redisClient })
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

  test('many clients over one client', async (t) => {
    const client = await STANDALONE.ioredis.open(redis)
    const limiters = Array.from({ length: 20 }, () => limiterOf({ limit: 3, window: '1d', redisClient: client }))
    t.after(async () => {
      await Promise.all(limiters.map((limiter) => limiter.close()))
      STANDALONE.ioredis.close(client)
    })
    const counts = await Promise.all(limiters.map((limiter) => allowedOf(limiter, 'a', 10)))
    assert.ok(
      counts.every((count) => count === 3),
      `${counts}`,
    )
  })

  test('closing a limiter leaves the client open', async (t) => {
    const client = await STANDALONE.ioredis.open(redis)
    t.after(() => STANDALONE.ioredis.close(client))
    const listeners = client.eventNames().map((event) => [event, client.listenerCount(event)])
    const limiter = limiterOf({ limit: 3, window: '1d', redisClient: client })
    await limiter.check('a')
    await limiter.close()
    assert.equal(await client.ping(), 'PONG')
    assert.deepEqual(
      client.eventNames().map((event) => [event, client.listenerCount(event)]),
      listeners,
    )
  })
})

describe('what is no client', () => {
  const legacy = () => {}
  const strangers = {
    'a string': 'redis://localhost',
    'a number': 6379,
    null: null,
    'an empty object': {},
    'an array': [],
    'half a client': { evalsha: async () => [] },
    'methods that are none': { evalsha: 'a', eval: 'b' },
    'node-redis 3, which answers to callbacks': { internal_send_command: legacy, evalsha: legacy, eval: legacy },
    'the class of a client': ioredis.Redis,
    'a cache': { get: legacy, set: legacy, incrementAndGet: legacy, decrementAndGet: legacy },
  }
  for (const [what, redisClient] of Object.entries(strangers)) {
    test(`${what} is refused`, () => {
      const refusal = thrownBy(() => new RateLimiter({ limit: 5, window: '1d', redisClient }), what)
      const says = ['redisClient', 'ioredis', 'evalsha', 'was given']
      assertRefusal(refusal, { type: TypeError, code: 'ERR_RATE_LIMIT_OPTION', says }, what)
    })
  }

  test('two stores are refused, whatever they are', () => {
    for (const redisClient of [{ evalsha: legacy, eval: legacy }, {}]) {
      const options = { limit: 5, window: '1d', redisUrl: 'redis://localhost', redisClient }
      const refusal = thrownBy(() => new RateLimiter(options), 'two stores')
      const says = ['redisUrl', 'redisClient']
      assertRefusal(refusal, { type: TypeError, code: 'ERR_RATE_LIMIT_OPTION', says }, 'two stores')
    }
  })

  test('a client that is undefined is none', async () => {
    const limiter = new RateLimiter({ limit: 5, window: '1d', redisClient: undefined })
    assertDecision(await limiter.check('a'), { source: 'memory' })
    await limiter.close()
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

describe('processes', { timeout: 120_000 }, () => {
  test('over different clients and `redisUrl` share one limit exactly', async () => {
    const kinds = ['redisUrl', ...Object.keys(STANDALONE)]
    const outcome = await raceOfClients({
      options: { limit: 500, window: '1d', prefix: 'kinds' },
      key: 'a',
      kinds,
      calls: 300,
      port: redis.port,
    })
    assert.equal(outcome.allowed, 500)
    assert.equal(outcome.denied, kinds.length * 300 - 500)
    assert.deepEqual(outcome.sources.sort(), ['client', 'redis'])
  })
})
