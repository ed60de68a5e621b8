/** What the dashboard tells those who watch: streams, their one timer, and the arithmetic of what they say. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { dashboard } from 'distributed-rate-limiter/dashboard'

import { roundUp } from '../monitoring/dashboard/page/chart.mjs'
import * as format from '../monitoring/dashboard/page/format.mjs'
import { ask, atEnd, NASTY, serve, watch } from './support/dashboard.mjs'
import { settles, until } from './support/wait.mjs'

const require = createRequire(import.meta.url)
const { Feed } = require('../monitoring/dashboard/feed.js')
const { quantile, since } = require('../monitoring/dashboard/histogram.js')
const { Trace } = require('../monitoring/dashboard/trace.js')

function limiterOf(t, options) {
  const limiter = new RateLimiter({ limit: 5, window: '1h', ...options })
  atEnd(t, () => limiter.close())
  return limiter
}

describe('streams', { timeout: 60_000 }, () => {
  test('tell what is decided, to all who watch; a limiter that closes is told of no more, the last one ends them', async (t) => {
    const [api, login] = [limiterOf(t, { limit: 2 }), limiterOf(t)]
    const page = dashboard({ api, login }, { open: true, title: 'Mine' })
    const port = await serve(t, page)
    const [one, other] = [await watch(t, port, '/events'), await watch(t, port, '/events')]
    const { title, admin, pid, limiters } = await one.next('hello')
    assert.deepEqual(
      [title, admin, pid, limiters.map(({ name }) => name)],
      ['Mine', false, process.pid, ['api', 'login']],
    )
    for (let call = 0; call < 5; call += 1) await api.check(NASTY[5])
    for (const { next } of [one, other]) {
      const find = async () => {
        const { limiters } = await next('state')
        return limiters.api.denied === 3 && limiters.api
      }
      const state = await until(find, 'it was told')
      assert.deepEqual([state.allowed, state.denied], [2, 3])
      assert.deepEqual(state.topDenied, [{ key: NASTY[5], denied: 3 }])
      assert.ok(state.deniedRate > 0)
      assert.ok(state.point.denied >= 0 && state.point.at > 0)
    }
    await api.close()
    await until(async () => !('api' in (await one.next('state')).limiters), 'it is gone')
    await login.close()
    await one.next('end')
    await Promise.all([one.ended(), other.ended()])
    assert.equal((await ask(port, '/events')).status, 503)
  })

  test('`close` of the page ends them, and a server with it', async (t) => {
    const page = dashboard(limiterOf(t), { open: true })
    const server = createServer(page)
    const port = await serve(t, server)
    const { ended } = await watch(t, port, '/events')
    page.close()
    page.close()
    await ended()
    await settles(new Promise((resolve) => server.close(resolve)), 'closing')
  })

  test('a later viewer is told what was before', async (t) => {
    const port = await serve(t, dashboard(limiterOf(t), { open: true }))
    const one = await watch(t, port, '/events')
    await until(async () => (await one.next('state')).limiters.limiter.point, 'there is a point')
    const other = await watch(t, port, '/events')
    assert.ok((await other.next('hello')).limiters[0].points.length > 0)
  })

  test('so many at most', async (t) => {
    const port = await serve(t, dashboard(limiterOf(t), { open: true }))
    const viewers = []
    for (let viewer = 0; viewer < 64; viewer += 1) viewers.push(await watch(t, port, '/events'))
    assert.equal((await ask(port, '/events')).status, 503)
    viewers[0].leave()
    await until(async () => {
      const another = await watch(t, port, '/events')
      another.leave()
      return another.status === 200
    }, 'there is room again')
  })
})

describe('the timer', () => {
  /** A feed on a clock that the test moves, and how often its limiter was read. */
  function feedOf(t) {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const limiter = limiterOf(t)
    const reads = t.mock.method(limiter, 'stats')
    let now = 0
    const feed = new Feed(new Map([['limiter', limiter]]), {}, () => now)
    const tick = (seconds) => {
      for (let second = 0; second < seconds; second += 1) {
        now += 1_000
        t.mock.timers.tick(1_000)
      }
    }
    return { feed, limiter, tick, reads: () => reads.mock.callCount() }
  }

  /** A response that is read, or not. */
  function viewerOf({ reads = true } = {}) {
    const viewer = new PassThrough({ highWaterMark: 4_096 })
    viewer.text = ''
    if (reads) viewer.on('data', (chunk) => (viewer.text += chunk))
    return viewer
  }

  const left = (viewer) => new Promise((resolve) => viewer.once('close', resolve).destroy())

  test('does not run while nobody looks, is one for all, and stops with the last of them', async (t) => {
    const { feed, tick, reads } = feedOf(t)
    tick(5)
    assert.equal(reads(), 0, 'nobody looks')
    const [one, other] = [viewerOf(), viewerOf()]
    feed.add(one)
    feed.add(other)
    assert.equal(reads(), 1)
    tick(3)
    assert.equal(reads(), 4, 'once a second, however many look')
    await left(one)
    tick(2)
    assert.equal(reads(), 6)
    await left(other)
    tick(5)
    assert.equal(reads(), 6, 'nobody looks any more')
    feed.add(viewerOf())
    assert.equal(reads(), 7)
    feed.close()
    tick(5)
    assert.equal(reads(), 7, 'it is closed')
  })

  test('whoever has left before they were let in is not waited for', async (t) => {
    const { feed, reads } = feedOf(t)
    const viewer = viewerOf()
    await left(viewer)
    feed.add(viewer)
    assert.deepEqual([feed.viewers, reads()], [0, 0])
  })

  test('does not keep a process alive', (t) => {
    const timer = { unref: t.mock.fn() }
    t.mock.method(globalThis, 'setInterval', () => timer)
    const feed = new Feed(new Map([['limiter', limiterOf(t)]]), {})
    feed.add(viewerOf())
    assert.equal(timer.unref.mock.callCount(), 1)
  })

  test('whoever does not read is sent no more than it can hold, and the others are', async (t) => {
    const { feed, tick } = feedOf(t)
    const [stuck, reading] = [viewerOf({ reads: false }), viewerOf()]
    feed.add(stuck)
    feed.add(reading)
    for (let second = 0; second < 100; second += 1) {
      tick(1)
      await new Promise(setImmediate)
    }
    assert.ok(
      stuck.writableLength + stuck.readableLength < 20_000,
      `${stuck.writableLength + stuck.readableLength} bytes`,
    )
    assert.equal(reading.text.match(/^event: state$/gm).length, 101)
  })

  test('a stream ends after five minutes, so that who may look is asked anew', async (t) => {
    const { feed, tick } = feedOf(t)
    const viewer = viewerOf()
    feed.add(viewer)
    tick(299)
    assert.equal(viewer.writableEnded, false)
    tick(1)
    assert.equal(viewer.writableEnded, true)
  })
})

