/** The live view, on a terminal of any size, in pipes, and of an application; and that the terminal is given back however it ends. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { dashboard } from 'distributed-rate-limiter/dashboard'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { program } from './support/child.mjs'
import { startCli, told } from './support/cli.mjs'
import { peopledRedis } from './support/peopled-redis.mjs'
import { until } from './support/wait.mjs'

const WITHIN = { timeout: 300_000 }
// eslint-disable-next-line no-control-regex
const [ENTERS, LEAVES] = ['\x1b[?1049h\x1b[?25l', '\x1b[?25h\x1b[?1049l']

let limiter
let env
const onTerminal = peopledRedis((given) => ({ limiter, env } = given))

/** The terminal is as it was, and nothing was written too wide for it. */
function assertGivenBack({ terminal, all }) {
  assert.equal(all.split(ENTERS).length, all.split(LEAVES).length, 'it is left as often as it is entered')
  assert.equal(terminal.isAlternate, false)
  assert.equal(terminal.isCursorHidden, false)
  assert.deepEqual(terminal.overflows, [])
}

describe('watch on a terminal', WITHIN, () => {
  test('shows limits, top keys and blocked keys, and is left by q', async () => {
    const running = await onTerminal(['watch', '--every', '100ms'], { env })
    await running.shows('mallory')
    const { terminal } = running
    assert.equal(terminal.isAlternate, true)
    assert.equal(terminal.isCursorHidden, true)
    assert.match(
      terminal.lines[0],
      /^redis:\/\/127\.0\.0\.1:\d+ {2}(Redis|Valkey) \d+\.\d+\S* .* \d\d:\d\d:\d\d {2}q leaves$/,
    )
    assert.match(terminal.text, /^42 keys {2}1 blocked$/m)
    assert.match(terminal.text, /^default +sliding-window +42 +5,680 +1$/m)
    const keys = terminal.lines.filter((line) => /within/.test(line)).map((line) => line.split(/ {2,}/)[0])
    assert.deepEqual(keys.slice(0, 3), ['日本語キー\\x1b[2J', 'user:39', 'user:38'])
    assert.ok(keys.length > 8, 'the room is used')
    // Announced anew within a second, since all keys were removed before.
    await running.shows(/instances 1\b/)
    running.type('q')
    const { code } = await running.ended
    assert.equal(code, 0)
    assertGivenBack(running)
    assert.equal(terminal.text, '', 'what was drawn is gone')
  })

  test('shows what others do, and not what it does itself', async (t) => {
    const running = await onTerminal(['watch', '--every', '100ms'], { env })
    await running.shows(/script calls 0\/s/)
    const stop = new AbortController()
    t.after(() => stop.abort())
    const busy = (async () => {
      for (let at = 0; !stop.signal.aborted; at += 1) await limiter.check(`busy:${at % 5}`)
    })()
    await running.shows(/script calls [1-9][\d,]*(\.\d)?\/s {3}each [\d.,]+ µs .*[▂-█]/)
    await running.shows(/^47 keys/m)
    stop.abort()
    await busy
    running.type('q')
    await running.ended
  })

  test('is drawn anew when the terminal has another size, and fits into any', async () => {
    const running = await onTerminal(['watch', '--every', '100ms'], { env })
    await running.shows('mallory')
    for (const [rows, columns] of [
      [8, 30],
      [50, 160],
      [3, 12],
      [14, 50],
      [1, 5],
      [24, 80],
    ]) {
      const before = running.all.length
      await running.resize(rows, columns)
      // Drawn for the new size, twice: what was on its way may still have been for the old one.
      await until(() => running.all.slice(before).split('\x1b[H').length > 3, `it was drawn for ${rows} × ${columns}`)
      running.terminal.overflows.length = 0
      const from = running.all.length
      await until(() => running.all.slice(from).split('\x1b[H').length > 2, 'it was drawn once more')
      assert.deepEqual(running.terminal.overflows, [], `${rows} × ${columns}`)
      const lines = running.all.slice(from).split('\x1b[H')[1].split('\r\n')
      assert.ok(lines.length <= rows, `${lines.length} lines in ${rows} rows`)
      if (rows === 14)
        assert.match(running.terminal.text, /user:39|日本語/, 'the keys that use most are there in little room')
    }
    running.type('q')
    assert.equal((await running.ended).code, 0)
    assertGivenBack(running)
  })

  for (const [what, leave, code] of [
    ['ctrl-c', ({ type }) => type('\x03'), 0],
    ['SIGINT', ({ signal }) => signal('SIGINT'), 0],
    ['SIGTERM', ({ signal }) => signal('SIGTERM'), 143],
    ['SIGHUP', ({ signal }) => signal('SIGHUP'), 129],
  ]) {
    test(`is given back after ${what}`, async () => {
      const running = await onTerminal(['watch'], { env })
      await running.shows('mallory')
      leave(running)
      assert.equal((await running.ended).code, code)
      assertGivenBack(running)
    })
  }

  test('is given back when the program crashes, and the reason stands on it', async () => {
    const nodeArgs = ['--require', program('crash-later.cjs')]
    const running = await onTerminal(['watch'], { env, nodeArgs })
    const { code } = await running.ended
    assert.equal(code, 1)
    assertGivenBack(running)
    assert.match(running.terminal.text, /nobody has foreseen this/)
  })

  test('is given back while it is suspended, and taken again after it', async () => {
    const running = await onTerminal(['watch', '--every', '100ms'], { env, underShell: true })
    await running.shows('mallory')
    running.type('\x1a')
    await until(() => running.all.includes('it stands still'), 'it stood still', 20_000)
    const [before] = running.all.split('it stands still')
    assert.ok(before.includes(LEAVES), 'the terminal was given back')
    await until(() => running.terminal.isAlternate, 'the terminal was taken again', 20_000)
    await running.shows('mallory')
    running.type('q')
    assert.equal((await running.ended).code, 0)
    assertGivenBack(running)
  })

  test('goes on where nobody could have it go on', async () => {
    const running = await onTerminal(['watch', '--every', '100ms'], { env })
    await running.shows('mallory')
    running.type('\x1a')
    await until(() => running.all.split(ENTERS).length === 3, 'the terminal was taken again', 20_000)
    running.type('q')
    assert.equal((await running.ended).code, 0)
    assertGivenBack(running)
  })

  test('says that Redis is away, and goes on when it is back', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    await redisCommand(own.port, 'SET', 'rl:default:sliding-window:foreign', 'x')
    const running = await onTerminal(['watch', '--every', '50ms'], { env: { REDIS_URL: own.url } })
    await running.shows('1 foreign')
    await own.kill()
    await running.shows(/(cannot be reached|closed the connection).*: trying again/)
    assert.match(running.terminal.text, /1 foreign/, 'what was known is still shown')
    await own.restart()
    await running.shows(/^0 keys/m)
    assert.doesNotMatch(running.terminal.text, /trying again/)
    running.type('q')
    assert.equal((await running.ended).code, 0)
    assertGivenBack(running)
  })

  test('never takes the screen where nothing can be shown', async () => {
    const running = await onTerminal(['watch'], { env: { REDIS_URL: 'redis://127.0.0.1:1' } })
    const { code, all } = await running.ended
    assert.equal(code, 1)
    assert.doesNotMatch(all, /\?1049h/)
    assert.match(running.terminal.text, /cannot be reached/)
  })
})

