/**
 * Linearizability: what 8 processes are told by one Redis, while it and the network between fail, is what a limiter would tell that
 * takes one call after the other.
 *
 * A history is everything that was asked of one key. What bounds the promise:
 * - A call that is answered by the fallback, or by an error of the store's, was executed once or never, at any moment after it
 *   was made: nothing can be said of it but that. It is never executed twice.
 * - Redis keeps what it has answered. The faults are of that kind: the server that is killed has an append-only file that is
 *   written before it answers. One that comes back without its data has forgotten its keys, and says so of itself.
 * - Under `onStoreError: 'local'` Redis is told on its return of what was admitted without it, as of a penalty that nobody called
 *   for: `arrears.test.mjs` has that, and the limiters here refuse or throw instead.
 * - Moments are those of the monotonic clock, which on Linux, macOS and Windows all processes of a machine share.
 */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { FAULTS } from './histories/faults.mjs'
import { linearise } from './histories/linearise.mjs'
import { agrees, apply, fresh } from './histories/model.mjs'
import { checkAll, describeHistory, playHistories } from './histories/play.mjs'
import { drawCall, randomOf } from './histories/random.mjs'
import { isLong } from './support/long.mjs'

const LIMITS = [8]

/** A call from `invoked` to `returned` that was told this; nothing where it is perhaps done. */
const call = (invoked, returned, verb, cost, told) => ({ call: { verb, cost }, invoked, returned, told })
const took = (granted, remaining) => ({ allowed: true, granted, remaining })
const refused = (remaining) => ({ allowed: false, granted: 0, remaining })
const left = (remaining) => ({ allowed: remaining > 0, granted: 0, remaining })

const isExplained = (calls, limits = LIMITS) => linearise(limits, calls) !== undefined

describe('the check accepts', () => {
  const good = {
    'nothing at all': [],
    'calls one after the other': [
      call(0, 1, 'check', 3, took(3, 5)),
      call(2, 3, 'check', 5, took(5, 0)),
      call(4, 5, 'check', 1, refused(0)),
      call(6, 7, 'refund', 2, left(2)),
      call(8, 9, 'penalty', 4, left(0)),
      call(10, 11, 'reset', undefined, {}),
      call(12, 13, 'peek', 1, left(8)),
      call(14, 15, 'block', undefined, {}),
      call(16, 17, 'check', 1, refused(0)),
      call(18, 19, 'unblock', undefined, {}),
      call(20, 21, 'isAllowed', 8, { allowed: true }),
    ],
    'calls at the same time, in the order that their answers say': [
      call(0, 10, 'check', 1, took(1, 5)),
      call(1, 9, 'check', 1, took(1, 7)),
      call(2, 8, 'check', 1, took(1, 6)),
    ],
    'a call that is perhaps done, and was': [call(0, 1, 'check', 3), call(2, 3, 'peek', 1, left(5))],
    'a call that is perhaps done, and was not': [call(0, 1, 'check', 3), call(2, 3, 'peek', 1, left(8))],
    'a call that is perhaps done, and was after others': [
      call(0, 1, 'check', 3),
      call(2, 3, 'peek', 1, left(8)),
      call(4, 5, 'peek', 1, left(5)),
    ],
    'of two that ask the same either': [
      call(0, 1, 'check', 2),
      call(5, 6, 'check', 2),
      call(2, 3, 'peek', 1, left(6)),
      call(7, 8, 'peek', 1, left(6)),
      call(9, 10, 'peek', 1, left(4)),
    ],
  }
  for (const [title, calls] of Object.entries(good)) test(title, () => assert.ok(isExplained(calls)))

  test('several limits: each is charged, or none is', () => {
    const each = (...remaining) => remaining.map((number) => ({ allowed: number >= 3, remaining: number }))
    const calls = [
      call(0, 1, 'check', 3, {
        allowed: true,
        granted: 3,
        each: [6, 3].map((remaining) => ({ allowed: true, remaining })),
      }),
      call(2, 3, 'check', 3, {
        allowed: true,
        granted: 3,
        each: [3, 0].map((remaining) => ({ allowed: true, remaining })),
      }),
      call(4, 5, 'check', 3, { allowed: false, granted: 0, each: each(3, 0) }),
      call(6, 7, 'check', 3, { allowed: false, granted: 0, each: each(3, 0) }),
    ]
    assert.ok(isExplained(calls, [9, 6]))
    calls[3] = call(6, 7, 'check', 3, { allowed: false, granted: 0, each: each(0, 0) })
    assert.ok(!isExplained(calls, [9, 6]), 'a refusal that took from the one that had room')
  })
})