describe('what is told', () => {
  const bounds = [1, 2, 4]
  const histogram = (...counts) => ({ bounds, counts, count: counts.reduce((sum, count) => sum + count, 0), sum: 0 })

  test('quantiles lie in their bucket, and above all bounds there is no more than the last', () => {
    assert.equal(quantile(histogram(0, 0, 0, 0), 0.5), null)
    assert.equal(quantile(histogram(100, 0, 0, 0), 0.5), 0.5)
    assert.equal(quantile(histogram(50, 50, 0, 0), 0.5), 1)
    assert.equal(quantile(histogram(50, 0, 50, 0), 0.5), 1)
    assert.equal(quantile(histogram(50, 0, 50, 0), 0.75), 3)
    assert.equal(quantile(histogram(98, 0, 0, 2), 0.99), 4)
    assert.equal(quantile(histogram(0, 0, 1, 0), 0), 2)
    assert.equal(quantile(histogram(1, 1, 1, 0), 1), 4)
  })

  test('what a histogram has counted between two readings', () => {
    assert.deepEqual(since(histogram(1, 2, 3, 4), histogram(1, 3, 3, 6)).counts, [0, 1, 0, 2])
    assert.equal(since(histogram(1, 2, 3, 4), histogram(1, 3, 3, 6)).count, 3)
  })

  /** Readings of a real limiter's shape, with these counters. */
  function statsOf(t, { allowed, denied = 0, latency = [0, 0, 0, 0] }) {
    const limits = { default: { allowed, denied } }
    return { ...limiterOf(t).stats(), allowed, denied, limits, latency: histogram(...latency) }
  }

  test('rates are those of the last ten seconds, points those of the last one', (t) => {
    const trace = new Trace()
    trace.read(statsOf(t, { allowed: 1_000 }), 0, 0)
    assert.deepEqual([trace.points, trace.state.allowedRate], [[], null], 'nothing is known of before')
    trace.read(statsOf(t, { allowed: 1_010, latency: [10, 0, 0, 0] }), 1_000, 1_000)
    trace.read(statsOf(t, { allowed: 1_040, denied: 6, latency: [10, 30, 0, 0] }), 3_000, 3_000)
    assert.deepEqual(
      trace.points.map(({ at, allowed, denied }) => [at, allowed, denied]),
      [
        [1_000, 10, 0],
        [3_000, 15, 3],
      ],
    )
    assert.equal(trace.state.allowedRate, 40 / 3)
    assert.equal(trace.state.limits[0].deniedRate, 2)
    assert.ok(trace.state.p50 > 1 && trace.state.p50 < 2)
    for (let second = 4; second <= 14; second += 1) trace.read(statsOf(t, { allowed: 1_040 }), second * 1_000, 0)
    assert.equal(trace.state.allowedRate, 0, 'what was before the last ten seconds')
  })

  test('what was not watched is not drawn, nor averaged', (t) => {
    const trace = new Trace()
    trace.read(statsOf(t, { allowed: 0 }), 0, 0)
    trace.read(statsOf(t, { allowed: 5 }), 1_000, 1_000)
    trace.read(statsOf(t, { allowed: 9_000 }), 60_000, 60_000)
    assert.deepEqual([trace.points.length, trace.state.allowedRate], [1, null])
    trace.read(statsOf(t, { allowed: 9_007 }), 61_000, 61_000)
    assert.deepEqual([trace.points.at(-1).allowed, trace.state.allowedRate], [7, 7])
  })

  test('five minutes are kept', (t) => {
    const trace = new Trace()
    for (let second = 0; second < 400; second += 1) trace.read(statsOf(t, { allowed: second }), second * 1_000, second)
    assert.deepEqual([trace.points.length, trace.points[0].at], [300, 100])
  })

  test('as people read it', () => {
    const table = [
      [format.rate(null), '–'],
      [format.rate(0), '0'],
      [format.rate(0.01), '< 0.1'],
      [format.rate(3.04), '3.0'],
      [format.rate(1234.5), '1,235'],
      [format.rate(250_000), '250K'],
      [format.percent(0, 0), '–'],
      [format.percent(1, 8), '12.5%'],
      [format.percent(1, 100_000), '< 0.1%'],
      [format.percent(99_999, 100_000), '> 99.9%'],
      [format.percent(5, 5), '100%'],
      [format.latency(0.123), '0.12 ms'],
      [format.latency(4.56), '4.6 ms'],
      [format.latency(120.4), '120 ms'],
      [format.latency(1_500), '1.5 s'],
      [format.latency(4, 4), '> 4 ms'],
      [format.duration(0.5), '0.5 ms'],
      [format.duration(1_001), '1.1 s'],
      [format.duration(59_901), '1 min'],
      [format.duration(60_000), '1 min'],
      [format.duration(3_599_001), '1 h'],
      [format.duration(5_400_000), '1 h 30 min'],
      [format.duration(86_400_000), '1 d'],
      [format.bytes(0), '0 B'],
      [format.bytes(1_536), '1.5 KiB'],
      [format.bytes(50_000_000), '48 MiB'],
      [format.policy({ limit: 5, windowMs: 60_000, burst: 9 }), '5 in 1 min, burst 9'],
      [
        format.policy({ limit: 5, windowMs: 1, window: { calendar: 'month', timeZone: 'Asia/Tokyo' } }),
        '5 a month in Asia/Tokyo',
      ],
      [
        format.policy({ limit: 1_000, windowMs: 500, burst: { extra: 2, windowMs: 1_000 } }),
        '1,000 in 500 ms, 2 more in 1 s',
      ],
    ]
    for (const [shown, expected] of table) assert.equal(shown, expected)
    assert.deepEqual([1, 1.2, 5, 70, 100, 3_001].map(roundUp), [1, 2, 6, 80, 100, 4_000])
  })

  test('a key is bounded, and what cannot be seen in it is spelt out', () => {
    assert.equal(format.shownKey('user:1'), 'user:1')
    assert.equal(format.shownKey('a\u202Eb\u0000\n\ud800'), 'a\\u{202e}b\\u{0}\\u{a}\\u{d800}')
    const long = format.shownKey(`${'a'.repeat(500)}${'b'.repeat(500)}`)
    assert.match(long, /^a{45}…b{18}$/)
    assert.deepEqual(['user:1', 'a…', `${'a'.repeat(256)}…`, 'a\ufffd'].map(format.isWhole), [true, true, false, false])
    assert.ok([...format.shownKey('😀'.repeat(500))].length <= 64)
  })
})