describe('watch elsewhere', WITHIN, () => {
  test('prints a line each time, or an object', async () => {
    const { code, stdout } = await told(['watch', '--count', '2', '--every', '20ms'], { env })
    assert.equal(code, 0)
    const [first, second, ...rest] = stdout.trimEnd().split('\n')
    assert.deepEqual(rest, [])
    assert.match(
      first,
      /^\d\d:\d\d:\d\d memory .*, evicted 0, instances \d+, keys 42, blocked 1, most used 日本語キー\\x1b\[2J \(900\)$/,
    )
    assert.match(second, /^\d\d:\d\d:\d\d script calls [\d.]+\/s, /)
    const json = await told(['watch', '--count', '2', '--every', '20ms', '--json'], { env })
    const objects = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.equal(objects.length, 2)
    const [{ keys, blockedKeys, limits, top, blocked, isWhole }] = objects
    assert.deepEqual([keys, blockedKeys, isWhole, limits[0].used], [42, 1, true, 5_680])
    assert.deepEqual([top[0].used, top[1].key, blocked[0].key], [900, 'user:39', 'mallory'])
  })

  test('ends well after ctrl-c', async () => {
    const running = startCli(['watch', '--json', '--every', '50ms'], { env })
    await until(() => running.said.stdout.includes('\n'), 'it has begun', 20_000)
    const { code, stderr } = await running.stop('SIGINT')
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  })
})

describe('watch of an application', WITHIN, () => {
  const month = { calendar: 'month', timeZone: 'Asia/Tokyo' }
  const POLICIES = [
    { name: 'default', algorithm: 'sliding-window', limit: 100, windowMs: 60_000 },
    { name: 'quota', algorithm: 'fixed-window', limit: 9, windowMs: 28 * 86_400_000, window: month },
  ]
  const state = (allowed) => ({
    ...{ allowed, denied: 7, allowedRate: 1_234.4, deniedRate: 12, p50: 0.41, p99: 2.5, slowest: 1_000 },
    sources: [
      { name: 'redis', count: 5, rate: 1_200 },
      { name: 'lease', count: 0, rate: 0 },
    ],
    limits: [
      { name: 'default', allowed, denied: 7, allowedRate: 1_234.4, deniedRate: 12 },
      { name: 'quota', allowed: 2, denied: 0, allowedRate: 1, deniedRate: 0 },
    ],
    actions: [{ name: 'up\x1bload', allowed: 3, denied: 0, allowedRate: 0.2, deniedRate: 0 }],
    topDenied: [{ key: 'mallory\u202e', denied: 5 }],
    ...{ store: 'up', circuit: 'closed', storeErrors: 0, pending: 3 },
    point: { at: 1, allowed: 1_234, denied: 12, p50: 0.41, p99: 2.5 },
  })
  const event = (name, data) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

  /** What speaks as a dashboard does: `serve(req, res)` goes on after the head. */
  async function dashboardOf(t, serve) {
    const server = createServer(serve)
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => (server.closeAllConnections(), server.close()))
    return `http://127.0.0.1:${server.address().port}/limits`
  }
  const begin = (res, allowed) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    const hello = event('hello', { title: 'My limits', limiters: [{ name: 'api', policies: POLICIES, points: [] }] })
    const whole = `retry: 2000\n\n${hello}${event('state', { at: 1, limiters: { api: state(allowed) } })}`
    // In two pieces, cut in the midst of an event.
    res.write(whole.slice(0, 100))
    setImmediate(() => res.write(whole.slice(100)))
  }

  test('shows what it decides, and goes on when the stream has ended', async (t) => {
    const asked = []
    const streams = []
    const url = await dashboardOf(t, (req, res) => {
      asked.push([req.url, req.headers.authorization, req.headers['x-tenant']])
      streams.push(res)
      begin(res, 40 + streams.length)
    })
    const login = url.replace('http://', 'http://me:hunter2@')
    const running = await onTerminal(['watch', '--url', login, '--header', 'X-Tenant: t1', '--every', '50ms'])
    await running.shows('mallory')
    const { terminal } = running
    assert.match(terminal.lines[0], /^My limits {2}http:\/\/127\.0\.0\.1:\d+\/limits .*q leaves$/)
    assert.match(terminal.text, /^allowed 1,234\/s/m)
    assert.match(terminal.text, /store up {3}circuit closed {3}p50 0\.41 ms {3}p99 2\.50 ms {3}waiting 3/)
    assert.match(terminal.text, /^default {2}100 in 1 min +41 +7 +1,234\/s +12\/s$/m)
    assert.match(terminal.text, /^quota {2}9 a month in Asia\/Tokyo +2 +0 /m)
    assert.match(terminal.text, /^@ up\\x1bload +3 +0 +0\.2\/s +0\/s$/m)
    assert.match(terminal.text, /^mallory\\u\{202e\} +5$/m)
    streams[0].end(event('end', {}))
    await running.shows(/100 in 1 min +42 /)
    running.type('q')
    assert.equal((await running.ended).code, 0)
    assertGivenBack(running)
    assert.doesNotMatch(running.all, /hunter2/)
    const wanted = ['/limits/events', `Basic ${Buffer.from('me:hunter2').toString('base64')}`, 't1']
    assert.deepEqual(asked, [wanted, wanted])
  })

  test('shows what a dashboard tells of a limiter', async (t) => {
    const api = new RateLimiter({ limit: 3, window: '1h' })
    t.after(() => api.close())
    for (let call = 0; call < 10; call += 1) await api.isAllowed('mallory')
    const serve = dashboard({ api }, { open: true, path: '/limits' })
    const url = await dashboardOf(t, serve)
    const running = await onTerminal(['watch', '--url', url, '--every', '50ms'])
    await running.shows('mallory')
    const { text } = running.terminal
    assert.match(text, /store none {3}circuit none/)
    assert.match(text, /^default {2}3 in 1 h\w* +3 +7 /m)
    assert.match(text, /^mallory +7$/m)
    running.type('q')
    assert.equal((await running.ended).code, 0)
  })

  test('prints lines and objects', async (t) => {
    const url = await dashboardOf(t, (req, res) => begin(res, 1))
    const line = await told(['watch', '--url', url, '--count', '1'])
    assert.match(
      line.stdout,
      /^\d\d:\d\d:\d\d allowed 1,234\/s, denied 12\/s, p99 2\.50 ms, store up, circuit closed\n$/,
    )
    const json = JSON.parse((await told(['watch', '--url', url, '--count', '1', '--json'])).stdout)
    assert.equal(json.limiters.api.denied, 7)
  })

  for (const [what, serve, said] of [
    [
      'nobody may look',
      (req, res) => res.writeHead(401).end(),
      /does not let anybody look \(401\): put a user and a password/,
    ],
    [
      'there is another page',
      (req, res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
      /is no dashboard of a limiter \(200\): is its path right/,
    ],
    ['there is no page', (req, res) => res.writeHead(404).end(), /is no dashboard of a limiter \(404\)/],
    [
      'the stream says nothing of a limiter',
      (req, res) => res.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: 1\n\n'),
      /is no dashboard|has ended/,
    ],
    [
      'one is sent elsewhere',
      (req, res) => res.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      /cannot be reached/,
    ],
  ]) {
    test(`says so where ${what}`, async (t) => {
      const url = await dashboardOf(t, serve)
      const { code, stderr } = await told(['watch', '--url', url.replace('http://', 'http://me:hunter2@')])
      assert.equal(code, 1)
      assert.match(stderr, said)
      assert.doesNotMatch(stderr, /hunter2|^ +at /m)
    })
  }
})
