/** What limits give way by, part by part: what is read, what is made of it, and which refusals are due to it. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'

const require = createRequire(import.meta.url)
const perf = require('node:perf_hooks')
const { Latencies } = require('../lib/adaptive/latencies.js')
const { Pressure } = require('../lib/adaptive/pressure.js')
const { bucketsOf, isDueToReduction } = require('../lib/adaptive/reason.js')

/** A module as if it were loaded for the first time, after the test has exchanged what it takes of others. */
function anew(name) {
  const path = require.resolve(name)
  delete require.cache[path]
  return require(path)
}

/** One whose shares are those that the test says, in the order of its priorities. */
function pressure(t, shares, options) {
  const made = new Pressure(
    { signals: [() => 0], ...options },
    // The level in force, its own, of how many instances, and what is left for each priority.
    () => [Math.min(...shares), Math.min(...shares), 1, ...shares],
    () => {},
  )
  t.after(() => made.close())
  return made
}

describe('what is left', () => {
  for (const [priorities, index] of [
    [['normal', 'high'], 0],
    [['low', 'normal'], 1],
    [['bulk', 'interactive'], 1],
    [['a', 'b', 'c'], 1],
    [['alone'], 0],
  ]) {
    test(`for a call that names none of ${priorities}`, (t) => {
      const shares = priorities.map((_, index) => (index + 1) / 10)
      assert.equal(pressure(t, shares, { priorities }).left(undefined), shares[index])
    })
  }

  test('is not less where it is the whole', (t) => {
    const reduced = pressure(t, [0.5, 1], { priorities: ['low', 'high'] })
    assert.deepEqual([reduced.isReduced('low'), reduced.isReduced('high')], [true, false])
  })
})

describe('signals', () => {
  /** What the signals of these options read after each of `times`. */
  function readings(signals, times) {
    return times.map((time) => Object.fromEntries(signals.map(([name, read]) => [name, read(time)])))
  }

  test('are told how long it has been, and how late that is', (t) => {
    const seen = []
    const asked = pressure(t, [1], { signals: [(times) => seen.push(times) && 0] })
    for (const now of [1_000, 1_100, 1_250, 1_300]) asked.tick(now)
    assert.deepEqual(seen.slice(1), [
      { sinceMs: 100, lateMs: 0, isTick: true },
      { sinceMs: 150, lateMs: 50, isTick: true },
      { sinceMs: 50, lateMs: 0, isTick: true },
    ])
  })

  test('are read by calls where no timer has come for two ticks, once a tick', (t) => {
    const seen = []
    let now = 5_000
    t.mock.method(performance, 'now', () => now)
    const asked = pressure(t, [1], { signals: [(times) => seen.push(times) && 0] })
    const decided = []
    const functions = ['isAllowed', 'isAllowedSync', 'check', 'reserve', 'hold']
    const calls = asked.looking({
      ...Object.fromEntries(functions.map((name) => [name, (...given) => decided.push([name, ...given])])),
      peek: 'as it is',
    })
    assert.equal(calls.peek, 'as it is')
    const after = (ms, name) => {
      now += ms
      seen.length = 0
      calls[name]('key', 1)
      return seen
    }
    asked.tick()
    assert.deepEqual(after(199, 'check'), [], 'a timer may be a little late')
    for (const [index, name] of functions.entries()) {
      const ms = index === 0 ? 1 : 100
      const late = { sinceMs: index === 0 ? 200 : 100, lateMs: 100 * (index + 1), isTick: false }
      assert.deepEqual(after(ms, name), [late], name)
      assert.deepEqual(after(0, name), [], 'it was just read')
      if (index < functions.length - 1) continue
      assert.deepEqual(after(99, name), [])
    }
    asked.tick()
    assert.deepEqual(after(150, 'check'), [], 'it has come')
    assert.deepEqual(decided[0], ['check', 'key', 1])
    assert.equal(decided.length, 13)
  })

  test('that call the limiter, and take their time, are not asked from within', (t) => {
    let now = 5_000
    t.mock.method(performance, 'now', () => now)
    let asked = 0
    const signal = () => {
      asked += 1
      now += 500
      calls?.isAllowed('key')
      return 0
    }
    let calls
    const slow = pressure(t, [1], { signals: [signal] })
    calls = slow.looking({ isAllowed: () => true })
    now += 1_000
    asked = 0
    assert.equal(calls.isAllowed('key'), true)
    assert.equal(asked, 1)
    assert.equal(calls.isAllowed('key'), true)
    assert.equal(asked, 2, 'and when it has answered, again')
  })

  test('cpu: what all threads have used since, as a part of what they may', (t) => {
    let used = { user: 0, system: 0 }
    t.mock.method(process, 'cpuUsage', (since = { user: 0, system: 0 }) => ({
      user: used.user - since.user,
      system: used.system - since.system,
    }))
    const { signalsOf } = require('../lib/adaptive/signals.js')
    const { signals } = signalsOf({ signals: ['cpu'], targets: { cpu: 0.5 } })
    const read = (user, system, sinceMs) => {
      used = { user: used.user + user, system: used.system + system }
      return signals[0][1]({ sinceMs })
    }
    assert.equal(read(30_000, 20_000, 100), 1)
    assert.equal(read(100_000, 0, 100), 2)
    assert.equal(read(0, 0, 100), 0)
    assert.equal(read(1_000, 0, 0), 0, 'in no time nothing is known')
  })

  test('eventLoopLag: how late timers are on average since the last reading, or the tick itself', (t) => {
    const delays = { count: 0, mean: NaN, calls: [] }
    for (const name of ['enable', 'disable', 'reset']) delays[name] = () => delays.calls.push(name)
    t.mock.method(perf, 'monitorEventLoopDelay', () => delays)
    const { signalsOf } = anew('../lib/adaptive/signals.js')
    t.after(() => anew('../lib/adaptive/signals.js'))
    const { signals } = signalsOf({ signals: ['eventLoopLag'], targets: { eventLoopLag: '50ms' } })
    assert.deepEqual(readings(signals, [{ lateMs: 100 }]), [{ eventLoopLag: 2 }], 'no timer came at all')
    Object.assign(delays, { count: 10, mean: 10e6 })
    assert.deepEqual(readings(signals, [{ lateMs: 0 }]), [{ eventLoopLag: 0 }], 'each came when it should')
    delays.mean = 35e6
    assert.deepEqual(readings(signals, [{ lateMs: 0 }]), [{ eventLoopLag: 0.5 }])
    assert.deepEqual(delays.calls, ['enable', 'reset', 'reset', 'reset'])
  })

  test('end with what reads them', (t) => {
    const calls = []
    const delays = { count: 0, enable() {}, reset() {}, disable: () => calls.push('disable') }
    t.mock.method(perf, 'monitorEventLoopDelay', () => delays)
    anew('../lib/adaptive/signals.js')
    const { Pressure } = anew('../lib/adaptive/pressure.js')
    t.after(() => ['signals', 'pressure'].forEach((name) => anew(`../lib/adaptive/${name}.js`)))
    new Pressure(
      {},
      () => [1, 1],
      () => {},
    ).close()
    assert.deepEqual(calls, ['disable'])
  })

  test('latency: ten times are enough', () => {
    const latencies = new Latencies()
    for (let count = 1; count <= 9; count += 1) latencies.add(7)
    assert.equal(latencies.read(), 0)
    latencies.add(7)
    assert.equal(latencies.read(), 7)
  })
})

