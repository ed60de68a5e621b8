/** Policies that a fleet shares through Redis: they reach everybody, as a whole, and what is no policy reaches nobody. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedisSentinel } from '../scripts/redis-sentinel.mjs'
import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertEnded, describe as describeEnd, program, start } from './support/child.mjs'
import { CLUSTER, STANDALONE } from './support/clients.mjs'
import { settles, until } from './support/wait.mjs'

const PROCESSES = 8
const VERSIONS = 10

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

let names = 0
const newName = () => `n${(names += 1)}`
const OWN = { limit: 5, window: '1h', timeout: '10s' }

/** A limiter that shares policies of a name of its own, unless another is said. */
function sharing(t, options) {
  const limiter = new RateLimiter({ ...OWN, redisUrl: redis.url, policies: { shared: newName() }, ...options })
  t.after(() => limiter.close())
  return limiter
}

const atVersion = (limiter, version) =>
  until(() => limiter.sharedPolicies().version === version, `version ${version} is in force`, 20_000)

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]

/** Processes of a fleet, each with whatever it has told. */
function fleet(t, options, target = 0) {
  const processes = Array.from({ length: PROCESSES }, () => {
    const child = start(program('shared-policies.mjs'), { args: [JSON.stringify(options), target], within: 90_000 })
    t.after(() => child.stop('SIGKILL'))
    return child
  })
  return processes
}

