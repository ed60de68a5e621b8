/** `denyCache`: a refused key is refused here until it may be free again, and whoever frees it is heard of. */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { makeCertificates } from '../scripts/certificates.mjs'
import { freePort, startRedis } from '../scripts/redis.mjs'
import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedisSentinel } from '../scripts/redis-sentinel.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { line, urlFor } from './support/acl.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { STANDALONE } from './support/clients.mjs'
import { assertDecision } from './support/decision.mjs'
import { race } from './support/race.mjs'
import { maker, ownPrefix } from './support/stores.mjs'
import { sleep, until } from './support/wait.mjs'

const OPTIONS = { limit: 1, window: '1h', timeout: '10s' }

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

const limiterOf = maker(() => ({ ...OPTIONS, redisUrl: redis.url }))

/** Two that share their counts, as in two processes. Neither forgets by itself within a test. */
function twoOf(t, options) {
  const shared = { denyCache: '1m', prefix: ownPrefix(), ...options }
  return [limiterOf(t, shared), limiterOf(t, shared)]
}

/** Uses a key up, and has its refusal known. */
async function refuse(limiter, key, options) {
  while (await limiter.isAllowed(key, options));
  await until(async () => (await limiter.check(key, options)).source === 'deny-cache', 'the refusal is known')
}

const listeners = async (port = redis.port) => {
  const clients = String(await redisCommand(port, 'CLIENT', 'LIST', 'TYPE', 'pubsub'))
  return clients.split('\n').filter(Boolean).length
}

describe('a refused key', { timeout: 120_000 }, () => {
  for (const algorithm of ALGORITHMS) {
    test(`is not asked for again: ${algorithm}`, async (t) => {
      const limiter = limiterOf(t, { algorithm })
      await refuse(limiter, 'key')
      const { batches } = limiter.stats()
      const first = await limiter.check('key')
      for (let call = 0; call < 100; call += 1) assert.equal(await limiter.isAllowed('key'), false)
      const { batches: afterwards, sources, denied } = limiter.stats()
      assert.ok(afterwards - batches <= 1, `${afterwards - batches} batches for a hundred calls`)
      assert.ok(sources['deny-cache'] >= 99 && denied >= 101)
      assert.ok(first.retryAfterMs > 0 && first.remaining === 0 && first.resetAt > Date.now())
      assertDecision(await limiter.peek('key'), { allowed: false, source: 'redis' })
    })
  }

  test('is free again when it was said to be, and its waits grow shorter until then', async (t) => {
    const limiter = limiterOf(t, { limit: 2, window: '1s', algorithm: 'fixed-window' })
    await refuse(limiter, 'key')
    let last = Infinity
    for (;;) {
      const { allowed, retryAfterMs, source } = await limiter.check('key')
      if (allowed) break
      // Only where Redis is asked anew may it have been rounded otherwise.
      assert.ok(retryAfterMs <= last || source === 'redis', `${retryAfterMs} ms after ${last} ms`)
      last = retryAfterMs
      await sleep(5)
    }
  })

  test('of several limits', async (t) => {
    const limits = [
      { name: 'user', limit: 1, window: '1h', by: 'user' },
      { name: 'all', limit: 100, window: '1h', by: 'global' },
    ]
    const [one, other] = twoOf(t, { limits, limit: undefined, window: undefined })
    await refuse(one, { user: 'alice' })
    const { name, limits: each } = await one.check({ user: 'alice' })
    assert.deepEqual([name, each.map(({ allowed }) => allowed)], ['user', [false, true]])
    assert.equal(await one.isAllowed({ user: 'bob' }), true)
    await other.reset({ user: 'alice' })
    await until(() => one.isAllowed({ user: 'alice' }), 'it is heard of')
  })

  test('is refused to whoever costs more, and asked for by whoever costs less', async (t) => {
    const limiter = limiterOf(t, { limit: 10, denyCache: '1m' })
    assert.equal(await limiter.isAllowed('key', { cost: 7 }), true)
    await refuse(limiter, 'key', { cost: 5 })
    const { batches } = limiter.stats()
    assert.equal(await limiter.isAllowed('key', { cost: 8 }), false)
    assert.equal(limiter.stats().batches, batches)
    assertDecision(await limiter.check('key', { cost: 8 }), { allowed: false, source: 'redis' })
    assertDecision(await limiter.check('key', { cost: 3 }), { allowed: true, source: 'redis' })
  })

  test('admits nobody else in a race of processes', async () => {
    const options = { limit: 300, window: '1d', prefix: 'deny-raced', redisUrl: redis.url, denyCache: '1m' }
    const { allowed, denied, sources } = await race({ options, key: 'key', processes: 4, calls: 500 })
    assert.deepEqual([allowed, denied], [300, 1_700])
    assert.ok(sources.includes('redis'), `${sources}`)
  })

  test('is left to the fallback when Redis is lost: who frees it there is not heard', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const limiter = limiterOf(t, { redisUrl: server.url, onStoreError: 'local', denyCache: '1m' })
    await refuse(limiter, 'key')
    await until(async () => (await listeners(server.port)) === 1, 'it listens')
    await refuse(limiter, 'key')
    await server.stop()
    await until(() => limiter.stats().store === 'down', 'it is lost')
    assertDecision(await limiter.check('key'), { allowed: true, source: 'fallback' })
  })

  test('is asked for by whoever waits: acquire, under several limits too', async (t) => {
    const limits = [
      { name: 'one', limit: 1, window: '1h' },
      { name: 'many', limit: 9, window: '1h' },
    ]
    for (const options of [{}, { limits, limit: undefined, window: undefined }]) {
      const limiter = limiterOf(t, { denyCache: '1m', ...options })
      await refuse(limiter, 'key')
      assertDecision(await limiter.acquire('key', { maxWait: 0 }), { allowed: false, source: 'redis' })
    }
  })
})

