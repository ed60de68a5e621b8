/** What every store does alike, seen from JavaScript: one description, run on each. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { ALGORITHMS } from './algorithms.mjs'
import { assertDecision } from './decision.mjs'
import { atMost, isLong } from './long.mjs'
import { sleep } from './wait.mjs'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Clocks are read in different places: what they say may differ by this much. */
const CLOCK_SLACK_MS = 1_000

/** Calls `count` times at once; how many were allowed. */
export async function allowedOf(limiter, key, count) {
  const answers = await Promise.all(Array.from({ length: count }, () => limiter.isAllowed(key)))
  return answers.filter(Boolean).length
}

/** Two limits of one key, whose states lie in different slots of a cluster where no tag holds them together. */
export const TWO_LIMITS = [
  { name: 'short', limit: 2, window: '1h' },
  { name: 'long', limit: 5, window: '1d' },
]

/** A limiter of `TWO_LIMITS` on a cluster takes from both or from none. */
export async function assertBothOrNone(limiter, source) {
  for (const key of ['a', 'b', 'c', 'd']) {
    assert.equal(await allowedOf(limiter, key, 10), 2, key)
    const denial = await limiter.check(key)
    assertDecision(denial, { allowed: false, name: 'short', source })
    assert.equal(denial.limits.find(({ name }) => name === 'long').remaining, 3, `${key}: a refusal took nothing`)
  }
}

/**
 * Describes the public face on one store. `make(options)` gives a limiter that shares its counts with no other and whose
 * decisions have `source`. Whoever calls closes it.
 */
export function describeFace(source, make) {
  for (const algorithm of ALGORITHMS) {
    describe(`${algorithm}, decided by ${source}`, { timeout: atMost(60_000) }, () => {
      const limiterOf = (t, options) => {
        // A queue with one place fewer than the limit: one unit leaves at once.
        const burst = algorithm === 'leaky-bucket' && { burst: options.limit - 1 }
        const limiter = make({ algorithm, window: '1d', ...burst, ...options })
        t.after(() => limiter.close())
        return limiter
      }
      describeCounting(source, limiterOf)
      describeChanging(source, algorithm, limiterOf)
      describeWaiting(algorithm, limiterOf)
    })
  }
  describe(`a burst, decided by ${source}`, { timeout: atMost(60_000) }, () => describeBurst(make))
  describe(`any rolling window, decided by ${source}`, { timeout: atMost(60_000) }, () => describeRollingWindow(make))
}

