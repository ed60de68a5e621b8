/** Alerts: each begins once and ends once, by a clock that the test moves; nothing that is told can hurt the process. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { RateLimiter } from 'distributed-rate-limiter'
import { alert } from 'distributed-rate-limiter/alert'

import { startRedis } from '../scripts/redis.mjs'
import { assertEnded, program, run } from './support/child.mjs'
import { Observed } from './support/observed.mjs'
import { settles, until } from './support/wait.mjs'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

/** A clock that stands still until it is told to go, and looks as often as it was asked to. */
class ManualTime {
  #now = 0
  #timers = new Set()

  now = () => this.#now

  setInterval = (callback, ms) => {
    const timer = { callback, ms, next: this.#now + ms, unref: () => (timer.unreferenced = true) }
    this.#timers.add(timer)
    return timer
  }

  clearInterval = (timer) => this.#timers.delete(timer)

  get timers() {
    return [...this.#timers]
  }

  pass(ms) {
    for (const end = this.#now + ms; this.#now < end;) {
      const next = Math.min(end, ...this.timers.map((timer) => timer.next))
      this.#now = next
      for (const timer of this.timers.filter((timer) => timer.next <= next)) {
        timer.next += timer.ms
        timer.callback()
      }
    }
  }
}

/** A limiter under watch: `decide` and `answer` add to what it has counted, `told` is what the alerts said. */
function watched(options, change) {
  const limiter = new Observed({ allowed: 0, denied: 0, circuit: 'closed', ...change })
  limiter.now.latency = { bounds: [1, 10, 100], counts: [0, 0, 0, 0], sum: 0, count: 0 }
  const time = new ManualTime()
  const told = []
  const end = alert(limiter, { onAlert: (what) => told.push(what), time, ...options })
  const decide = (allowed, denied) => {
    limiter.now = { ...limiter.now, allowed: limiter.now.allowed + allowed, denied: limiter.now.denied + denied }
  }
  const answer = (...counts) => {
    const { bounds, counts: before, sum, count } = limiter.now.latency
    const latency = {
      bounds,
      counts: before.map((number, index) => number + counts[index]),
      sum,
      count: count + counts.reduce((all, number) => all + number),
    }
    limiter.now = { ...limiter.now, latency }
  }
  const states = () => told.map(({ state }) => state)
  return { limiter, time, told, end, decide, answer, states }
}

describe('denyRate', () => {
  test('begins above its bound and ends a fifth below, each told once', () => {
    const { time, told, decide, states } = watched({ denyRate: { above: 0.5, over: '10s' }, name: 'api' })
    const run = (seconds, allowed, denied) => {
      for (let second = 0; second < seconds; second += 1) {
        decide(allowed, denied)
        time.pass(1_000)
      }
    }
    run(30, 100, 0)
    run(30, 50, 50)
    assert.deepEqual(told, [], 'a half is not more than a half')
    run(30, 40, 60)
    assert.deepEqual(states(), ['firing'])
    assert.equal(told[0].alert, 'denyRate')
    assert.equal(told[0].name, 'api')
    assert.equal(told[0].threshold, 0.5)
    assert.ok(told[0].value > 0.5 && told[0].value <= 0.6, `${told[0].value}`)
    run(30, 55, 45)
    assert.deepEqual(states(), ['firing'], 'between both bounds nothing changes')
    run(30, 40, 60)
    assert.deepEqual(states(), ['firing'])
    run(30, 60, 40)
    assert.deepEqual(states(), ['firing', 'resolved'], 'at the lower bound it is over')
    assert.equal(told[1].value, 0.4)
    run(30, 40, 60)
    assert.deepEqual(states(), ['firing', 'resolved', 'firing'])
  })

  test('looks at its time alone, not at all that was ever counted', () => {
    const { time, decide, states } = watched({ denyRate: { above: 0.5, over: '10s' } })
    decide(1_000_000, 0)
    time.pass(60_000)
    decide(1, 9)
    time.pass(1_000)
    assert.deepEqual(states(), ['firing'])
  })

  test('looks at its own time, where another alert looks at a longer one', () => {
    const latency = { above: 50, over: '1h' }
    const { time, decide, states } = watched({ denyRate: { above: 0.5, over: '10s' }, latency })
    decide(1_000_000, 0)
    time.pass(60_000)
    decide(1, 9)
    time.pass(1_000)
    assert.deepEqual(states(), ['firing'])
  })

  test('a bound of its own for the end', () => {
    const { time, decide, states } = watched({ denyRate: { above: 0.5, below: 0.1, over: '10s' } })
    decide(1, 9)
    time.pass(10_000)
    assert.deepEqual(states(), ['firing'])
    decide(8, 2)
    time.pass(11_000)
    decide(8, 2)
    time.pass(1_000)
    assert.deepEqual(states(), ['firing', 'resolved'], 'nothing was decided within the time')
    decide(9, 1)
    time.pass(1_000)
    assert.equal(states().length, 2)
  })

  test('few decisions say nothing', () => {
    const { time, decide, states } = watched({ denyRate: { above: 0.5, over: '10s', atLeast: 100 } })
    decide(0, 99)
    time.pass(5_000)
    assert.deepEqual(states(), [])
    decide(0, 1)
    time.pass(1_000)
    assert.deepEqual(states(), ['firing'])
    time.pass(10_000)
    assert.deepEqual(states(), ['firing', 'resolved'])
  })

  test('what is older than its time is forgotten', async () => {
    const { limiter, time, decide } = watched({ denyRate: { above: 0.5, over: '10s' } })
    const early = new WeakRef(limiter.now)
    decide(1, 0)
    time.pass(60_000)
    const isCollected = () => {
      gc()
      return early.deref() === undefined
    }
    await until(isCollected, 'what was counted a minute ago was collected')
  })

  test('how often it looks', () => {
    for (const [over, every, ms] of [
      ['10s', undefined, 500],
      ['1s', undefined, 100],
      ['1h', undefined, 5_000],
      ['10s', '2s', 2_000],
    ]) {
      const { time } = watched({ denyRate: { above: 0.5, over }, ...(every && { every }) })
      assert.deepEqual(
        time.timers.map((timer) => [timer.ms, timer.unreferenced]),
        [[ms, true]],
      )
    }
  })
})

describe('circuitOpen', () => {
  test('begins when it has been open for long enough, ends when it is closed', () => {
    const { limiter, time, told, states } = watched({ circuitOpen: { for: '10s' } })
    const be = (circuit) => (limiter.now = { ...limiter.now, circuit })
    be('open')
    time.pass(9_000)
    be('half-open')
    time.pass(500)
    be('open')
    time.pass(500)
    assert.deepEqual(states(), [], 'it was first seen after the first look')
    time.pass(500)
    assert.deepEqual(states(), ['firing'])
    assert.deepEqual(told[0], {
      alert: 'circuitOpen',
      state: 'firing',
      value: 10_000,
      threshold: 10_000,
      name: 'default',
    })
    be('half-open')
    time.pass(60_000)
    assert.deepEqual(states(), ['firing'])
    be('closed')
    time.pass(500)
    assert.deepEqual(states(), ['firing', 'resolved'])
  })

  test('a moment is no alert, and what was before it does not count', () => {
    const { limiter, time, states } = watched({ circuitOpen: { for: '10s' } })
    for (let round = 0; round < 5; round += 1) {
      limiter.now = { ...limiter.now, circuit: 'open' }
      time.pass(9_000)
      limiter.now = { ...limiter.now, circuit: 'closed' }
      time.pass(1_000)
    }
    assert.deepEqual(states(), [])
  })

  test('of a real limiter whose Redis is killed, and started anew', { timeout: 30_000 }, async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const limiter = new RateLimiter({ limit: 1, window: '1h', redisUrl: redis.url })
    t.after(() => limiter.close())
    await limiter.ready()
    const time = new ManualTime()
    const told = []
    alert(limiter, { circuitOpen: { for: '10s' }, onAlert: ({ state }) => told.push(state), time })
    await Promise.all([settles(once(limiter, 'storeDown'), 'storeDown'), redis.kill()])
    time.pass(20_000)
    assert.deepEqual(told, ['firing'])
    await Promise.all([settles(once(limiter, 'storeUp'), 'storeUp'), redis.start()])
    time.pass(500)
    assert.deepEqual(told, ['firing', 'resolved'])
  })
})

describe('latency', () => {
  test('the quantile of what was answered within the time', () => {
    const { time, told, answer, states } = watched({ latency: { above: 50, quantile: 0.9, over: '10s' } })
    answer(90, 0, 10, 0)
    time.pass(1_000)
    assert.deepEqual(told, [])
    answer(0, 0, 100, 0)
    time.pass(1_000)
    assert.deepEqual(states(), ['firing'])
    assert.equal(told[0].alert, 'latency')
    // 200 answers, 110 of them within 10 to 100 ms: the 180th is the 90th of these.
    assert.ok(Math.abs(told[0].value - (10 + (90 * 90) / 110)) < 1e-9, `${told[0].value}`)
    time.pass(20_000)
    assert.deepEqual(states(), ['firing', 'resolved'], 'nothing was answered')
    answer(0, 100, 0, 0)
    time.pass(1_000)
    assert.equal(states().length, 2)
  })

  test('looks at its time alone, not at all that was ever answered', () => {
    const { time, answer, states } = watched({ latency: { above: 50, over: '10s' } })
    answer(100_000, 0, 0, 0)
    time.pass(60_000)
    answer(0, 0, 100, 0)
    time.pass(1_000)
    assert.deepEqual(states(), ['firing'])
  })

  test('above the last bound nobody knows how far, and it is told', () => {
    const { time, told, answer } = watched({ latency: { above: 1_000, over: '10s' } })
    answer(0, 0, 0, 5)
    time.pass(1_000)
    assert.equal(told[0].value, Infinity)
  })

  test('few answers say nothing', () => {
    const { time, answer, states } = watched({ latency: { above: 50, over: '10s', atLeast: 10 } })
    answer(0, 0, 0, 9)
    time.pass(1_000)
    assert.deepEqual(states(), [])
    answer(0, 0, 0, 1)
    time.pass(1_000)
    assert.deepEqual(states(), ['firing'])
  })

  test('looks at the 99th of a hundred, unless it is told another', () => {
    const { time, told, answer } = watched({ latency: { above: 50, over: '10s' } })
    answer(98, 0, 2, 0)
    time.pass(1_000)
    assert.deepEqual(
      told.map(({ value }) => value),
      [55],
    )
  })
})

describe('the process', { timeout: 90_000 }, () => {
  const high = { denyRate: { above: 0, over: '10s' } }

  for (const [what, onAlert] of [
    [
      'throws',
      () => {
        throw new Error('the pager is broken')
      },
    ],
    ['rejects', () => Promise.reject(new Error('the pager is broken'))],
  ]) {
    test(`what onAlert ${what} is a warning, and it is told of the next all the same`, async () => {
      let calls = 0
      const { time, decide } = watched({
        ...high,
        onAlert: () => {
          calls += 1
          return onAlert()
        },
      })
      decide(0, 1)
      const warned = once(process, 'warning')
      time.pass(1_000)
      const [warning] = await settles(warned, 'a warning')
      assert.equal(warning.name, 'RateLimiterAlertWarning')
      assert.match(warning.message, /the pager is broken/)
      time.pass(20_000)
      assert.equal(calls, 2)
      await settles(once(process, 'warning'), 'the other warning')
    })
  }

  test('several kinds at once, each for itself', () => {
    const { limiter, time, decide, told } = watched({ ...high, circuitOpen: { for: '1s' } })
    limiter.now = { ...limiter.now, circuit: 'open' }
    decide(0, 1)
    time.pass(5_000)
    assert.deepEqual(told.map(({ alert }) => alert).sort(), ['circuitOpen', 'denyRate'])
  })

  test('ends by its function and by close, and says nothing then', async () => {
    const byFunction = watched(high)
    byFunction.end()
    byFunction.end()
    assert.deepEqual(byFunction.time.timers, [])
    assert.equal(byFunction.limiter.listenerCount('close'), 0)
    const limiter = new RateLimiter({ limit: 1, window: '1h' })
    const time = new ManualTime()
    alert(limiter, { ...high, onAlert: () => assert.fail('it was told'), time })
    await limiter.close()
    await new Promise(setImmediate)
    assert.deepEqual(time.timers, [])
  })

  test('it keeps no process alive', async () => {
    assertEnded(await run(program('alert.mjs'), { within: 60_000 }), 'the program')
  })

  test('a limiter that is dropped can be collected', async () => {
    const time = new ManualTime()
    ;(() => {
      alert(new RateLimiter({ limit: 1, window: '1h' }), { ...high, onAlert: () => {}, time })
    })()
    await until(
      () => {
        gc()
        return time.timers.length === 0
      },
      'the limiter was collected',
      20_000,
    )
  })
})

describe('refused', () => {
  const onAlert = () => {}
  const circuitOpen = { for: '1s' }
  const over = '10s'
  for (const [what, options, code = 'ERR_RATE_LIMIT_OPTION'] of [
    ['no options', undefined],
    ['nobody to tell', { circuitOpen }],
    ['nothing to look at', { onAlert }],
    ['a misspelt option', { onAlert, circuitopen: circuitOpen }, 'ERR_RATE_LIMIT_UNKNOWN_OPTION'],
    ['a misspelt option of an alert', { onAlert, circuitOpen: { fro: '1s' } }, 'ERR_RATE_LIMIT_UNKNOWN_OPTION'],
    ['an alert that is none', { onAlert, circuitOpen: true }],
    ['no time', { onAlert, circuitOpen: {} }],
    ['a time that is none', { onAlert, circuitOpen: { for: 'soon' } }],
    ['no time at all', { onAlert, circuitOpen: { for: 0 } }],
    ['more than a timer can count', { onAlert, circuitOpen: { for: '30d' } }],
    ['no bound', { onAlert, denyRate: { over } }],
    ['more than everything', { onAlert, denyRate: { above: 1, over } }],
    ['an end above the beginning', { onAlert, denyRate: { above: 0.5, below: 0.6, over } }],
    ['no latency', { onAlert, latency: { above: 0, over } }],
    ['a quantile that is none', { onAlert, latency: { above: 1, quantile: 99, over } }],
    ['half a decision', { onAlert, denyRate: { above: 0.5, over, atLeast: 0.5 } }],
    ['an empty name', { onAlert, circuitOpen, name: '' }],
  ]) {
    test(what, () => {
      const limiter = new Observed()
      assert.throws(() => alert(limiter, options), { code })
      assert.equal(limiter.listenerCount('close'), 0)
    })
  }

  test('a name that nobody knows, by it and by those that there are', () => {
    const message = /^`circuitOpen` has no `fro`: did you mean `for`\?$/
    assert.throws(() => alert(new Observed(), { onAlert, circuitOpen: { fro: '1s' } }), { message })
    const names = /^`options` has no `seconds`: it knows denyRate, latency, circuitOpen, onAlert, /
    assert.throws(() => alert(new Observed(), { onAlert, circuitOpen, seconds: 1 }), { message: names })
  })

  test('no limiter', () => assert.throws(() => alert({}, { onAlert, circuitOpen }), { code: 'ERR_RATE_LIMIT_OPTION' }))
})
