/** What the middleware promises, on every framework, over real HTTP: each behaviour once, run on all of them. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { byHeader } from 'distributed-rate-limiter/keys'
import { parseList } from 'structured-headers'

import { frameworks, start } from './support/frameworks.mjs'
import { get } from './support/http.mjs'
import { hourly } from './support/stores.mjs'
import { settles, until } from './support/wait.mjs'

const PROBLEM = 'https://iana.org/assignments/http-problem-types#quota-exceeded'

const statuses = async (port, paths, headers) => {
  const seen = []
  for (const path of paths) seen.push((await get(port, path, headers)).status)
  return seen
}

/** A request whose client can hang up. */
function ask(port, path) {
  const asked = request({ host: '127.0.0.1', port, path, agent: false })
  asked.on('error', () => {})
  asked.end()
  return asked
}

/** Warnings of ours that the process emits until the test ends. */
function warningsOf(t) {
  const seen = []
  const listen = (warning) => void (warning.name === 'RateLimitWarning' && seen.push(warning.code))
  process.on('warning', listen)
  t.after(() => process.off('warning', listen))
  return seen
}

for (const framework of frameworks) {
  const { header, socketOf, deny } = framework
  // Nest puts texts into JSON of its own.
  const isNest = framework.name.startsWith('nest')
  const text = (body) => (isNest ? JSON.parse(body).message : body)

  describe(framework.name, { timeout: 60_000 }, () => {
    test('counts by address, and refuses with headers and problem details', async (t) => {
      const { port } = await start(t, framework, { limiter: hourly(t, { limit: 2 }) })
      for (const remaining of [1, 0]) {
        const { status, headers, body } = await get(port)
        assert.deepEqual([status, body], [200, 'hello'])
        assert.equal(headers['ratelimit-policy'], '"default";q=2;w=3600')
        assert.match(headers.ratelimit, new RegExp(`^"default";r=${remaining};t=3600$`))
        assert.equal(headers['retry-after'], undefined)
      }
      const { status, headers, body } = await get(port, '/again')
      assert.equal(status, 429)
      assert.match(headers['content-type'], /^application\/problem\+json/)
      const problem = JSON.parse(body)
      const seconds = Number(headers['retry-after'])
      assert.ok(seconds >= 3590 && seconds <= 3600, headers['retry-after'])
      assert.deepEqual(problem, {
        type: PROBLEM,
        title: 'Too many requests',
        status: 429,
        detail: `Try again in ${seconds} s.`,
        'violated-policies': ['default'],
      })
      const [[name, parameters]] = parseList(headers.ratelimit)
      assert.deepEqual([name, parameters.get('r'), parameters.get('t')], ['default', 0, seconds])
    })

    test('writes its headers also to responses that are made anew, and to errors', async (t) => {
      const { port } = await start(t, framework, { limiter: hourly(t, { limit: 3 }) })
      assert.match((await get(port, '/again')).headers.ratelimit, /^"default";r=2;/)
      const { status, headers } = await get(port, '/throw')
      assert.equal(status, 500)
      assert.match(headers.ratelimit, /^"default";r=1;/)
    })

    test('says a refusal as a text to whom would rather read one', async (t) => {
      const { port } = await start(t, framework, { limiter: hourly(t) })
      await get(port)
      const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
      const { status, headers, body } = await get(port, '/', { accept: browser })
      assert.equal(status, 429)
      assert.match(headers['content-type'], isNest ? /^application\/json/ : /^text\/plain/)
      assert.match(text(body), /^Too many requests\. Try again in \d+ s\.\n$/)
      for (const accept of ['application/json', '*/*', 'text/html;q=0.5, application/json', 'text/;;,,=', '']) {
        assert.match((await get(port, '/', { accept })).headers['content-type'], /^application\/problem/, accept)
      }
    })

    test('says what the application says, by a text, an object, a function, and with its status', async (t) => {
      const own = [
        ['slow down', /./, (body) => assert.equal(text(body), 'slow down')],
        [{ error: 'slow' }, /^application\/json/, (body) => assert.deepEqual(JSON.parse(body), { error: 'slow' })],
        [
          (asked, { retryAfter, violated }) => ({ path: header(asked, 'x-path'), known: retryAfter > 0, violated }),
          /^application\/json/,
          (body) => assert.deepEqual(JSON.parse(body), { path: 'p', known: true, violated: ['default'] }),
        ],
        [
          async () => ({ type: 'about:blank', title: 'No' }),
          /^application\/problem\+json/,
          (body) => assert.equal(JSON.parse(body).title, 'No'),
        ],
        [() => undefined, /^application\/problem\+json/, (body) => assert.equal(JSON.parse(body).status, 503)],
      ]
      for (const [message, type, check] of own) {
        const { port } = await start(t, framework, { limiter: hourly(t), message, status: 503 })
        await get(port)
        const { status, headers, body } = await get(port, '/', { 'x-path': 'p' })
        assert.equal(status, 503)
        assert.match(headers['content-type'], type)
        check(body)
      }
    })

    test('leaves a refusal to onDenied', async (t) => {
      const { port } = await start(t, framework, { limiter: hourly(t), onDenied: deny })
      await get(port)
      const { status, headers, body } = await get(port)
      assert.equal(status, 429)
      assert.equal(text(body), `own ${headers['retry-after']}`)
    })

    test('skips, and lets a cost of nothing pass without counting it', async (t) => {
      const limiter = hourly(t, { limit: 5 })
      const { port } = await start(t, framework, {
        limiter,
        skip: async (asked) => header(asked, 'x-skip') === 'yes',
        cost: (asked) => Number(header(asked, 'x-cost') || 1),
      })
      const skipped = await get(port, '/', { 'x-skip': 'yes' })
      assert.deepEqual([skipped.status, skipped.headers.ratelimit], [200, undefined])
      const free = await get(port, '/', { 'x-cost': '0' })
      assert.deepEqual([free.status, free.headers.ratelimit], [200, undefined])
      const { headers } = await get(port, '/', { 'x-cost': '4' })
      assert.match(headers.ratelimit, /^"default";r=1;/)
      assert.match(headers['ratelimit-policy'], /^"default";q=5;qu="units";w=3600$/)
      assert.equal((await get(port, '/', { 'x-cost': '2' })).status, 429)
      assert.equal((await get(port)).status, 200, 'what was refused took nothing')
    })

    test('counts each action apart, with its own limit where it has one', async (t) => {
      const limiter = hourly(t, { limit: 2, actions: { download: { limit: 1, window: '1m' } } })
      const { port } = await start(t, framework, { limiter, action: (asked) => header(asked, 'x-action') || undefined })
      const as = (action) => get(port, '/', { 'x-action': action })
      const first = await as('download')
      assert.equal(first.headers['ratelimit-policy'], '"download";q=1;w=60')
      assert.match(first.headers.ratelimit, /^"download";r=0;/)
      const refused = await as('download')
      assert.equal(refused.status, 429)
      assert.deepEqual(JSON.parse(refused.body)['violated-policies'], ['download'])
      assert.equal((await as('upload')).headers['ratelimit-policy'], '"default";q=2;w=3600')
      assert.match((await get(port)).headers.ratelimit, /^"default";r=1;/)
    })

    test('counts only what fails, or only what does not', async (t) => {
      for (const [countOnly, given, kept] of [
        ['failed', ['/', '/', '/'], ['/status/401', '/status/500', '/']],
        ['successful', ['/status/500', '/status/404', '/status/500'], ['/', '/', '/status/500']],
      ]) {
        const limiter = hourly(t, { limit: 2 })
        const { port } = await start(t, framework, { limiter, countOnly, key: () => 'somebody' })
        for (const path of given) {
          const { status } = await get(port, path)
          assert.notEqual(status, 429, `${countOnly}: ${path}`)
          await until(async () => (await limiter.peek('somebody')).remaining === 2, 'the unit was given back')
        }
        const seen = await statuses(port, kept)
        assert.deepEqual(seen.at(-1), 429, `${countOnly}: ${seen}`)
        assert.ok(!seen.slice(0, -1).includes(429), `${countOnly}: ${seen}`)
      }
    })

    test('gives back nothing to who hangs up before the response', async (t) => {
      for (const countOnly of ['failed', 'successful']) {
        const limiter = hourly(t, { limit: 5 })
        let hungUp
        const key = (asked) => {
          hungUp ??= once(socketOf(asked), 'close')
          return 'somebody'
        }
        const { port, waiting } = await start(t, framework, { limiter, countOnly, key, cost: 2 })
        const asked = ask(port, '/wait')
        await until(() => waiting.asked === 1, 'the application was asked')
        asked.destroy()
        await settles(hungUp, 'the connection')
        waiting.release()
        // One that comes after it, and whose unit is given back or kept: by then the other's has been decided on.
        await get(port, countOnly === 'failed' ? '/' : '/status/500')
        await until(async () => (await limiter.peek('somebody')).remaining === 3, 'only the second was given back')
      }
    })

    test('queues, and refuses who would wait for too long', async (t) => {
      const limiter = hourly(t, { algorithm: 'token-bucket', limit: 20, window: '1s', burst: 1 })
      const { port } = await start(t, framework, { limiter, queue: { maxWait: '10s' } })
      const answers = await Promise.all(Array.from({ length: 4 }, () => get(port)))
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 200, 200],
      )
      const impatient = hourly(t)
      const { port: other } = await start(t, framework, { limiter: impatient, queue: { maxWait: 1 } })
      assert.deepEqual(await statuses(other, ['/', '/']), [200, 429])
    })

    test('who leaves the queue takes nothing, and those behind move up', async (t) => {
      const limiter = hourly(t, { limit: 1 })
      const key = 'somebody'
      const { port, waiting } = await start(t, framework, { limiter, queue: { maxWait: '1d' }, key: () => key })
      let acquiring = 0
      const { acquire } = limiter
      limiter.acquire = (...call) => {
        acquiring += 1
        const answer = acquire.apply(limiter, call)
        const end = () => (acquiring -= 1)
        answer.then(end, end)
        return answer
      }
      await limiter.check(key)
      const asked = ask(port, '/wait')
      await until(() => acquiring === 1, 'it waits')
      asked.destroy()
      await until(() => acquiring === 0, 'it has left')
      assert.equal(waiting.asked, 0, 'the application was not asked')
      await limiter.reset(key)
      assert.equal((await get(port)).status, 200)
    })

    test('a leaky bucket lets requests leave in turn, and who goes meanwhile gives its place back', async (t) => {
      const limiter = hourly(t, { algorithm: 'leaky-bucket', limit: 1, window: '1h', burst: 5 })
      const key = 'somebody'
      const { port, waiting } = await start(t, framework, { limiter, key: () => key })
      assert.equal((await get(port)).status, 200)
      const refunds = []
      const { refund } = limiter
      limiter.refund = (...call) => {
        refunds.push(call)
        return refund.apply(limiter, call)
      }
      const asked = ask(port, '/wait')
      await until(async () => (await limiter.peek(key)).remaining === 4, 'it has a place')
      asked.destroy()
      await until(() => refunds.length === 1, 'it gave it back')
      assert.deepEqual(refunds[0].slice(0, 2), [key, 1])
      assert.equal(waiting.asked, 0, 'an hour has not passed')

      const quick = hourly(t, { algorithm: 'leaky-bucket', limit: 20, window: '1s', burst: 5 })
      const { port: other } = await start(t, framework, { limiter: quick })
      const answers = await Promise.all([get(other), get(other), get(other)])
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 200],
      )
    })

    test('hands errors to the error handler of the framework', async (t) => {
      const codeOf = async (options) => {
        const { port } = await start(t, framework, options)
        const { status, body } = await settles(get(port), 'an answer')
        assert.equal(status, 500)
        return JSON.parse(body).code
      }
      const limiter = hourly(t)
      const own = Object.assign(new Error('no'), { code: 'OWN' })
      const throwing = () => {
        throw own
      }
      assert.equal(await codeOf({ limiter, key: throwing }), 'OWN')
      assert.equal(await codeOf({ limiter, key: () => Promise.reject(own) }), 'OWN')
      assert.equal(await codeOf({ limiter, cost: throwing }), 'OWN')
      assert.equal(await codeOf({ limiter, action: () => Promise.reject(own) }), 'OWN')
      assert.equal(await codeOf({ limiter, skip: throwing }), 'OWN')
      for (const key of [undefined, null, '', 42, async () => undefined]) {
        const given = typeof key === 'function' ? key : () => key
        assert.equal(await codeOf({ limiter, key: given }), 'ERR_RATE_LIMIT_KEY', String(key))
      }
      assert.equal(await codeOf({ limiter, cost: 2 }), 'ERR_RATE_LIMIT_COST')
      const closed = new RateLimiter({ limit: 1, window: 1 })
      await closed.close()
      assert.equal(await codeOf({ limiter: closed }), 'ERR_RATE_LIMIT_CLOSED')
      const gone = hourly(t, { redisUrl: 'redis://127.0.0.1:1', onStoreError: 'throw' })
      assert.match(await codeOf({ limiter: gone }), /^ERR_RATE_LIMIT_STORE_/)
      assert.equal(await codeOf({ limiter: gone, queue: true }), 'ERR_RATE_LIMIT_STORE_UNAVAILABLE')
    })

    test('hands an error of a message or of onDenied to the error handler', async (t) => {
      const throwing = () => Promise.reject(Object.assign(new Error('no'), { code: 'OWN' }))
      for (const options of [{ message: throwing }, { onDenied: throwing }]) {
        const { port } = await start(t, framework, { limiter: hourly(t), ...options })
        await get(port)
        const { status, body } = await get(port)
        assert.deepEqual([status, JSON.parse(body).code], [500, 'OWN'])
      }
    })

    test('believes nobody who forwards by default, and says so once', async (t) => {
      const warnings = warningsOf(t)
      const { port } = await start(t, framework, { limiter: hourly(t) })
      const as = (address) => ({ 'x-forwarded-for': address, forwarded: `for=${address}` })
      assert.deepEqual(await statuses(port, ['/'], as('192.0.2.1')), [200])
      assert.deepEqual(await statuses(port, ['/', '/'], as('192.0.2.2')), [429, 429])
      await until(() => warnings.length > 0, 'it warned')
      assert.deepEqual(warnings, ['RATE_LIMIT_UNTRUSTED_PROXY'])
    })

    test('believes as many proxies as it is told, whatever the client writes', async (t) => {
      const warnings = warningsOf(t)
      const { port } = await start(t, framework, { limiter: hourly(t), trustProxy: 1 })
      const as = async (addresses) => (await get(port, '/', { 'x-forwarded-for': addresses })).status
      assert.equal(await as('192.0.2.1'), 200)
      assert.equal(await as('198.51.100.7, 192.0.2.1'), 429)
      assert.equal(await as('192.0.2.1, 198.51.100.7'), 200)
      assert.equal(await as('2001:db8:0:aa01::1'), 200)
      assert.equal(await as('2001:db8:0:aaff:1:2:3:4'), 429, 'the same /56')
      assert.equal(await as('[2001:db8:0:ab00::1]:443'), 200, 'another one')
      const { port: other } = await start(t, framework, {
        limiter: hourly(t),
        trustProxy: { hops: 1, header: 'forwarded' },
      })
      const by = async (forwarded) => (await get(other, '/', { forwarded, 'x-forwarded-for': '192.0.2.99' })).status
      assert.equal(await by('for=192.0.2.1'), 200)
      assert.equal(await by('for=198.51.100.1, for="192.0.2.1:80";proto=https'), 429)
      assert.equal(await by('for="opened and never closed, for="[::ffff:192.0.2.1]"'), 429)
      assert.deepEqual(warnings, [])
    })

    test('counts by fields where that is all that the limits ask for', async (t) => {
      const limits = [
        { name: 'minute', by: 'ip', limit: 1, window: '1m' },
        { name: 'all', by: 'global', limit: 9, window: '1h' },
      ]
      const limiter = new RateLimiter({ limits })
      t.after(() => limiter.close())
      const { port } = await start(t, framework, { limiter, trustProxy: 1 })
      const as = (address) => get(port, '/', { 'x-forwarded-for': address })
      const { headers } = await as('192.0.2.1')
      assert.equal(headers['ratelimit-policy'], '"minute";q=1;w=60, "all";q=9;w=3600')
      assert.match(headers.ratelimit, /^"minute";r=0;t=60, "all";r=8;t=3600$/)
      const refused = await as('192.0.2.1')
      assert.equal(refused.status, 429)
      assert.deepEqual(JSON.parse(refused.body)['violated-policies'], ['minute'])
      assert.match((await as('192.0.2.2')).headers.ratelimit, /"all";r=7;/)
    })

    test('counts by a header where it is told to', async (t) => {
      const { port } = await start(t, framework, { limiter: hourly(t), key: byHeader('X-User') })
      const as = (user) => get(port, '/', user === undefined ? {} : { 'x-user': user })
      const users = ['alice', 'alice', 'bob', undefined, undefined, '']
      const seen = []
      for (const user of users) seen.push((await as(user)).status)
      assert.deepEqual(seen, [200, 429, 200, 200, 429, 429])
    })
  })
}