describe('policies that a fleet shares', { timeout: 180_000 }, () => {
  test(`a change under load reaches ${PROCESSES} processes, and each decision is by one document`, async (t) => {
    const policies = { shared: newName() }
    const document = (n) => ({
      limits: [
        { name: 'a', limit: 10 * n, window: '1h' },
        { name: 'b', limit: 10 * n + 1, window: '1d' },
      ],
      actions: { upload: { limit: 10 * n + 2, window: '1h' } },
    })
    const given = { ...document(1), redisUrl: redis.url, timeout: '10s', policies }
    const processes = fleet(t, given)
    const told = processes.map((child) => recorded(child))
    await Promise.all(told.map((one) => one.next((message) => message === 'ready')))
    for (const child of processes) child.send('go')
    const publisher = sharing(t, { ...given, limit: undefined, window: undefined })

    const took = []
    for (let version = 1; version <= VERSIONS; version += 1) {
      assert.deepEqual(await publisher.publishPolicies(document(version + 1)), { version })
      const published = Date.now()
      // Already in force for whoever has published.
      assert.deepEqual(publisher.sharedPolicies().document, document(version + 1))
      const reports = await Promise.all(told.map((one) => one.next((message) => message.version === version)))
      took.push(...reports.map(({ at }) => Math.max(0, at - published)))
    }
    t.diagnostic(`from publishing to each process: median ${median(took)} ms, at most ${Math.max(...took)} ms`)
    for (const child of processes) child.send('end')
    for (const [index, one] of told.entries()) {
      const { torn, decisions, stats } = await one.next((message) => message.torn)
      assert.deepEqual(torn, [])
      assert.ok(decisions > 0)
      assert.deepEqual(stats, { version: VERSIONS, changes: VERSIONS, invalid: 0 })
      assertEnded(await processes[index].ended, 'a process of the fleet')
    }
  })

  test('of those who publish against each other, exactly one wins each version', async (t) => {
    const target = 20
    const given = {
      ...{ redisUrl: redis.url, timeout: '10s', policies: { shared: newName() } },
      limits: [
        { name: 'a', limit: 10, window: '1h' },
        { name: 'b', limit: 11, window: '1d' },
      ],
    }
    const processes = fleet(t, given, target)
    const told = processes.map((child) => recorded(child))
    await Promise.all(told.map((one) => one.next((message) => message === 'ready')))
    for (const child of processes) child.send('go')
    await Promise.all(told.map((one) => one.next((message) => message.version >= target)))
    for (const child of processes) child.send('end')
    const ends = await Promise.all(told.map((one) => one.next((message) => message.torn)))
    const won = ends.flatMap((end) => end.won).toSorted((a, b) => a - b)
    // Those who were at the one before the last may have published one more.
    assert.deepEqual(
      won,
      Array.from({ length: won.length }, (_, index) => index + 1),
    )
    assert.ok(won.length >= target)
    assert.deepEqual(
      ends.flatMap((end) => end.torn),
      [],
    )
    t.diagnostic(`won: ${ends.map((end) => end.won.length).join(', ')}`)
  })

  test('what is stored is in force in a process that begins later; until then it has its own', async (t) => {
    const policies = { shared: newName() }
    const first = sharing(t, { policies })
    assert.deepEqual(
      { ...first.sharedPolicies(), since: 0 },
      { version: 0, document: null, since: 0, publishedAt: null },
    )
    assert.equal((await first.check('a')).limit, 5)
    const before = Date.now()
    await first.publishPolicies({ limit: 7, window: '1h' }, { ifVersion: 0 })
    const { since, publishedAt, ...rest } = first.sharedPolicies()
    assert.deepEqual(rest, { version: 1, document: { limit: 7, window: '1h' } })
    assert.ok(since >= before && Math.abs(publishedAt - since) < 60_000)
    const late = sharing(t, { policies })
    await atVersion(late, 1)
    assert.deepEqual(
      late.policies().map(({ limit }) => limit),
      [7],
    )
    assert.equal((await late.check('a')).limit, 7)
    const another = sharing(t, {})
    await another.publishPolicies({ limit: 8, window: '1h' })
    assert.deepEqual([late.policies()[0].limit, another.policies()[0].limit], [7, 8])
  })

  test('a version that is not the present one is refused, and says which is', async (t) => {
    const limiter = sharing(t, {})
    await limiter.publishPolicies({ limit: 6, window: '1h' })
    for (const ifVersion of [0, 2, 17]) {
      await assert.rejects(limiter.publishPolicies({ limit: 7, window: '1h' }, { ifVersion }), {
        code: 'ERR_RATE_LIMIT_POLICIES_CONFLICT',
        version: 1,
        message: new RegExp(`version is 1, and not ${ifVersion}`),
      })
    }
    assert.equal(limiter.policies()[0].limit, 6)
    assert.deepEqual(await limiter.publishPolicies({ limit: 7, window: '1h' }, { ifVersion: 1 }), { version: 2 })
  })

  for (const driver of ['loop', 'thread']) {
    test(`nothing of it keeps the process alive, nor hangs when the limiter is closed: ${driver}`, async (t) => {
      const limiter = sharing(t, { driver })
      const published = limiter.publishPolicies({ limit: 7, window: '1h' })
      await limiter.ready()
      const [answer] = await settles(Promise.allSettled([published, limiter.close()]), 'closing')
      // Whatever was first.
      if (answer.status === 'rejected') assert.equal(answer.reason.code, 'ERR_RATE_LIMIT_CLOSED')
      await assert.rejects(limiter.publishPolicies({ limit: 7, window: '1h' }), { code: 'ERR_RATE_LIMIT_CLOSED' })
    })
  }

  test('through a client of the application, which brings no messages, a change comes by asking', async (t) => {
    const policies = { shared: newName() }
    const publisher = sharing(t, { policies })
    for (const [name, { open, close }] of Object.entries(STANDALONE)) {
      const redisClient = await open(redis)
      t.after(() => close(redisClient))
      const limiter = sharing(t, { policies, redisClient, redisUrl: undefined })
      const { version } = await publisher.publishPolicies({ limit: 10 + names, window: '1h' })
      await atVersion(limiter, version)
      const back = await limiter.publishPolicies({ limit: 100 + names, window: '1h', $schema: name })
      await atVersion(publisher, back.version)
      assert.deepEqual(publisher.sharedPolicies().document, { limit: 100 + names, window: '1h', $schema: name })
    }
  })

  test('on a cluster, by whatever way', async (t) => {
    const cluster = await startRedisCluster()
    t.after(() => cluster.stop())
    const policies = { shared: newName() }
    const urls = cluster.nodes.map(({ url }) => url)
    const limiters = ['loop', 'thread'].map((driver) => sharing(t, { policies, redisUrl: urls, driver }))
    for (const { open, close } of Object.values(CLUSTER)) {
      const redisClient = await open(cluster)
      t.after(() => close(redisClient))
      limiters.push(sharing(t, { policies, redisUrl: undefined, redisClient }))
    }
    for (const [index, limiter] of limiters.entries()) {
      const { version } = await limiter.publishPolicies({ limit: 10 + index, window: '1h' })
      for (const other of limiters) await atVersion(other, version)
    }
  })

  test('behind sentinels, after a failover, too', async (t) => {
    const group = await startRedisSentinel()
    t.after(() => group.stop())
    const sentinel = { name: group.name, urls: group.urls }
    const options = { policies: { shared: newName() }, redisUrl: undefined, sentinel }
    const limiters = [sharing(t, options), sharing(t, options)]
    await limiters[0].publishPolicies({ limit: 7, window: '1h' })
    await atVersion(limiters[1], 1)
    const before = await group.master()
    await group.failover()
    await until(async () => (await group.master()) !== before, 'another is the master', 20_000)
    const publish = () =>
      limiters[0].publishPolicies({ limit: 8, window: '1h' }).catch(({ code }) => {
        assert.equal(code, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE')
      })
    const { version } = await until(publish, 'the new master takes them', 20_000)
    assert.ok(version >= 2)
    await atVersion(limiters[1], version)
  })

  test('a user who may not subscribe hears by asking', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const policies = { shared: newName() }
    await redisCommand(server.port, 'ACL', 'SETUSER', 'deaf', 'on', '>pw', '~*', '+@all', '-subscribe', '-psubscribe')
    const deaf = sharing(t, { policies, redisUrl: `redis://deaf:pw@127.0.0.1:${server.port}` })
    const publisher = sharing(t, { policies, redisUrl: server.url })
    for (const version of [1, 2]) {
      await publisher.publishPolicies({ limit: 10 + version, window: '1h' })
      await atVersion(deaf, version)
    }
    // And one who may not publish on a channel is heard all the same.
    await deaf.publishPolicies({ limit: 20, window: '1h' })
    await atVersion(publisher, 3)
  })

  test('without Redis the last known stay; a process that begins then has its own', async (t) => {
    const port = await freePort()
    let server = await startRedis({ port })
    t.after(() => server.stop())
    const options = { policies: { shared: newName() }, redisUrl: server.url, timeout: '200ms' }
    const limiter = sharing(t, options)
    await limiter.publishPolicies({ limit: 7, window: '1h' })
    await limiter.publishPolicies({ limit: 8, window: '1h' })
    await server.kill()
    await until(async () => (await limiter.check('a')).source === 'fallback', 'Redis is missed')
    const late = sharing(t, options)
    assert.deepEqual([limiter.policies()[0].limit, late.policies()[0].limit], [8, 5])
    await assert.rejects(limiter.publishPolicies({ limit: 9, window: '1h' }), {
      code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE',
    })

    // It comes back with nothing: that is told, and what is in force stays.
    const invalid = once(limiter, 'policiesInvalid')
    server = await startRedis({ port })
    const [error] = await settles(invalid, 'the event', 20_000)
    assert.equal(error.code, 'ERR_RATE_LIMIT_POLICIES')
    assert.match(error.message, /holds no policies any more: version 2 stays in force/)
    assert.deepEqual([limiter.policies()[0].limit, late.policies()[0].limit], [8, 5])
    // Who knows the version that was lost goes on from it, and everybody follows.
    assert.deepEqual(await limiter.publishPolicies({ limit: 9, window: '1h' }, { ifVersion: 2 }), { version: 3 })
    await atVersion(late, 3)
    assert.equal(limiter.stats().policies.invalid, 1)
  })

  test('whoever knows nothing of a version that was lost is followed, too', async (t) => {
    const policies = { shared: newName() }
    const limiter = sharing(t, { policies })
    await limiter.publishPolicies({ limit: 7, window: '1h' })
    await limiter.publishPolicies({ limit: 8, window: '1h' })
    await redisCommand(redis.port, 'DEL', `rl:policies:${policies.shared}`)
    await settles(once(limiter, 'policiesInvalid'), 'the event', 20_000)
    const stranger = sharing(t, { policies })
    assert.deepEqual(await stranger.publishPolicies({ limit: 9, window: '1h' }), { version: 1 })
    await until(() => limiter.policies()[0].limit === 9, 'the new ones are in force', 20_000)
    assert.equal(limiter.sharedPolicies().version, 1)
  })
})

/** The messages of a process, each of which is there for whoever looks for it later. */
function recorded(child) {
  const messages = []
  let end
  child.listen((message) => messages.push(message))
  child.ended.then((how) => (end = how))
  const next = (fits) =>
    until(
      () => {
        const found = messages.find((message) => fits(message))
        if (end !== undefined && found === undefined) throw new Error(`it ended: ${describeEnd(end)}`)
        return found
      },
      'a process of the fleet says it',
      60_000,
    )
  return { next }
}
