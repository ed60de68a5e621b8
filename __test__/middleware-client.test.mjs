/** Clients: how long a response says to wait, and a `fetch` that waits, against a real server that limits it. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { backoff, withBackoff } from 'distributed-rate-limiter/client'
import { rateLimit } from 'distributed-rate-limiter/http'

import { run } from './support/child.mjs'
import { rejectionOf } from './support/refusal.mjs'
import { settles, until } from './support/wait.mjs'

const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT'

describe('backoff', () => {
  const inSeconds = (seconds) => Math.floor(Date.now() / 1_000) + seconds

  for (const [what, headers, expected] of [
    ['nothing', {}, 0],
    ['seconds', { 'retry-after': '7' }, 7_000],
    ['none', { 'retry-after': '0' }, 0],
    ['a date, by the server’s clock', { 'retry-after': 'Sun, 06 Nov 1994 08:50:07 GMT', date: DATE }, 30_000],
    ['a date that is over', { 'retry-after': DATE, date: 'Sun, 06 Nov 1994 08:50:07 GMT' }, 0],
    ['a date in the older form', { 'retry-after': 'Sunday, 06-Nov-94 08:50:07 GMT', date: DATE }, 30_000],
    ['neither', { 'retry-after': 'soon' }, 0],
    ['a number that is none of HTTP', { 'retry-after': '-5' }, 0],
    ['another', { 'retry-after': '1e3' }, 0],
    ['a third', { 'retry-after': '1.5' }, 0],
    ['what is not written here', { 'retry-after': '2001' }, 2_001_000],
    ['RateLimit with something left', { ratelimit: '"default";r=5;t=30' }, 0],
    ['RateLimit with nothing left', { ratelimit: '"default";r=0;t=30' }, 30_000],
    ['the longest of several', { ratelimit: '"a";r=0;t=3, "b";r=9;t=99,"c";t=5;r=0' }, 5_000],
    ['parameters in any order, and others', { ratelimit: '"a";pk=:cj0wO3Q9OQ==:; t=4;qu="x;r=1";r=0' }, 4_000],
    ['a name that looks like parameters', { ratelimit: '"a;r=0;t=9,b;r=0;t=8";r=1;t=7' }, 0],
    ['a name with an escape', { ratelimit: '"a\\";r=0;t=9";r=0;t=6' }, 6_000],
    ['no t', { ratelimit: '"a";r=0' }, 0],
    ['no list', { ratelimit: '"a' }, 0],
    ['Retry-After before RateLimit', { 'retry-after': '2', ratelimit: '"a";r=0;t=30' }, 2_000],
    [
      'RateLimit before X-RateLimit',
      { ratelimit: '"a";r=3;t=30', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '9' },
      0,
    ],
    ['an unreadable Retry-After, and RateLimit', { 'retry-after': 'x', ratelimit: '"a";r=0;t=30' }, 30_000],
    ['the draft before, which nobody can read for sure', { ratelimit: 'limit=10, remaining=0, reset=5' }, 0],
    ['X-RateLimit in seconds', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '12' }, 12_000],
    ['X-RateLimit with something left', { 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '12' }, 0],
    ['X-RateLimit without a reset', { 'x-ratelimit-remaining': '0' }, 0],
    ['X-RateLimit that nobody can read', { 'x-ratelimit-remaining': 'none', 'x-ratelimit-reset': 'soon' }, 0],
    [
      'since 1970, in the server’s time',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1000000060', date: 'Sun, 09 Sep 2001 01:46:40 GMT' },
      60_000,
    ],
    [
      'since 1970 in milliseconds',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1000000060000', date: 'Sun, 09 Sep 2001 01:46:40 GMT' },
      60_000,
    ],
  ]) {
    test(what, () => {
      assert.equal(backoff({ headers: new Headers(headers) }), expected, 'of fetch')
      assert.equal(backoff({ headers }), expected, 'of http')
      const capital = Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]])
      assert.equal(backoff({ headers: Object.fromEntries(capital) }), expected, 'of others')
    })
  }

  test('by this clock where the server shows none', () => {
    const at = new Date((inSeconds(0) + 100) * 1_000).toUTCString()
    for (const headers of [
      { 'retry-after': at },
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(inSeconds(100)) },
    ]) {
      const wait = backoff({ headers })
      assert.ok(wait > 50_000 && wait <= 100_000, `${wait} ms`)
    }
  })
})

describe('withBackoff', { timeout: 60_000 }, () => {
  /** A server that answers as `answer` says; its address, and the requests that it has had, each with its body. */
  async function serve(t, answer) {
    const requests = []
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const part of request.setEncoding('utf8')) body += part
      requests.push({ body, at: performance.now() })
      await answer(request, response, requests.length)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    return { url: `http://127.0.0.1:${server.address().port}/`, requests }
  }

  const refuse = (response, headers = {}) => response.writeHead(429, headers).end('slow down')

  test('waits as long as a real limit says, and then succeeds', async (t) => {
    const limiter = new RateLimiter({ limit: 1, window: '1s' })
    t.after(() => limiter.close())
    const mayGoOn = rateLimit({ limiter })
    const { url, requests } = await serve(t, async (request, response) => {
      if (await mayGoOn(request, response)) response.end('hello')
    })
    const patient = withBackoff(fetch, { maxWait: '20s' })
    assert.equal((await patient(url)).status, 200)
    const response = await patient(url)
    assert.deepEqual([response.status, await response.text()], [200, 'hello'])
    assert.equal(requests.length, 3, 'one refusal, and what it said was enough')
    assert.ok(requests[2].at - requests[1].at >= 1_000, 'not before it')
  })

  test('sends the same again, method and body, also of a Request', async (t) => {
    const { url, requests } = await serve(t, (request, response, count) =>
      count % 2 === 1 ? refuse(response, { 'retry-after': '0' }) : response.end(request.method),
    )
    // Nothing was said but that it is no time, so this side waits as it thinks best.
    const patient = withBackoff(fetch)
    assert.equal(await (await patient(url, { method: 'POST', body: 'one' })).text(), 'POST')
    assert.equal(await (await patient(new Request(url, { method: 'PUT', body: 'two' }))).text(), 'PUT')
    assert.deepEqual(
      requests.map(({ body }) => body),
      ['one', 'one', 'two', 'two'],
    )
  })

  test('gives the refusal back at once where it would wait for too long, as it is', async (t) => {
    const { url, requests } = await serve(t, (request, response) => refuse(response, { 'retry-after': '3600' }))
    const response = await withBackoff(fetch, { maxWait: '1m' })(url)
    assert.deepEqual([response.status, await response.text()], [429, 'slow down'])
    assert.equal(requests.length, 1)
  })

  test('gives up after as many retries as it is told, and on what is no limit at once', async (t) => {
    const { url, requests } = await serve(t, (request, response) =>
      request.url === '/broken' ? response.writeHead(500).end() : refuse(response, { ratelimit: '"a";r=5;t=9' }),
    )
    assert.equal((await withBackoff(fetch, { retries: 1 })(url)).status, 429)
    assert.equal(requests.length, 2)
    assert.equal((await withBackoff(fetch, { retries: 0 })(url)).status, 429)
    assert.equal(requests.length, 3)
    assert.equal((await withBackoff(fetch)(`${url}broken`)).status, 500)
    assert.equal(requests.length, 4)
  })

  test('sends a stream once', async (t) => {
    const { url, requests } = await serve(t, (request, response) => refuse(response, { 'retry-after': '1' }))
    const body = new Blob(['streamed']).stream()
    assert.equal((await withBackoff(fetch)(url, { method: 'POST', body, duplex: 'half' })).status, 429)
    assert.deepEqual(
      requests.map(({ body }) => body),
      ['streamed'],
    )
  })

  test('stops waiting when it is told to', async (t) => {
    const { url, requests } = await serve(t, (request, response) => refuse(response, { 'retry-after': '3600' }))
    const patient = withBackoff(fetch, { maxWait: '1d' })
    for (const give of [(signal) => [url, { signal }], (signal) => [new Request(url, { signal })]]) {
      const leaving = new AbortController()
      const count = requests.length
      const error = rejectionOf(() => patient(...give(leaving.signal)), 'it')
      await until(() => requests.length > count, 'it was refused')
      leaving.abort(new Error('enough'))
      const { message, name } = await settles(error, 'giving up')
      // Node.js has its own reason for a Request's signal.
      assert.ok(message === 'enough' || name === 'AbortError', message)
    }
  })
})

describe('the module', { timeout: 30_000 }, () => {
  const require = createRequire(import.meta.url)

  test('works where no addon may be loaded', async () => {
    const source = `
      const { backoff } = require('distributed-rate-limiter/client')
      process.stdout.write(String(backoff({ headers: { 'retry-after': '5' } })))`
    const end = await run('-e', { nodeArgs: ['--no-addons'], args: [source], cwd: new URL('..', import.meta.url) })
    assert.deepEqual([end.code, end.stdout], [0, '5000'], end.stderr)
  })

  test('asks for nothing that a browser has not', () => {
    const seen = new Set()
    const look = (path) => {
      if (seen.has(path)) return
      seen.add(path)
      const code = readFileSync(path, 'utf8')
      assert.doesNotMatch(code, /\b(?:process|Buffer|global)\b\./, path)
      for (const [, name] of code.matchAll(/require\('([^']+)'\)/g)) {
        assert.match(name, /^\.\.?\//, `${path} requires ${name}`)
        look(createRequire(path).resolve(name))
      }
    }
    look(require.resolve('distributed-rate-limiter/client'))
    assert.ok(seen.size > 1)
  })
})