/** Those that can be told whom to trust themselves. */
for (const framework of frameworks.filter(({ name }) => name !== 'http' && name !== 'hono')) {
  describe(`${framework.name}, its own setting`, { timeout: 60_000 }, () => {
    test('is believed', async (t) => {
      const warnings = warningsOf(t)
      const { port } = await start(t, framework, { limiter: hourly(t) }, { trustProxy: framework.oneProxy })
      const as = async (addresses) => (await get(port, '/', { 'x-forwarded-for': addresses })).status
      assert.equal(await as('192.0.2.1'), 200)
      assert.equal(await as('198.51.100.7, 192.0.2.1'), 429)
      assert.equal(await as('198.51.100.7'), 200)
      assert.deepEqual(warnings, [])
    })

    // Fastify keeps its setting to itself.
    if (framework.name.endsWith('fastify')) return
    test('lets clients choose their address where it trusts all, and there is a warning', async (t) => {
      const warnings = warningsOf(t)
      const { port } = await start(t, framework, { limiter: hourly(t) }, { trustProxy: true })
      await get(port, '/', { 'x-forwarded-for': '192.0.2.1' })
      await get(port, '/', { 'x-forwarded-for': '192.0.2.2' })
      await until(() => warnings.length > 0, 'it warned')
      assert.deepEqual(warnings, ['RATE_LIMIT_PERMISSIVE_PROXY'])
    })
  })
}
