/** A password in a URL, and the secret of `hashKeys`, are in nothing that can be printed, whatever goes wrong with Redis. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { inspect } from 'node:util'

import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertEnded, program, run } from './support/child.mjs'
import { rejectionOf, thrownBy } from './support/refusal.mjs'
import { until } from './support/wait.mjs'

const PASSWORD = 'p1anted-pa55word'
const SECRET = 'p1anted-secret-of-keys'
/** Also as the wire or a log would have it. */
const FORBIDDEN = [PASSWORD, SECRET].flatMap((word) => [
  word,
  Buffer.from(word).toString('base64').replace(/=+$/, ''),
  Buffer.from(word).toString('hex'),
])

/** Everything that can be printed of `thing`, its causes and what they carry with them. */
function printed(thing) {
  const parts = [String(thing), inspect(thing, { depth: Infinity, showHidden: true, getters: true })]
  for (let reason = thing; reason instanceof Error; reason = reason.cause) {
    parts.push(reason.message, reason.stack, JSON.stringify(reason, Object.getOwnPropertyNames(reason)))
  }
  parts.push(JSON.stringify(thing))
  return parts.join('\n')
}

function assertSilent(thing, what) {
  const all = typeof thing === 'string' ? thing : printed(thing)
  for (const word of FORBIDDEN) assert.ok(!all.includes(word), `${what} shows ${word}:\n${all}`)
}

let redis
let stranger
before(async () => {
  redis = await startRedis()
  const say = (...words) => redisCommand(redis.port, ...words)
  await say('ACL', 'SETUSER', 'guest', 'on', `>${PASSWORD}`, '~*', '+@all')
  await say('ACL', 'SETUSER', 'powerless', 'on', `>${PASSWORD}`, '~rl:*', '+evalsha', '+eval', '+get', '+time')
  await say('ACL', 'SETUSER', 'mute', 'on', `>${PASSWORD}`)
  // It sends back whatever it is told, the password as well.
  stranger = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (said) => socket.write(`-ERR you said ${JSON.stringify(said.toString())}\r\n`))
  })
  stranger.listen(0, '127.0.0.1')
  await once(stranger, 'listening')
})
after(async () => {
  stranger.close()
  await redis.stop()
})

const at = (port, user = 'guest', password = PASSWORD) => `redis://${user}:${password}@127.0.0.1:${port}`

describe('secrets', { timeout: 60_000 }, () => {
  for (const [title, urlOf] of [
    ['a wrong password', () => at(redis.port, 'guest', `${PASSWORD}-not`)],
    ['a user that is not there', () => at(redis.port, 'nobody')],
    ['a user that may do nothing', () => at(redis.port, 'mute')],
    ['a user that may not write', () => at(redis.port, 'powerless')],
    ['a host that refuses', async () => at(await freePort())],
    ['a host that has no name', () => `redis://guest:${PASSWORD}@no-such-host.invalid:6379`],
    ['a database that is not there', () => `${at(redis.port)}/9999`],
  ]) {
    test(`are not shown with ${title}`, async (t) => {
      const told = []
      const tell = (...words) => told.push(words)
      const options = { limit: 2, window: '1m', timeout: 300, logger: { warn: tell, error: tell }, hashKeys: SECRET }
      const limiter = new RateLimiter({ ...options, redisUrl: await urlOf(), onStoreError: 'throw' })
      t.after(() => limiter.close())
      const events = []
      limiter.on('storeDown', (error) => events.push(error))
      await until(async () => {
        assertSilent(await rejectionOf(() => limiter.isAllowed('a'), 'a call'), 'a rejection')
        return title === 'a user that may not write' || (events.length > 0 && told.length > 0)
      }, 'storeDown was emitted and the logger told')
      for (const [what, thing] of Object.entries({ events, told, limiter, stats: limiter.stats() })) {
        assertSilent(thing, what)
      }
      for (const error of events) assertSilent(error, 'storeDown')
    })
  }

  test('are not shown where all is well', async (t) => {
    const limiter = new RateLimiter({
      limit: 2,
      window: '1m',
      redisUrl: at(redis.port),
      timeout: '10s',
      hashKeys: SECRET,
    })
    t.after(() => limiter.close())
    const decision = await limiter.check('a')
    assert.equal(decision.source, 'redis')
    for (const thing of [limiter, decision, limiter.stats()]) assertSilent(thing, 'the limiter')
  })

  for (const Limiter of [RateLimiter, DistributedRateLimiter]) {
    test(`are not shown by options of ${Limiter.name} that are refused`, () => {
      for (const wrong of [{ windwo: 1 }, { limit: 0 }, { redisClient: {} }, { timeout: PASSWORD.length * 1e9 }]) {
        const options = { limit: 2, window: '1m', redisUrl: at(6379), hashKeys: SECRET, ...wrong }
        assertSilent(
          thrownBy(() => new Limiter(options), inspect(wrong)),
          'the error',
        )
      }
      for (const hashKeys of [SECRET.slice(0, 15), SECRET.repeat(99)]) {
        const { stack } = thrownBy(() => new Limiter({ limit: 2, window: '1m', hashKeys }), 'a secret of that length')
        assert.ok(!stack.includes(SECRET.slice(0, 7)), stack)
      }
    })
  }

  test("are not shown by what a client's errors quote", async (t) => {
    const quoting = (error) => async () => {
      throw Object.assign(error, { config: { url: at(redis.port) }, command: { args: [PASSWORD] } })
    }
    for (const error of [
      new Error(`connect to ${at(6379)} failed`),
      new Error('failed', { cause: new Error(`because of ${at(6379)}`) }),
      new AggregateError([new Error(at(6379))], 'all failed'),
    ]) {
      const redisClient = { evalsha: quoting(error), eval: quoting(error) }
      const limiter = new RateLimiter({ limit: 2, window: '1m', redisClient, onStoreError: 'throw' })
      t.after(() => limiter.close())
      const events = []
      limiter.on('storeDown', (error) => events.push(error))
      await until(() => events.length > 0, 'storeDown was emitted')
      assertSilent(events[0], 'storeDown')
      assertSilent(await rejectionOf(() => limiter.isAllowed('a'), 'a call'), 'the rejection')
    }
  })

  test('are not shown by debug output', async () => {
    const env = { NODE_DEBUG: '*', DEBUG: '*', RUST_LOG: 'trace', RUST_BACKTRACE: 'full' }
    for (const url of [at(redis.port), at(redis.port, 'guest', `${PASSWORD}-not`), at(await freePort())]) {
      // Node prints a program's own arguments there, so they come by another way.
      const end = await run(program('debug.mjs'), { env: { ...env, LIMITER_URL: url, LIMITER_SECRET: SECRET } })
      assertEnded(end, 'the program')
      assert.match(end.stdout, /pending/, 'it printed its counts')
      assertSilent(end.stdout + end.stderr, 'the output')
    }
  })

  test('are not shown by what answers in place of Redis and quotes what it was told', async (t) => {
    const redisUrl = at(stranger.address().port)
    const limiter = new RateLimiter({ limit: 2, window: '1m', redisUrl, onStoreError: 'throw', timeout: 300 })
    t.after(() => limiter.close())
    const refusal = await rejectionOf(() => limiter.ready({ timeout: 1_000 }), 'ready()')
    assertSilent(refusal, 'the rejection')
  })
})