describe('a refusal is due to the reduction', () => {
  const WINDOW = bucketsOf([{ name: 'default', algorithm: 'fixed-window' }])
  const BUCKET = bucketsOf([{ name: 'default', algorithm: 'token-bucket' }])
  const refused = { allowed: false, limit: 2, remaining: 1 }
  const whole = (allowed) => ({ allowed, limit: 10, remaining: 0 })

  test('of a window, where the whole would have allowed it', () => {
    assert.equal(isDueToReduction(refused, whole(true), undefined, WINDOW), true)
    assert.equal(isDueToReduction(refused, whole(false), undefined, WINDOW), false)
  })

  test('of a bucket, where the units that the smaller one lacks leave room in the whole, to the unit', () => {
    // One of two is gone, and so is one of ten.
    assert.equal(isDueToReduction(refused, whole(false), { cost: 9 }, BUCKET), true)
    assert.equal(isDueToReduction(refused, whole(false), { cost: 10 }, BUCKET), false)
    assert.equal(isDueToReduction(refused, whole(false), { upTo: 10 }, BUCKET), true, 'one would have been enough')
  })

  test('by the algorithm of the action, or that of the limiter where it has none of its own', () => {
    const mixed = bucketsOf([
      { name: 'default', algorithm: 'fixed-window' },
      { name: 'default', action: 'upload', algorithm: 'leaky-bucket' },
    ])
    assert.equal(isDueToReduction(refused, whole(false), { action: 'upload' }, mixed), true)
    assert.equal(isDueToReduction(refused, whole(false), { action: 'other' }, mixed), false)
    assert.equal(isDueToReduction(refused, whole(false), { action: 'other' }, BUCKET), true)
  })

  test('of several limits, where that holds of each that has refused', () => {
    const of = (...all) => ({ limits: all.map((allowed, index) => ({ ...refused, name: `${index}`, allowed })) })
    const buckets = bucketsOf(['0', '1'].map((name) => ({ name, algorithm: 'fixed-window' })))
    const isDue = (one, other) => isDueToReduction(one, other, undefined, buckets)
    assert.equal(isDue(of(false, false), of(true, true)), true)
    assert.equal(isDue(of(false, false), of(true, false)), false)
    assert.equal(isDue(of(false, true), of(true, true)), true)
    assert.equal(isDue(of(false, true), of(true, false)), true, 'the other has refused nobody')
  })
})
