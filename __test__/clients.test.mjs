/** The limiter over a client of the application's: every kind of client, against real servers and a real cluster. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import * as ioredis from 'ioredis'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { CLUSTER, limiterOf, STANDALONE } from './support/clients.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf, assertBothOrNone, describeFace, TWO_LIMITS } from './support/face.mjs'
import { atMost } from './support/long.mjs'
import { raceOfClients } from './support/race.mjs'
import { assertRefusal, thrownBy } from './support/refusal.mjs'
import { settles } from './support/wait.mjs'

let redis
let cluster
before(async () => {
  ;[redis, cluster] = await Promise.all([startRedis(), startRedisCluster()])
})
after(() => Promise.all([redis.stop(), cluster.stop()]))

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

    test('a Redis that evicts keys is told of', async (t) => {
      const evictBy = (policy, most) =>
        servers().map(({ port }) => redisCommand(port, 'CONFIG', 'SET', 'maxmemory', most, 'maxmemory-policy', policy))
      t.after(() => Promise.all(evictBy('noeviction', 0)))
      await Promise.all(evictBy('allkeys-lfu', '1gb'))
      const limiter = make({ limit: 3, window: '1d' })
      t.after(() => limiter.close())
      const [policy] = await settles(once(limiter, 'storeEvicts'), 'the warning')
      assert.equal(policy, 'allkeys-lfu')
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

  describe(`${name} beside \`redisUrl\``, { timeout: atMost(60_000) }, () => {
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

    test('limits whose keys lie in several slots take from all of them or from none', async (t) => {
      const limiter = limiterOf({ limits: TWO_LIMITS, redisClient: client })
      t.after(() => limiter.close())
      await assertBothOrNone(limiter, 'client')
    })

    test('a prefix in braces puts them in one', async (t) => {
      const limiter = limiterOf({ limits: TWO_LIMITS, redisClient: client, prefix: `{${name}}` })
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

describe('limiters over one client', { timeout: 60_000 }, () => {
  test('count apart', async (t) => {
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
