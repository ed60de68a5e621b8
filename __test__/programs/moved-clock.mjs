/**
 * Has its own time of day set forward and back, and finds that no decision and no deadline notices. Must be started with a clock
 * that can be moved (`support/moved-clock.mjs`).
 *
 * Argument: the limiter's options as JSON. Sends `stall` for a Redis that is silent and `answer` for one that is not, and waits for a
 * message each time; sends `done` when all is as it should be.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'

import { RateLimiter } from 'distributed-rate-limiter'

import { ALGORITHMS } from '../support/algorithms.mjs'
import { moveOwnTo } from '../support/moved-clock.mjs'
import { settles, until } from '../support/wait.mjs'

const DAY_S = 86_400
/** Longer than the window of any limiter here. */
const JUMP_S = 2 * DAY_S

const options = JSON.parse(process.argv[2])
const limiters = []
function limiterOf(more) {
  const limiter = new RateLimiter({ limit: 5, window: '1d', timeout: '10s', ...more })
  limiters.push(limiter)
  return limiter
}
async function say(word) {
  process.send(word)
  await once(process, 'message')
}

/** Uses up what there is on one key; answers what the refusal says, which stays so for as long as nothing comes back. */
async function exhaust(limiter) {
  for (let call = 0; call < 20; call += 1) {
    const { allowed, remaining, resetAt, source } = await limiter.check('a')
    if (!allowed) return { allowed, remaining, resetAt, source }
  }
  throw new Error('20 calls were admitted of a limit of 5')
}

const used = []
for (const algorithm of ALGORITHMS) {
  for (const [source, where] of [
    ['redis', { ...options, onStoreError: 'throw', prefix: algorithm, denyCache: false }],
    ['memory', {}],
  ]) {
    const limiter = limiterOf({ ...where, algorithm })
    const refusal = await exhaust(limiter)
    assert.equal(refusal.source, source)
    used.push({ what: `${algorithm} in ${source}`, limiter, refusal })
  }
}
// Units that come back, however this process's clock is set.
const short = ALGORITHMS.map((algorithm) =>
  limiterOf({ ...options, algorithm, limit: 1, window: 100, prefix: `short-${algorithm}`, onStoreError: 'throw' }),
)
const patient = limiterOf({ ...options, prefix: 'patient' })
const hasty = limiterOf({ ...options, prefix: 'hasty', timeout: 100 })
await Promise.all([patient.ready(), hasty.ready()])

const real = Date.now()
for (const seconds of [JUMP_S, 0, -JUMP_S, 0]) {
  moveOwnTo(seconds)
  const moved = Date.now() - real
  assert.ok(Math.abs(moved - 1_000 * seconds) < 1_000 * DAY_S, `the clock was moved by ${moved} ms`)
  for (const { what, limiter, refusal } of used) {
    assert.deepEqual(await exhaust(limiter), refusal, `${what}, by ${seconds} s`)
  }
  for (const limiter of short) {
    await limiter.check('a')
    await until(() => limiter.isAllowed('a'), `a unit came back, the clock being off by ${seconds} s`)
  }
}

// Forward: nobody's time is over. The second call has the limiter look at the deadline of the first.
await say('stall')
const { batches } = patient.stats()
const calls = [patient.check('a')]
moveOwnTo(JUMP_S)
await until(() => patient.stats().batches === batches + 1, 'the first call is sent')
calls.push(patient.check('b'))
await until(() => patient.stats().batches === batches + 2, 'the second call is sent')
await say('answer')
for (const { source } of await settles(Promise.all(calls), 'calls before the clock went forward')) {
  assert.equal(source, 'redis')
}

// Back: it is over when it is over.
await hasty.ready()
await say('stall')
const late = hasty.check('a')
moveOwnTo(0)
assert.equal((await settles(late, 'a call before the clock went back')).source, 'fallback')
await say('answer')
await until(async () => (await hasty.check('a')).source === 'redis', 'Redis decides again')

await Promise.all(limiters.map((limiter) => limiter.close()))
process.send('done')
process.disconnect()