describe('the check refuses', () => {
  const bad = {
    'one admission too many': [
      ...Array.from({ length: 8 }, (_, index) => call(index, 20, 'isAllowed', 1, { allowed: true })),
      call(8, 20, 'isAllowed', 1, { allowed: true }),
    ],
    'a refusal without need': [call(0, 1, 'check', 7, took(7, 1)), call(2, 3, 'check', 1, refused(1))],
    'units that nobody was granted': [call(0, 1, 'check', 3, took(2, 6))],
    'a stale remaining': [call(0, 1, 'check', 1, took(1, 7)), call(2, 3, 'check', 1, took(1, 7))],
    'a read that goes back in time': [
      call(0, 9, 'check', 3, took(3, 5)),
      call(1, 2, 'peek', 1, left(5)),
      call(3, 4, 'peek', 1, left(8)),
    ],
    'a lost refund': [
      call(0, 1, 'check', 5, took(5, 3)),
      call(2, 3, 'refund', 2, left(5)),
      call(4, 5, 'peek', 1, left(3)),
    ],
    'a lost penalty': [call(0, 1, 'penalty', 5, left(3)), call(2, 3, 'check', 1, took(1, 7))],
    'a block that does not last': [call(0, 1, 'block', undefined, {}), call(2, 3, 'isAllowed', 1, { allowed: true })],
    'a reset that comes twice': [
      call(0, 1, 'reset', undefined, {}),
      call(2, 3, 'check', 1, took(1, 7)),
      call(4, 5, 'check', 1, took(1, 7)),
    ],
    'what was told before it was asked': [call(0, 1, 'peek', 1, left(5)), call(2, 3, 'check', 3, took(3, 5))],
    'a call that is perhaps done before it is made': [call(0, 1, 'peek', 1, left(5)), call(2, 3, 'check', 3)],
    'a call that is perhaps done, and was twice': [call(0, 1, 'check', 3), call(2, 3, 'peek', 1, left(2))],
    'a call that is perhaps done, and was undone': [
      call(0, 1, 'check', 3),
      call(2, 3, 'peek', 1, left(5)),
      call(4, 5, 'peek', 1, left(8)),
    ],
    'a call that was answered and done twice': [call(0, 1, 'check', 3, took(3, 5)), call(2, 3, 'peek', 1, left(2))],
  }
  for (const [title, calls] of Object.entries(bad)) test(title, () => assert.ok(!isExplained(calls)))

  test('a reply before its request', () => {
    assert.throws(() => linearise(LIMITS, [call(2, 1, 'check', 1, took(1, 7))]), /returned at 1 that was invoked at 2/)
  })
})

/** A history that a true limiter could have: calls of 5 callers, each done at a moment within it, one in 8 of them unheard. */
function trueHistory(random) {
  const moments = Array.from({ length: 24 }, (_, index) => ({ caller: random.below(5), at: 100 * (index + 1) }))
  let state = fresh(LIMITS)
  const returnedLast = Array(5).fill(0)
  return moments.map(({ caller, at }) => {
    const asked = drawCall(random)
    // Callers make one call after the other, and each is done within its own.
    const invoked = Math.max(returnedLast[caller] + 1, at - random.below(400))
    const made = { call: asked, invoked: Math.min(invoked, at), returned: at + random.below(90) }
    returnedLast[caller] = made.returned
    const isHeard = random.below(8) > 0
    if (!isHeard && random.below(2) === 0) return made
    const next = apply(LIMITS, state, asked)
    state = next.state
    return isHeard ? { ...made, told: next.answer } : made
  })
}