describe('what frees a key', { timeout: 120_000 }, () => {
  const OF = {
    refund: (limiter) => limiter.refund('key'),
    reset: (limiter) => limiter.reset('key'),
    unblock: (limiter) => limiter.unblock('key'),
  }
  for (const [what, free] of Object.entries(OF)) {
    const options = what === 'unblock' ? { limit: 1_000 } : {}
    const use = async (limiter) => {
      if (what === 'unblock') await limiter.block('key', '1h')
      await refuse(limiter, 'key')
    }

    test(`${what}: at once here`, async (t) => {
      const limiter = limiterOf(t, { denyCache: '1m', ...options })
      for (let round = 0; round < 20; round += 1) {
        await use(limiter)
        await free(limiter)
        assert.equal(await limiter.isAllowed('key'), true, `round ${round}`)
      }
    })

    test(`${what}: elsewhere as soon as it is heard of`, async (t) => {
      const [here, elsewhere] = twoOf(t, options)
      for (let round = 0; round < 20; round += 1) {
        await use(here)
        await free(elsewhere)
        await until(() => here.isAllowed('key'), `round ${round} is heard of`)
      }
    })
  }

  test('configure: at once', async (t) => {
    const limiter = limiterOf(t, { denyCache: '1m' })
    await refuse(limiter, 'key')
    limiter.configure('key', { limit: 2, window: '1h' })
    assert.equal(await limiter.isAllowed('key'), true)
  })

  test('a block that is made shorter elsewhere', async (t) => {
    const [here, elsewhere] = twoOf(t, { limit: 1_000 })
    await here.block('key', '1h')
    await refuse(here, 'key')
    await elsewhere.block('key', 1)
    await until(() => here.isAllowed('key'), 'it is heard of')
  })

  test('names of every kind are heard of', async (t) => {
    const prefix = 'a*b?[c]\\d'
    const [here, elsewhere] = twoOf(t, { prefix })
    for (const key of ['plain', '{tag}', '100%', 'ünï\ud800', '*', 'x'.repeat(2_000), '\0']) {
      await refuse(here, key)
      await elsewhere.reset(key)
      await until(() => here.isAllowed(key), `${key.slice(0, 9)} is heard of`)
    }
    await until(async () => (await listeners()) === 1, 'only whoever knows a refusal listens')
  })

  test('is heard of again after the connection was lost', async (t) => {
    const [here, elsewhere] = twoOf(t)
    await refuse(here, 'key')
    await until(async () => (await listeners()) === 1, 'it listens')
    await refuse(here, 'key')
    await redisCommand(redis.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub')
    await elsewhere.reset('key')
    // Whatever was not heard meanwhile: it forgets all it knows when it hears again.
    await until(() => here.isAllowed('key'), 'it asks again')
    await refuse(here, 'key')
    await elsewhere.reset('key')
    await until(() => here.isAllowed('key'), 'it is heard of')
  })

  test('without the right to hear of it, the time that was set is the bound', async (t) => {
    await redisCommand(redis.port, ...line.filter((word) => !/subscribe|publish|^&/.test(word)))
    const own = { redisUrl: urlFor(redis), prefix: 'rl', denyCache: 200 }
    const [here, elsewhere] = twoOf(t, own)
    await refuse(here, 'bounded')
    await elsewhere.reset('bounded')
    await until(() => here.isAllowed('bounded'), 'it is asked again')
    await until(async () => (await listeners()) === 0, 'nobody listens')
  })
})

describe('who listens', { timeout: 120_000 }, () => {
  test('nobody before the first refusal, and nobody after close', async (t) => {
    const limiter = limiterOf(t, { clientName: 'denied' })
    await limiter.check('key')
    await until(async () => (await listeners()) === 0, 'nobody listens')
    await refuse(limiter, 'key')
    await until(async () => (await listeners()) === 1, 'it listens')
    const clients = String(await redisCommand(redis.port, 'CLIENT', 'LIST', 'TYPE', 'pubsub'))
    assert.match(clients, /name=denied/)
    await limiter.close()
    await until(async () => (await listeners()) === 0, 'it listens no more')
  })

  test('nobody with `denyCache: false`, and Redis is asked each time', async (t) => {
    const limiter = limiterOf(t, { denyCache: false })
    await limiter.check('key')
    for (let call = 0; call < 5; call += 1) {
      assertDecision(await limiter.check('key'), { allowed: false, source: 'redis' })
    }
    await until(async () => (await listeners()) === 0, 'nobody listens')
  })

  test("through the application's own client nobody, so it is not the default there", async (t) => {
    const { open, close } = STANDALONE.ioredis
    const client = await open(redis)
    t.after(() => close(client))
    const own = { redisUrl: undefined, redisClient: client }
    const limiter = limiterOf(t, own)
    await limiter.check('key')
    assertDecision(await limiter.check('key'), { allowed: false, source: 'client' })
    const prefix = ownPrefix()
    const [here, elsewhere] = twoOf(t, { ...own, prefix, denyCache: 100 })
    await refuse(here, 'key')
    await elsewhere.reset('key')
    await until(() => here.isAllowed('key'), 'the time that was set is over')
    // Whoever has a connection of ours hears of what is done through a client.
    const hearing = limiterOf(t, { prefix, denyCache: '1m' })
    await refuse(hearing, 'key')
    await elsewhere.reset('key')
    await until(() => hearing.isAllowed('key'), 'it is heard of')
  })
})

describe('every way to Redis', { timeout: 180_000 }, () => {
  /** On each round another key, in whichever slot. */
  async function assertHeard(t, options) {
    const [here, elsewhere] = twoOf(t, { redisUrl: undefined, ...options })
    for (let round = 0; round < 10; round += 1) {
      const key = `key ${round}`
      await refuse(here, key)
      await elsewhere.reset(key)
      await until(() => here.isAllowed(key), `${key} is heard of`)
    }
    return [here, elsewhere]
  }

  test('a cluster, whichever of its servers is heard, also when that is lost', async (t) => {
    const cluster = await startRedisCluster({ replicas: 1 })
    t.after(() => cluster.stop())
    const [here, elsewhere] = await assertHeard(t, { redisUrl: cluster.nodes.map(({ url }) => url) })
    const heard = []
    for (const node of cluster.nodes) if ((await listeners(node.port)) > 0) heard.push(node)
    assert.equal(heard.length, 1)
    const [lost] = heard
    const key = await keyElsewhere(cluster, lost, here)
    await lost.stop()
    await until(
      async () => {
        await refuse(here, key)
        await elsewhere.reset(key)
        await sleep(50)
        return here.isAllowed(key)
      },
      'it is heard through another',
      20_000,
    )
  })

  /** A key that another master than `lost` has. */
  async function keyElsewhere(cluster, lost, limiter) {
    for (let index = 0; ; index += 1) {
      const key = `elsewhere ${index}`
      await limiter.isAllowed(key)
      for (const node of cluster.nodes.slice(0, 3).filter((node) => node !== lost)) {
        const keys = await redisCommand(node.port, 'KEYS', `*${key}`)
        if (keys.length > 0) return key
      }
    }
  }

  test('a master that the sentinels name, and the next one', async (t) => {
    const sentinels = await startRedisSentinel()
    t.after(() => sentinels.stop())
    const sentinel = { name: sentinels.name, urls: sentinels.urls }
    const two = await assertHeard(t, { sentinel })
    const before = await sentinels.master()
    await sentinels.failover()
    await until(async () => (await sentinels.master()) !== before, 'there is another', 20_000)
    await Promise.all(
      two.map((limiter) => until(() => limiter.isAllowed('again').catch(() => {}), 'it follows', 20_000)),
    )
    await assertHeard(t, { sentinel })
  })

  test('TLS, and a unix socket', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'rate-limiter-deny-'))
    const files = makeCertificates(folder)
    const [port, socket] = [await freePort(), join(folder, 'redis.sock')]
    const tls = ['--tls-port', port, '--tls-ca-cert-file', files.ca, '--tls-cert-file', files.serverCert]
    const args = [...tls, '--tls-key-file', files.serverKey, '--tls-auth-clients', 'no', '--unixsocket', socket]
    const server = await startRedis({ args })
    t.after(async () => {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    })
    await assertHeard(t, { redisUrl: `rediss://localhost:${port}`, tls: { ca: readFileSync(files.ca) } })
    await assertHeard(t, { redisUrl: `unix://${socket}` })
  })
})
