/** `redisUrl` on a Redis Cluster, and `sentinel`: real servers that are moved, lost and replaced. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedisSentinel } from '../scripts/redis-sentinel.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { makeUser, PASSWORD, urlFor, USER } from './support/acl.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf, assertBothOrNone, describeFace, TWO_LIMITS } from './support/face.mjs'
import { assertAllSettled, startLoad } from './support/load.mjs'
import { race } from './support/race.mjs'
import { until } from './support/wait.mjs'

let made = 0
/** A limiter that shares its counts with no other, that asks each time and whatever it takes, and tells of every failure. */
function limiterOf(options) {
  made += 1
  const asking = { timeout: '10s', onStoreError: 'throw', denyCache: false }
  return new RateLimiter({ prefix: `cluster-${made}`, ...asking, ...options })
}

describe('a cluster', { timeout: 400_000 }, () => {
  let cluster, urls
  before(async () => {
    cluster = await startRedisCluster({ replicas: 1 })
    urls = cluster.nodes.map(({ url }) => url)
  })
  after(() => cluster?.stop())

  describeFace('redis', (options) => limiterOf({ redisUrl: urls, ...options }))

  test('one of its servers is enough to find the others', async (t) => {
    const limiter = limiterOf({ limit: 3, window: '1d', redisUrl: urls[5], cluster: true })
    t.after(() => limiter.close())
    const keys = Array.from({ length: 300 }, (_, index) => `user:${index}`)
    for (const expected of [true, true, true, false]) {
      const answers = await Promise.all(keys.map((key) => limiter.isAllowed(key)))
      assert.ok(
        answers.every((answer) => answer === expected),
        `each of them is ${expected}`,
      )
    }
    const sizes = await Promise.all(cluster.nodes.slice(0, 3).map(({ port }) => redisCommand(port, 'DBSIZE')))
    assert.ok(
      sizes.every((size) => size > 0),
      `keys lie on each master: ${sizes}`,
    )
  })

  test('limits whose keys lie apart take from all of them or from none', async (t) => {
    const limiter = limiterOf({ limits: TWO_LIMITS, redisUrl: urls })
    t.after(() => limiter.close())
    await assertBothOrNone(limiter, 'redis')
  })

  test('processes share one limit exactly', async () => {
    const options = { limit: 500, window: '1d', prefix: 'raced', redisUrl: urls }
    const outcome = await race({ options, key: 'a', processes: 4, calls: 300 })
    assert.deepEqual(outcome, { allowed: 500, denied: 700, sources: ['redis'] })
  })

  test('SCRIPT FLUSH and FUNCTION FLUSH are not noticed', async (t) => {
    const limiter = limiterOf({ limit: 3, window: '1d', redisUrl: urls })
    t.after(() => limiter.close())
    for (const remaining of [2, 1, 0]) {
      assertDecision(await limiter.check('a'), { allowed: true, remaining, source: 'redis' })
      await Promise.all(cluster.nodes.map(({ port }) => redisCommand(port, 'SCRIPT', 'FLUSH')))
      // Replicas forget what their masters do, and are not told.
      const flushed = await Promise.allSettled(cluster.nodes.map(({ port }) => redisCommand(port, 'FUNCTION', 'FLUSH')))
      assert.ok(flushed.filter(({ status }) => status === 'fulfilled').length >= 3)
    }
    assert.equal(limiter.stats().storeErrors, 0)
  })

  test('a user who may not ask for the slots finds nobody', async (t) => {
    await makeUser(cluster.nodes)
    const limiter = limiterOf({ limit: 1, window: '1d', timeout: 500, redisUrl: cluster.nodes.map(urlFor) })
    t.after(() => limiter.close())
    await assert.rejects(limiter.ready({ timeout: 1_000 }), { message: /NOPERM.*cluster/i })
  })

  test('a slot that is being moved, with its keys on both sides, and one that has been', async (t) => {
    // The braces put all keys in one slot. The user may do no more than docs/security.md says that it must.
    await makeUser(cluster.nodes, '~{moving}:*', '+cluster|slots', '+asking')
    const limiter = limiterOf({ limit: 100, window: '1d', redisUrl: cluster.nodes.map(urlFor), prefix: '{moving}' })
    t.after(() => limiter.close())
    const slot = await redisCommand(cluster.nodes[0].port, 'CLUSTER', 'KEYSLOT', '{moving}')
    const keys = Array.from({ length: 20 }, (_, index) => `key:${index}`)
    const all = (expected) =>
      Promise.all(keys.map((key) => limiter.check(key))).then((decisions) => {
        for (const [index, decision] of decisions.entries()) {
          assertDecision(decision, { allowed: true, remaining: expected, source: 'redis' }, keys[index])
        }
      })
    await all(99)
    const { from, to, ids } = await ownersOf(cluster.nodes.slice(0, 3), slot)
    await redisCommand(to.port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids.from)
    await redisCommand(from.port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids.to)
    await all(98)
    const stored = await redisCommand(from.port, 'CLUSTER', 'GETKEYSINSLOT', slot, 100)
    assert.equal(stored.length, 20)
    await redisCommand(from.port, 'MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...stored.slice(0, 10))
    await all(97)
    await redisCommand(from.port, 'MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...stored.slice(10))
    await all(96)
    for (const node of [to, from, ...cluster.nodes.slice(0, 3)]) {
      await redisCommand(node.port, 'CLUSTER', 'SETSLOT', slot, 'NODE', ids.to)
    }
    await all(95)
    await all(94)
    assert.equal(limiter.stats().storeErrors, 0)
  })

  /** A limiter under which one of the masters is to be lost, which has some of the keys. */
  async function losingOne(t, options) {
    const limiter = limiterOf({ limit: 1_000_000, window: '1d', onStoreError: 'local', redisUrl: urls, ...options })
    t.after(() => limiter.close())
    await limiter.ready()
    const prefix = `cluster-${made}`
    const keys = Array.from({ length: 60 }, (_, index) => `user:${index}`)
    const owners = await Promise.all(
      keys.map(async (key) => {
        const name = `${prefix}:default:sliding-window:${key}`
        return ownerOf(cluster.nodes, await redisCommand(cluster.nodes[0].port, 'CLUSTER', 'KEYSLOT', name))
      }),
    )
    const lost = owners.find((owner) => owner !== cluster.nodes[0])
    const theirs = keys.filter((_, index) => owners[index] === lost)
    const others = keys.filter((_, index) => owners[index] !== lost)
    const allBy = async (keys, expected) => {
      const decisions = await Promise.all(keys.map((key) => limiter.check(key)))
      return decisions.every(({ source }) => source === expected)
    }
    // The servers may still be settling who is whose replica, after another was lost.
    await until(() => allBy(keys, 'redis'), 'Redis decides all of them', 60_000)
    return { limiter, lost, keys, theirs, others, allBy }
  }

  test('a master that misses a slot and serves none (CLUSTERDOWN) takes nobody else with it', async (t) => {
    const { limiter, lost, keys, theirs, others, allBy } = await losingOne(t)
    const ranges = await redisCommand(lost.port, 'CLUSTER', 'SLOTS')
    const [slot] = ranges.find(([, , [, port]]) => port === lost.port)
    await redisCommand(lost.port, 'CLUSTER', 'DELSLOTS', slot)
    await until(() => allBy(theirs, 'fallback'), 'its keys are decided here')
    assert.ok(await allBy(others, 'redis'), 'the others go on')
    // More often than a circuit would bear.
    for (let again = 0; again < 5; again += 1) assert.ok(await allBy(theirs, 'fallback'), 'nobody decides its keys')
    assert.ok(await allBy(others, 'redis'), 'the others still do')
    await redisCommand(lost.port, 'CLUSTER', 'ADDSLOTS', slot)
    await until(() => allBy(keys, 'redis'), 'it serves all of them again')
    assert.equal(limiter.stats().circuitOpened, 0)
  })

  for (const [what, lose, bring] of [
    ['hangs', (node) => node.process.kill('SIGSTOP'), (node) => node.process.kill('SIGCONT')],
    ['is killed', (node) => node.kill(), (node) => node.restart()],
  ]) {
    test(`a master that ${what} takes nobody else with it, and its replica takes over`, async (t) => {
      const { limiter, lost, keys, theirs, others, allBy } = await losingOne(t, { timeout: 400 })
      await lose(lost)
      await until(() => allBy(theirs, 'fallback'), 'its keys are decided here')
      await until(() => allBy(others, 'redis'), 'the others go on')
      await until(() => allBy(theirs, 'redis'), 'the replica took over', 60_000)
      await until(() => allBy(keys, 'redis'), 'so do the others', 60_000)
      assert.equal(limiter.stats().circuitOpened, 0)
      await bring(lost)
      const isReplica = async () =>
        (await redisCommand(lost.port, 'INFO', 'replication')).includes('master_link_status:up')
      await until(isReplica, 'what was lost is a replica', 20_000)
    })
  }
})

/** Who has a slot, and somebody who has not, with their ids. */
async function ownersOf(masters, slot) {
  const from = await ownerOf(masters, slot)
  const to = masters.find((node) => node !== from)
  const [fromId, toId] = await Promise.all([from, to].map(({ port }) => redisCommand(port, 'CLUSTER', 'MYID')))
  return { from, to, ids: { from: fromId, to: toId } }
}

async function ownerOf(nodes, slot) {
  const ranges = await redisCommand(nodes[0].port, 'CLUSTER', 'SLOTS')
  const [, , [, owner]] = ranges.find(([first, last]) => first <= slot && slot <= last)
  return nodes.find(({ port }) => port === owner)
}

describe('sentinels', { timeout: 120_000 }, () => {
  let group
  before(async () => {
    group = await startRedisSentinel()
  })
  after(() => group?.stop())
  const sentinel = (options) => ({ name: group.name, urls: group.urls, ...options })

  test('the master is found, whoever of the sentinels answers', async (t) => {
    const urls = ['redis://127.0.0.1:1', ...group.urls]
    const limiter = limiterOf({ limit: 3, window: '1d', sentinel: sentinel({ urls }) })
    t.after(() => limiter.close())
    assert.equal(await allowedOf(limiter, 'a', 5), 3)
    assertDecision(await limiter.check('a'), { allowed: false, source: 'redis' })
    assert.equal(await redisCommand(await group.master(), 'DBSIZE'), 1)
  })

  test('a user with the right to ask for the role, and one without it', async (t) => {
    await makeUser(group.servers)
    const login = { username: USER, password: PASSWORD }
    const one = { limit: 1, window: '1d', prefix: 'rl', timeout: 500, sentinel: sentinel(login) }
    const without = limiterOf(one)
    t.after(() => without.close())
    await assert.rejects(without.ready({ timeout: 1_000 }), { message: /NOPERM.*role/i })
    await makeUser(group.servers, '+role')
    const limiter = limiterOf(one)
    t.after(() => limiter.close())
    assertDecision(await limiter.check('a'), { allowed: true, source: 'redis' })
  })

  test('a name that nobody knows', async (t) => {
    const limiter = limiterOf({ limit: 3, window: '1d', timeout: 500, sentinel: sentinel({ name: 'nobody' }) })
    t.after(() => limiter.close())
    await assert.rejects(limiter.ready({ timeout: 1_000 }), { message: /no master that is called 'nobody'/ })
  })

  /** Loses the master under load, which goes on at the one that takes its place. Resolves with the one that was lost. */
  async function assertFollowed(t, group, lose, timeout = 200) {
    const { name, urls } = group
    const options = { limit: 1e6, window: '1d', timeout, onStoreError: 'local', sentinel: { name, urls } }
    const limiter = limiterOf(options)
    t.after(() => limiter.close())
    await limiter.ready()
    const load = startLoad(limiter, { callers: 10 })
    await until(() => load.now.sources.redis > 100, 'Redis decided under load')
    const first = await group.master()
    const lost = group.servers.find(({ port }) => port === first)
    load.phase('during')
    await lose(lost)
    await until(async () => (await group.master()) !== first, 'the sentinels name another', 20_000)
    load.phase('after')
    const master = await group.master()
    const hasDecided = async () => /cmdstat_(fcall|evalsha)/.test(await redisCommand(master, 'INFO', 'commandstats'))
    await until(hasDecided, 'the new master decides under load', 20_000)
    assertAllSettled(await load.stop())
    return lost
  }

  test('a master that is switched by hand is followed under load', (t) =>
    assertFollowed(t, group, () => group.failover()))

  test('a master that is killed is followed under load', (t) => assertFollowed(t, group, (lost) => lost.kill()))

  // It decides all the while, so that nothing but the sentinels says that its counts are no longer those of the others.
  test('a master that is replaced is left although it goes on answering', async (t) => {
    const another = await startRedisSentinel()
    t.after(() => another.stop())
    // By this the sentinels find that it is down, while limiters do not.
    const lose = ({ port }) => redisCommand(port, 'ACL', 'SETUSER', 'default', '-ping')
    const { port } = await assertFollowed(t, another, lose, '10s')
    const [role] = await redisCommand(port, 'ROLE')
    assert.equal(role, 'master', 'it was left before anybody told it that it is no master')
  })
})
