/** The middleware of plain http on HTTP/2, and over a Unix socket. What it does on HTTP/1 is tested with every framework. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { connect, createServer as createServer2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { rateLimit } from 'distributed-rate-limiter/http'

import { hourly } from './support/stores.mjs'
import { settles, until } from './support/wait.mjs'

describe('HTTP/2', { timeout: 30_000 }, () => {
  /** An application that answers each request when the test lets it; and a client of it. */
  async function serve(t, options) {
    const mayGoOn = rateLimit(options)
    const asked = []
    const answer = async (request, response) => {
      if (!(await mayGoOn(request, response))) return
      if (request.url === '/wait') asked.push(response)
      else response.end('hello')
    }
    const server = createServer2((request, response) => void answer(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect(`http://127.0.0.1:${server.address().port}`)
    t.after(async () => {
      client.destroy()
      server.close()
    })
    const get = async (path) => {
      const stream = client.request({ ':path': path })
      const [headers] = await once(stream, 'response')
      let body = ''
      for await (const part of stream.setEncoding('utf8')) body += part
      return { status: headers[':status'], headers, body }
    }
    return { client, get, asked }
  }

  test('counts, and refuses with headers and problem details', async (t) => {
    const { get } = await serve(t, { limiter: hourly(t) })
    const { status, headers, body } = await get('/')
    assert.deepEqual([status, body, headers['ratelimit-policy']], [200, 'hello', '"default";q=1;w=3600'])
    const refused = await get('/')
    assert.equal(refused.status, 429)
    assert.equal(JSON.parse(refused.body).status, 429)
    assert.match(refused.headers['retry-after'], /^3[56]\d\d$/)
  })

  test('gives nothing back to who hangs up before the response', async (t) => {
    const limiter = hourly(t, { limit: 5 })
    const { client, get, asked } = await serve(t, { limiter, countOnly: 'failed', key: () => 'somebody', cost: 2 })
    const stream = client.request({ ':path': '/wait' })
    stream.on('error', () => {})
    await until(() => asked.length === 1, 'the application was asked')
    const closed = once(asked[0], 'close')
    stream.destroy()
    await settles(closed, 'the stream')
    await get('/')
    await until(async () => (await limiter.peek('somebody')).remaining === 3, 'only the second was given back')
  })

  test('who leaves the queue takes nothing', async (t) => {
    const limiter = hourly(t)
    const { client, get, asked } = await serve(t, { limiter, queue: { maxWait: '1d' }, key: () => 'somebody' })
    let ended
    const { acquire } = limiter
    limiter.acquire = (...call) => {
      const answer = acquire.apply(limiter, call)
      ended = Promise.allSettled([answer])
      return answer
    }
    await limiter.check('somebody')
    const stream = client.request({ ':path': '/wait' })
    stream.on('error', () => {})
    await until(() => ended !== undefined, 'it waits')
    stream.destroy()
    const [{ status }] = await settles(ended, 'its waiting')
    assert.equal(status, 'rejected')
    await limiter.reset('somebody')
    assert.equal((await get('/')).status, 200)
    assert.equal(asked.length, 0)
  })
})

test('over a Unix socket nobody has an address: a key must be given', { timeout: 30_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'rate-limiter-http-'))
  const socketPath = join(folder, 'socket')
  const limiter = hourly(t)
  const byAddress = rateLimit({ limiter })
  const byProxy = rateLimit({ limiter, trustProxy: 1 })
  const server = createServer((request, response) => {
    const mayGoOn = request.url === '/proxy' ? byProxy : byAddress
    mayGoOn(request, response).then(
      (may) => may && response.end('hello'),
      ({ code, message }) => response.end(`${code} ${message}`),
    )
  })
  server.listen(socketPath)
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const get = async (path, headers) => {
    const asked = request({ socketPath, path, headers, agent: false }).end()
    const [response] = await once(asked, 'response')
    let body = ''
    for await (const part of response.setEncoding('utf8')) body += part
    return `${response.statusCode} ${body}`
  }
  assert.match(await get('/'), /^200 ERR_RATE_LIMIT_KEY .*Unix socket/)
  // A proxy on the same machine says whom it serves.
  assert.equal(await get('/proxy', { 'x-forwarded-for': '192.0.2.1' }), '200 hello')
  assert.match(await get('/proxy', { 'x-forwarded-for': '192.0.2.1' }), /^429/)
})
