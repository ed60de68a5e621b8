/** `adaptive: { scope: 'fleet' }`: the limits of all processes give way by the mean of what each makes of its own load. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedisSentinel } from '../scripts/redis-sentinel.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { makeUser, urlFor } from './support/acl.mjs'
import { ask, program, start } from './support/child.mjs'
import { CLUSTER, STANDALONE, waysTo } from './support/clients.mjs'
import { settles, until } from './support/wait.mjs'

const PRIORITIES = ['low', 'normal', 'high']
const LIMIT = { limit: 100, window: '1d', timeout: '10s' }

/** Longer than it takes a level to sink or rise all the way, and a word to be heard or to end. */
const PATIENCE = 40_000

const sum = (numbers) => numbers.reduce((sum, number) => sum + number, 0)
const rounded = (number) => Math.round(number * 1_000) / 1_000

/** Waits until each of several, asked by `read`, is at the multiplier, told in thousandths, and knows of so many. */
async function allAt(multiplier, instances, read) {
  let seen
  const isThere = (one) => rounded(one.multiplier) === multiplier && one.instances === instances
  const reached = async () => (seen = await read()).every(isThere)
  await until(reached, `all are at ${multiplier} of ${instances}`, PATIENCE).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(seen)}`)
  })
  return seen
}

/** `size` processes on one Redis, and what they say of themselves. */
async function fleet(t, redisUrl, size) {
  const options = { ...LIMIT, redisUrl, timeout: '1s', adaptive: { scope: 'fleet', min: 0.2, priorities: PRIORITIES } }
  const members = Array.from({ length: size }, () =>
    start(program('adaptive-member.mjs'), { args: [JSON.stringify(options)], within: 240_000 }),
  )
  t.after(() => Promise.all(members.map((member) => member.stop('SIGKILL'))))
  await Promise.all(members.map((member) => member.message()))
  const askAll = (message) => Promise.all(members.map((member) => ask(member, message)))
  const adaptive = () => askAll('adaptive')
  /** How many calls all of them together admit, of more than the whole limit of each. */
  const admitted = async (key, priority) =>
    sum((await askAll({ calls: 110, key, priority })).map(({ admitted }) => admitted))
  return { members, adaptive, admitted }
}

describe('four processes on one Redis', { timeout: 300_000 }, () => {
  test('give way together by what one of them must, whole again when it is gone, and each by its own without Redis', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const { members, adaptive, admitted } = await fleet(t, redis.url, 4)
    await allAt(1, 4, adaptive)
    assert.equal(await admitted('whole', 'low'), 100)

    members[0].send({ load: 5 })
    const under = await allAt(0.8, 4, adaptive)
    assert.deepEqual(
      under.map(({ scope, own }) => [scope, own]),
      [0.2, 1, 1, 1].map((own) => ['fleet', own]),
    )
    // Three quarters of a third of the way to a fifth: the lowest priority alone has given way.
    for (const { priorities } of under) assert.deepEqual(priorities, { low: 0.4, normal: 1, high: 1 })
    assert.equal(await admitted('a', 'low'), 40)
    assert.equal(await admitted('b', 'normal'), 100)
    for (const { told } of await adaptive()) assert.ok(told.length === 1 && told[0] < 1, 'each tells that it gives way')

    members[1].send({ load: 5 })
    const further = await allAt(0.6, 4, adaptive)
    for (const { priorities } of further) assert.deepEqual(priorities, { low: 0.2, normal: 0.6, high: 1 })
    assert.equal(await admitted('c', 'normal'), 60)
    assert.equal(await admitted('d', 'high'), 100)

    await redis.kill()
    const apart = async () => {
      const seen = await adaptive()
      return seen.every(({ instances, multiplier, own }) => instances === 1 && multiplier === own) && seen
    }
    const alone = await until(apart, 'each goes by its own', PATIENCE)
    assert.deepEqual(
      alone.map(({ multiplier }) => multiplier),
      [0.2, 0.2, 1, 1],
    )
    await redis.restart()
    await allAt(0.6, 4, adaptive)

    const gone = members.shift()
    await gone.stop('SIGKILL')
    await allAt(rounded(2.2 / 3), 3, adaptive)
    const leaving = members.shift()
    leaving.send('close')
    await leaving.ended
    const back = await allAt(1, 2, adaptive)
    for (const { priorities } of back) assert.deepEqual(priorities, { low: 1, normal: 1, high: 1 })
    assert.equal(await admitted('e', 'low'), 100)
    for (const { told } of await adaptive()) assert.equal(told.at(-1), 1, 'and that it is whole again')
  })
})

describe('whatever reaches Redis', { timeout: 240_000 }, () => {
  const busy = { scope: 'fleet', min: 0.5, signals: [() => 50] }
  const idle = { scope: 'fleet', min: 0.5, signals: [() => 0] }

  for (const [topology, kinds, begin] of [
    ['one server', STANDALONE, startRedis],
    ['a cluster', CLUSTER, startRedisCluster],
  ]) {
    test(`${topology}, by clients of the application and by addresses`, async (t) => {
      const server = await begin()
      t.after(() => server.stop())
      const ways = await waysTo(t, server, kinds)
      const limiters = ways.map(
        (way, index) => new RateLimiter({ ...LIMIT, ...way, adaptive: index === 0 ? busy : idle }),
      )
      t.after(() => Promise.all(limiters.map((limiter) => limiter.close())))
      const mean = rounded((ways.length - 0.5) / ways.length)
      await allAt(mean, ways.length, () => limiters.map((limiter) => limiter.stats().adaptive))
    })
  }

  test('behind sentinels: a master that has just taken over is told by all of them', async (t) => {
    const group = await startRedisSentinel()
    t.after(() => group.stop())
    const sentinel = { name: group.name, urls: group.urls }
    const limiters = [busy, idle, idle].map((adaptive) => new RateLimiter({ ...LIMIT, sentinel, adaptive }))
    t.after(() => Promise.all(limiters.map((limiter) => limiter.close())))
    const adaptive = () => limiters.map((limiter) => limiter.stats().adaptive)
    const mean = rounded(2.5 / 3)
    await allAt(mean, 3, adaptive)
    const before = await group.master()
    await group.failover()
    const isOther = async () => {
      const port = await group.master()
      return port !== before && port
    }
    const port = await until(isOther, 'there is another master', PATIENCE)
    // What came with the replica is taken away: only what is told here counts.
    const isEmpty = () =>
      redisCommand(port, 'DEL', 'rl:levels').then(
        () => true,
        () => false,
      )
    await until(isEmpty, 'it can be written to', PATIENCE)
    const isTold = async () => (await redisCommand(port, 'HLEN', 'rl:levels')) === 4
    await until(isTold, 'all have told it, and their sum is there', PATIENCE)
    await allAt(mean, 3, adaptive)
  })

  test('what somebody else has put in its place is told of once, and each goes by its own until it is gone', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    await redisCommand(redis.port, 'SET', 'rl:levels', 'nonsense')
    const warned = []
    const logger = { warn: (message) => warned.push(message), error: () => {} }
    const limiters = [busy, idle].map(
      (adaptive) => new RateLimiter({ ...LIMIT, redisUrl: redis.url, logger, adaptive }),
    )
    t.after(() => Promise.all(limiters.map((limiter) => limiter.close())))
    const told = limiters.map((limiter) => once(limiter, 'fleetUnknown'))
    for (const [error] of await settles(Promise.all(told), 'the events')) {
      assert.equal(error.code, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE')
      assert.match(error.message, /WRONGTYPE/)
    }
    const adaptive = () => limiters.map((limiter) => limiter.stats().adaptive)
    await until(() => adaptive()[0].multiplier === 0.5, 'it goes by its own')
    assert.deepEqual([adaptive()[1].multiplier, adaptive()[1].instances], [1, 1])
    assert.equal((await limiters[0].check('key')).source, 'redis', 'Redis decides all the same')
    await redisCommand(redis.port, 'DEL', 'rl:levels')
    await allAt(0.75, 2, adaptive)
    assert.equal(warned.filter((message) => /how the fleet is/.test(message)).length, 2, warned.join('\n'))
  })

  test('a user with the rights of docs/security.md, and those that it names for this', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const options = { ...LIMIT, redisUrl: urlFor(redis), adaptive: idle }
    const further = ['+hset', '+hmget', '+hgetall', '+hdel']
    for (const missing of further) {
      await redisCommand(redis.port, 'FLUSHALL')
      await makeUser([redis], ...further.filter((right) => right !== missing))
      // A field that must be dropped.
      await redisCommand(redis.port, 'HSET', 'rl:levels', 'by hand', '')
      const limiter = new RateLimiter(options)
      const [error] = await settles(once(limiter, 'fleetUnknown'), `the event without ${missing}`)
      assert.match(error.message, /NOPERM|can't run this command/)
      await limiter.close()
    }
    await makeUser([redis], ...further)
    const limiters = [busy, idle].map((adaptive) => new RateLimiter({ ...options, adaptive }))
    t.after(() => Promise.all(limiters.map((limiter) => limiter.close())))
    await allAt(0.75, 2, () => limiters.map((limiter) => limiter.stats().adaptive))
  })

  test('nothing is told without the scope', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const limiter = new RateLimiter({ ...LIMIT, redisUrl: redis.url, adaptive: { ...busy, scope: 'instance' } })
    t.after(() => limiter.close())
    await limiter.ready()
    await until(() => limiter.stats().adaptive.multiplier === 0.5, 'it goes by its own')
    assert.equal(await redisCommand(redis.port, 'DBSIZE'), 0)
  })
})

describe('bad input', () => {
  const adaptive = { scope: 'fleet' }
  const message = /`adaptive.scope`.*through Redis.*`redisUrl`, `sentinel` or `redisClient`/
  const cacheClient = {}
  for (const name of ['get', 'set', 'incrementAndGet', 'decrementAndGet']) cacheClient[name] = async () => 0
  const ROWS = [
    ['memory', { adaptive }, 'TypeError', message],
    ['shared memory', { adaptive, shared: `adaptive-fleet-${process.pid}` }, 'TypeError', message],
    ['a cache', { adaptive, cacheClient }, 'TypeError', message],
    ['another word', { adaptive: { scope: 'all' } }, 'RangeError', /`adaptive.scope`.*'instance'.*'fleet'.*'all'/],
    ['no word', { adaptive: { scope: true } }, 'TypeError', /`adaptive.scope`/],
  ]
  for (const [what, options, name, message] of ROWS) {
    test(what, () => {
      const given = { limit: 1, window: '1s', ...options }
      assert.throws(() => new RateLimiter(given), { name, code: 'ERR_RATE_LIMIT_OPTION', message })
    })
  }
})