/** The same with one answer that is another. Nothing where no answer says enough to be falsified. */
function falsified(random, history) {
  const candidates = history.filter(({ told }) => told?.remaining !== undefined)
  if (candidates.length === 0) return undefined
  const victim = candidates[random.below(candidates.length)]
  const { told } = victim
  const lies = [
    { ...told, remaining: told.remaining + 1 },
    { ...told, remaining: Math.max(0, told.remaining - 1) },
    { ...told, allowed: !told.allowed },
  ].map(({ each, ...lie }) => lie)
  const lie = lies.filter((one) => !agrees(one, told))[random.below(2)]
  return history.map((made) => (made === victim ? { ...made, told: lie } : made))
}

test('random histories: true ones are explained, most with one answer falsified are not', (t) => {
  const random = randomOf(7)
  const cases = isLong ? 20_000 : 1_000
  let [found, tried] = [0, 0]
  for (let index = 0; index < cases; index += 1) {
    const history = trueHistory(random)
    const order = linearise(LIMITS, history)
    assert.ok(order, `a true history was refused: ${JSON.stringify(history)}`)
    assertExplains(order, history)
    const lie = falsified(random, history)
    if (lie === undefined) continue
    tried += 1
    found += linearise(LIMITS, lie) === undefined
  }
  t.diagnostic(`${found} of ${tried} falsified histories were refused`)
  // The rest are lies that would have been true of another order, or of a call that is perhaps done.
  assert.ok(found > tried * 0.8, `${found} of ${tried} were refused`)
})

/** The order itself is looked at, without any search. */
function assertExplains(order, history) {
  let state = fresh(LIMITS)
  let latest = 0
  for (const made of order) {
    latest = Math.max(latest, made.invoked)
    assert.ok(!made.told || latest <= made.returned, 'nobody is overtaken who had returned')
    const next = apply(LIMITS, state, made.call)
    assert.ok(!made.told || agrees(made.told, next.answer))
    state = next.state
  }
  assert.equal(new Set(order).size, order.length, 'nothing is done twice')
  for (const made of history) assert.ok(!made.told || order.includes(made), 'all that was answered was done')
}

describe('8 processes on one Redis', { timeout: isLong ? 1_800_000 : 180_000 }, () => {
  const ROUNDS = isLong ? 5 * FAULTS.length : FAULTS.length
  // The long form is 11,250 histories and more, each of 33 calls.
  const KEYS = isLong ? 250 : 100

  test('every history is explained, whatever fails', async (t) => {
    const { histories, faults } = await playHistories({ rounds: ROUNDS, keys: KEYS })
    const { refused, calls, perhaps } = checkAll(histories)
    t.diagnostic(
      `${histories.length} histories of ${calls} calls, of which ${perhaps} are perhaps done; ${JSON.stringify(faults)}`,
    )
    assert.equal(histories.length, ROUNDS * KEYS)
    assert.deepEqual(refused.map(describeHistory), [])
    assert.ok(perhaps > 0, 'some calls met a fault')
    assert.ok(perhaps < calls / 2, 'most calls were answered by Redis: what is perhaps done proves little')
  })

  const healthy = FAULTS.filter(({ name }) => name === 'none')
  const cutting = FAULTS.filter(({ name }) => name === 'replies are cut')
  for (const [store, faults, title] of [
    ['forgets', healthy, 'a limiter that now and then forgets what it took is refused'],
    ['races', healthy, 'a limiter that reads and writes in two steps is refused'],
    ['sends again', cutting, 'a limiter that sends again what a lost connection left unanswered is refused'],
  ]) {
    test(title, async (t) => {
      const { histories } = await playHistories({ rounds: 2, keys: 50, processes: 4, store, faults })
      const { refused, perhaps, calls } = checkAll(histories)
      t.diagnostic(
        `${refused.length} of ${histories.length} histories were refused; ${perhaps} of ${calls} calls were perhaps done`,
      )
      assert.ok(refused.length > 0)
    })
  }

  test('the client that breaks them is not what is refused', async () => {
    const { histories } = await playHistories({ rounds: 1, keys: 50, processes: 4, store: 'honest', faults: cutting })
    assert.deepEqual(checkAll(histories).refused.map(describeHistory), [])
  })
})