function describeCounting(source, limiterOf) {
  test('counts down, then denies', async (t) => {
    const limiter = limiterOf(t, { limit: 3 })
    for (const remaining of [2, 1, 0]) {
      assertDecision(await limiter.check('a'), { allowed: true, limit: 3, remaining, source })
    }
    for (let again = 0; again < 3; again += 1) {
      assertDecision(await limiter.check('a'), { allowed: false, limit: 3, remaining: 0, source })
    }
    assertDecision(await limiter.check('b'), { allowed: true, remaining: 2, source })
  })

  test('isAllowed and check spend the same units', async (t) => {
    const limiter = limiterOf(t, { limit: 2 })
    assert.equal(await limiter.isAllowed('a'), true)
    assertDecision(await limiter.check('a'), { allowed: true, remaining: 0 })
    assert.equal(await limiter.isAllowed('a'), false)
  })

  test('a cost is taken whole or not at all', async (t) => {
    const limiter = limiterOf(t, { limit: 10 })
    assertDecision(await limiter.check('a', { cost: 4 }), { allowed: true, remaining: 6 })
    assertDecision(await limiter.check('a', { cost: 7 }), { allowed: false, remaining: 6 })
    assertDecision(await limiter.check('a', { cost: 10 }), { allowed: false, remaining: 6 })
    assertDecision(await limiter.check('a', { cost: 6 }), { allowed: true, remaining: 0 })
    assert.equal(await limiter.isAllowed('a', { cost: 1 }), false)
    assert.equal(await limiter.isAllowed('b', { cost: 10 }), true, 'all of the limit at once')
  })

  test('peek says what check would, and changes nothing', async (t) => {
    const limiter = limiterOf(t, { limit: 3 })
    for (let again = 0; again < 5; again += 1) {
      assertDecision(await limiter.peek('a'), { allowed: true, remaining: 3, source })
    }
    await limiter.isAllowed('a')
    assertDecision(await limiter.peek('a'), { allowed: true, remaining: 2, source })
    assertDecision(await limiter.peek('a', { cost: 2 }), { allowed: true, remaining: 2 })
    assertDecision(await limiter.peek('a', { cost: 3 }), { allowed: false, remaining: 2 })
    assertDecision(await limiter.check('a', { cost: 2 }), { allowed: true, remaining: 0 })
    assertDecision(await limiter.peek('a'), { allowed: false, remaining: 0 })
  })

  test('reset forgets one key', async (t) => {
    const limiter = limiterOf(t, { limit: 2 })
    assert.equal(await allowedOf(limiter, 'a', 5), 2)
    assert.equal(await allowedOf(limiter, 'b', 5), 2)
    assert.equal(await limiter.reset('a'), undefined)
    assertDecision(await limiter.peek('a'), { allowed: true, remaining: 2 })
    assert.equal(await allowedOf(limiter, 'a', 5), 2, 'the whole limit again, and no more')
    assert.equal(await limiter.isAllowed('b'), false, 'another key is as it was')
    await limiter.reset('never seen')
  })

  test('many calls at once: exactly the limit', async (t) => {
    const limiter = limiterOf(t, { limit: 100 })
    assert.equal(await allowedOf(limiter, 'a', 1_000), 100)
  })

  test('calls on many keys at once: exactly the limit of each', async (t) => {
    const limiter = limiterOf(t, { limit: 3 })
    const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`)
    const counts = await Promise.all(keys.map((key) => allowedOf(limiter, key, 10)))
    assert.deepEqual(
      counts,
      keys.map(() => 3),
    )
  })

  test('stats count every decision once', async (t) => {
    const limiter = limiterOf(t, { limit: 5 })
    await allowedOf(limiter, 'a', 7)
    await limiter.check('a')
    await limiter.check('b')
    const { allowed, denied, sources, storeErrors, pending, circuitOpened } = limiter.stats()
    assert.deepEqual({ allowed, denied }, { allowed: 6, denied: 3 })
    const none = { redis: 0, memory: 0, fallback: 0, client: 0, 'deny-cache': 0, lease: 0, shared: 0, list: 0 }
    assert.deepEqual({ ...sources }, { ...none, [source]: 9 })
    assert.deepEqual({ storeErrors, pending, circuitOpened }, { storeErrors: 0, pending: 0, circuitOpened: 0 })

    await limiter.peek('a')
    await limiter.reset('a')
    const later = limiter.stats()
    assert.equal(later.allowed + later.denied, 9, 'peek and reset are no admissions and no refusals')
  })
}

function describeChanging(source, algorithm, limiterOf) {
  test('takes as many units as there are', async (t) => {
    const limiter = limiterOf(t, { limit: 5 })
    assertDecision(await limiter.check('a', { upTo: 3 }), { allowed: true, granted: 3, remaining: 2, source })
    assertDecision(await limiter.check('a', { upTo: 5 }), { allowed: true, granted: 2, remaining: 0 })
    assertDecision(await limiter.check('a', { upTo: 5 }), { allowed: false, granted: 0, remaining: 0 })
  })

  test('gives back and takes past the limit', async (t) => {
    const limiter = limiterOf(t, { limit: 5 })
    await limiter.check('a', { cost: 5 })
    assertDecision(await limiter.refund('a', 2), { allowed: true, remaining: 2, source })
    assertDecision(await limiter.penalty('a', 4), { allowed: false, remaining: 0, source })
    assertDecision(await limiter.refund('a', 2), { allowed: false, remaining: 0 })
    assertDecision(await limiter.refund('a'), { allowed: true, remaining: 1 })
    assertDecision(await limiter.refund('a', 5), { allowed: true, remaining: 5 })
    assertDecision(await limiter.refund('new', 5), { allowed: true, remaining: 5 })
    assert.equal(await allowedOf(limiter, 'a', 10), 5, 'never more than the limit')
  })

  test('blocks a key and nobody else, whatever is given back', async (t) => {
    const limiter = limiterOf(t, { limit: 5 })
    await limiter.check('a', { cost: 2 })
    assert.equal(await limiter.block('a', '1h'), undefined)
    const { retryAfterMs } = assertDecision(await limiter.check('a'), { allowed: false, remaining: 0, source })
    assert.ok(retryAfterMs > HOUR - 60_000 && retryAfterMs <= HOUR, `blocked for ${retryAfterMs} ms`)
    assertDecision(await limiter.refund('a', 5), { allowed: false })
    assert.equal(await limiter.isAllowed('b'), true)
    assert.equal(await limiter.unblock('a'), undefined)
    assertDecision(await limiter.peek('a'), { allowed: true, remaining: 5 })
    await limiter.block('a', '1h')
    await limiter.reset('a')
    assertDecision(await limiter.check('a'), { allowed: true, remaining: 4 })
  })

  test('counts actions apart, and under limits that come later', async (t) => {
    const limiter = limiterOf(t, { limit: 2, actions: { rare: { limit: 1, window: '1d', algorithm: 'fixed-window' } } })
    assert.equal(await allowedOf(limiter, 'a', 4), 2)
    for (const [action, limit] of [
      ['rare', 1],
      ['other: {1}', 2],
    ]) {
      let allowed = 0
      for (let call = 0; call < 4; call += 1) allowed += await limiter.isAllowed('a', { action })
      assert.equal(allowed, limit, action)
    }
    limiter.configure('a', { limit: 10, window: '1d' })
    assertDecision(await limiter.peek('b'), { remaining: 2 })
    // What a bucket lacks is time, which a wider limit only makes pass in larger units.
    const hasRoom = algorithm !== 'token-bucket'
    assert.equal((await limiter.peek('a')).remaining > 0, hasRoom)
    limiter.configure('a', null)
    assert.equal(await limiter.isAllowed('a'), false)
    assert.equal((await limiter.peek('a', { limit: 10, window: '1d' })).remaining > 0, hasRoom)
  })
}

function describeWaiting(algorithm, limiterOf) {
  const sliding = algorithm === 'sliding-window'
  const together = sliding || algorithm === 'fixed-window'

  test('a denial says how long to wait, and when all is forgotten', async (t) => {
    const limiter = limiterOf(t, { limit: 4, window: '1h' })
    const begun = Date.now()
    assert.equal(await limiter.isAllowed('a', { cost: 4 }), true)
    const spent = Date.now()
    // All four units went at one time: a window gives them back together, a bucket one every quarter of an hour.
    for (const cost of algorithm === 'sliding-counter' ? [] : [1, 2, 4]) {
      const wait = together ? HOUR : (HOUR * cost) / 4
      const { retryAfterMs, resetAt } = assertDecision(await limiter.check('a', { cost }), { allowed: false })
      const elapsed = Date.now() - begun
      assert.ok(
        retryAfterMs <= wait + 1 && retryAfterMs >= wait - elapsed - CLOCK_SLACK_MS,
        `cost ${cost}: ${wait} ms less up to ${elapsed} ms elapsed, not ${retryAfterMs}`,
      )
      assert.ok(
        resetAt >= begun + HOUR - CLOCK_SLACK_MS && resetAt <= spent + HOUR + CLOCK_SLACK_MS,
        `as good as new in an hour: between ${begun + HOUR} and ${spent + HOUR}, not ${resetAt}`,
      )
    }
  })

  const wide = { limit: 200, window: 120 }
  const cases = [
    { limit: 1, window: 60 },
    { limit: 5, window: 60 },
    wide,
    ...(sliding
      ? [
          { ...wide, resolution: 1 },
          { ...wide, resolution: 1_024 },
        ]
      : []),
    ...(algorithm === 'token-bucket' ? [{ ...wide, burst: 50 }] : [{ ...wide, burst: { extra: 10, window: 60 } }]),
  ]
  for (const options of cases.filter(({ burst }) => algorithm !== 'leaky-bucket' || burst === undefined)) {
    test(`whoever waits retryAfterMs is allowed: ${JSON.stringify(options)}`, async (t) => {
      const limiter = limiterOf(t, options)
      const capacity = (await limiter.peek('new')).limit
      for (let round = 0; round < (isLong ? 100 : 5); round += 1) {
        // Whatever is left is taken first, so that the cost after it is one that has to wait.
        const key = `key-${round % 3}`
        const { remaining } = await limiter.peek(key)
        if (remaining > 0) await limiter.check(key, { cost: remaining })
        const cost = 1 + Math.floor(Math.random() * capacity)
        const first = assertDecision(await limiter.check(key, { cost }))
        if (first.allowed) continue
        await sleep(first.retryAfterMs)
        const second = await limiter.check(key, { cost })
        assert.ok(
          second.allowed,
          `cost ${cost}: told to wait ${first.retryAfterMs} ms, then ${second.retryAfterMs} more`,
        )
      }
      assert.ok(limiter.stats().denied > 0, 'at least one call had to wait')
    })
  }
}

function describeBurst(make) {
  test('the whole burst at once, and no more', async (t) => {
    const limiter = make({ algorithm: 'token-bucket', limit: 10, window: '1d', burst: 20 })
    t.after(() => limiter.close())
    assertDecision(await limiter.peek('a'), { allowed: true, limit: 20, remaining: 20 })
    assertDecision(await limiter.check('a', { cost: 5 }), { allowed: true, limit: 20, remaining: 15 })
    assert.equal(await allowedOf(limiter, 'a', 30), 15)
    const { retryAfterMs } = assertDecision(await limiter.check('a'), { allowed: false, limit: 20, remaining: 0 })
    // The bucket fills at limit / window, whatever its size.
    const unit = DAY / 10
    assert.ok(retryAfterMs <= unit + 1 && retryAfterMs > unit / 2, `a unit every ${unit} ms, not in ${retryAfterMs}`)
  })

  test('a burst below the limit', async (t) => {
    const limiter = make({ algorithm: 'token-bucket', limit: 10, window: '1d', burst: 2 })
    t.after(() => limiter.close())
    assert.equal(await allowedOf(limiter, 'a', 10), 2)
  })
}

function describeRollingWindow(make) {
  const cases = [
    { limit: 1, window: 20 },
    { limit: 10, window: 50 },
    { limit: 100, window: 50, resolution: 8 },
    { limit: 100, window: 50, resolution: 1 },
  ]
  for (const options of cases) {
    test(`never holds more than the limit: ${JSON.stringify(options)}`, async (t) => {
      const limiter = make(options)
      t.after(() => limiter.close())
      const admissions = await hammer(limiter, isLong ? 5_000 : 500)
      assert.ok(admissions.length > options.limit, 'spent units came back')
      assertNeverAbove(admissions, options)
    })
  }
}

/** Calls on one key as fast as it goes, with pauses now and then. Each admission happened between its `from` and its `to`. */
async function hammer(limiter, duration) {
  const admissions = []
  const end = performance.now() + duration
  async function caller() {
    while (performance.now() < end) {
      const pause = Math.random() * 30
      for (let calls = Math.random() * 200; calls > 0; calls -= 1) {
        const from = performance.now()
        if (await limiter.isAllowed('a')) admissions.push({ from, to: performance.now() })
      }
      await sleep(pause)
    }
  }
  await Promise.all([caller(), caller(), caller(), caller()])
  return admissions.sort((a, b) => a.from - b.from)
}

function assertNeverAbove(admissions, { limit, window }) {
  for (let first = 0; first + limit < admissions.length; first += 1) {
    const several = admissions.slice(first, first + limit + 1)
    const took = Math.max(...several.map(({ to }) => to)) - several[0].from
    assert.ok(
      took >= window,
      `${limit + 1} were admitted within ${took.toFixed(3)} ms, of a limit of ${limit} in ${window} ms`,
    )
  }
}
