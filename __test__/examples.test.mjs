/** The examples, as somebody runs them: the limit holds, `Retry-After` is true, and two processes share one limit. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { RateLimiter } from 'distributed-rate-limiter'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertEnded, assertQuiet } from './support/child.mjs'
import { get, post, startServer } from './support/http.mjs'
import { sleep, until } from './support/wait.mjs'

const LIMIT = 5

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

/** Starts an example, which ends with the test; resolves with it and the port on which it listens. */
async function serve(t, example, env) {
  const port = await freePort()
  const file = fileURLToPath(new URL(`../examples/${example}`, import.meta.url))
  // Without a Redis of the test's own, the one that the environment may name is none of ours.
  const server = await startServer(file, { port, env: { REDIS_URL: undefined, ...env } })
  t.after(() => server.stop())
  return { port, server }
}

for (const example of ['express.mjs', 'fastify.mjs']) {
  describe(example, { timeout: 60_000 }, () => {
    test('answers 200 up to the limit, then 429 with a truthful Retry-After', async (t) => {
      const { port, server } = await serve(t, example, { LIMIT: String(LIMIT), WINDOW: '3s' })

      for (let call = 1; call <= LIMIT; call += 1) {
        const { status, headers } = await get(port)
        assert.equal(status, 200, `request ${call} of ${LIMIT}`)
        assert.equal(headers['retry-after'], undefined, 'who is allowed has nothing to wait for')
      }
      const refused = await get(port)
      assert.equal(refused.status, 429, `request ${LIMIT + 1} of ${LIMIT}`)
      assert.match(refused.headers['retry-after'] ?? 'none', /^[1-3]$/, 'whole seconds, at least 1, at most the window')

      await sleep(Number(refused.headers['retry-after']) * 1_000)
      assert.equal((await get(port)).status, 200, `after ${refused.headers['retry-after']} s, as Retry-After said`)
      assert.match(server.said.stdout, /curl/, 'the terminal says what to try')
    })

    test('each user has a limit of their own', async (t) => {
      const { port } = await serve(t, example, { LIMIT: '1', WINDOW: '1h' })
      const as = async (user) => (await get(port, '/', { 'x-user-id': user })).status
      assert.deepEqual([await as('alice'), await as('alice'), await as('bob'), await as('bob')], [200, 429, 200, 429])
    })

    test('two processes on one Redis share one limit exactly', async (t) => {
      await redisCommand(redis.port, 'FLUSHALL')
      const env = { LIMIT: '20', WINDOW: '1h', REDIS_URL: redis.url }
      const servers = await Promise.all([serve(t, example, env), serve(t, example, env)])
      // Another user's request: afterwards each has its connection, and what follows meets no first moment.
      for (const { port } of servers) await get(port, '/', { 'x-user-id': 'somebody else' })

      const ask = ({ port }) => get(port, '/', { 'x-user-id': 'alice' })
      const answers = await Promise.all(Array.from({ length: 60 }, (_, index) => ask(servers[index % 2])))
      const times = (status) => answers.filter((answer) => answer.status === status).length
      assert.deepEqual({ allowed: times(200), refused: times(429) }, { allowed: 20, refused: 40 })
      for (const { server } of servers) {
        assert.doesNotMatch(server.said.stderr, /Redis is away/, 'both were decided by Redis')
      }
    })

    for (const store of ['memory', 'redis']) {
      test(`${store}: ends in order when it is asked to`, async (t) => {
        const { port, server } = await serve(t, example, store === 'redis' ? { REDIS_URL: redis.url } : {})
        assert.equal((await get(port)).status, 200)
        const end = await server.stop('SIGTERM')
        assertEnded(end, example)
        assertQuiet(end, example)
      })
    }
  })
}

describe('nest.mjs', { timeout: 60_000 }, () => {
  const env = { LIMIT: '4', DEAR_LIMIT: '2', WINDOW: '1h' }
  const statuses = async (port, path, user, calls) => {
    const answers = []
    for (let call = 0; call < calls; call += 1) answers.push(await get(port, path, { 'x-user-id': user }))
    return answers.map(({ status }) => status)
  }

  for (const store of ['memory', 'redis']) {
    test(`${store}: its guard and its decorator each keep their limit, for each user`, async (t) => {
      await redisCommand(redis.port, 'FLUSHALL')
      const { port } = await serve(t, 'nest.mjs', store === 'redis' ? { ...env, REDIS_URL: redis.url } : env)
      assert.deepEqual(await statuses(port, '/report', 'alice', 3), [200, 200, 429])
      assert.deepEqual(await statuses(port, '/', 'alice', 5), [200, 200, 200, 200, 429])
      assert.deepEqual(await statuses(port, '/', 'bob', 1), [200])
      const { headers, status } = await get(port, '/', { 'x-user-id': 'alice' })
      assert.equal(status, 429)
      assert.match(headers['retry-after'], /^\d+$/)
    })
  }

  test('ends in order when it is asked to', async (t) => {
    const { port, server } = await serve(t, 'nest.mjs', { ...env, REDIS_URL: redis.url })
    assert.equal((await get(port, '/', { 'x-user-id': 'carol' })).status, 200)
    const end = await server.stop('SIGTERM')
    assertEnded(end, 'nest.mjs')
    assertQuiet(end, 'nest.mjs')
  })
})

describe('gateway.mjs', { timeout: 60_000 }, () => {
  /** A service that knows which keys have reached it. */
  async function upstream(t) {
    const reached = []
    const server = createServer((request, response) => {
      reached.push(request.headers['x-api-key'])
      response.write(`${request.method} ${request.url}`)
      request.pipe(response)
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    return { reached, url: `http://127.0.0.1:${server.address().port}` }
  }

  /** Starts it before a service; once all of its processes listen. */
  async function gateway(t, env) {
    await redisCommand(redis.port, 'FLUSHALL')
    const service = await upstream(t)
    const { port, server } = await serve(t, 'gateway.mjs', { REDIS_URL: redis.url, UPSTREAM: service.url, ...env })
    await until(() => server.said.stdout.includes('4 processes'), 'all processes listened', 20_000)
    return { port, server, reached: service.reached }
  }

  test('its four processes together let exactly the limit of each key through', async (t) => {
    const { port, reached } = await gateway(t, { LIMIT: '50', WINDOW: '1h' })
    const keys = ['abc', 'def']
    const calls = Array.from({ length: 300 }, (_, call) => get(port, '/', { 'x-api-key': keys[call % 2] }))
    const answers = await Promise.all(calls)
    const times = (status) => answers.filter((answer) => answer.status === status).length
    assert.deepEqual([times(200), times(429)], [100, 200])
    for (const key of keys) assert.equal(reached.filter((one) => one === key).length, 50, key)
    assert.match(answers.find(({ status }) => status === 429).headers['retry-after'], /^\d+$/)
  })

  test('hands requests on as they are, and knows whom it serves', async (t) => {
    const { port } = await gateway(t)
    const { status, body } = await get(port, '/a?b=c', { 'x-api-key': 'abc' })
    assert.deepEqual([status, body], [200, 'GET /a?b=c'])
    const posted = await post(port, '/c', 'a body', { 'x-api-key': 'abc' })
    assert.deepEqual([posted.status, posted.body], [200, 'POST /ca body'])
    assert.equal((await get(port)).status, 401)
  })

  test('starts another process for one that dies, and ends in order', async (t) => {
    const { port, server } = await gateway(t, { LIMIT: '1', WINDOW: '1h' })
    const alice = { 'x-api-key': 'alice' }
    assert.equal((await get(port, '/', alice)).status, 200)
    const workers = childrenOf(server.pid)
    assert.equal(workers.length, 4)
    process.kill(workers[0], 'SIGKILL')
    const anew = () => {
      const now = childrenOf(server.pid)
      return now.length === 4 && !now.includes(workers[0])
    }
    await until(anew, 'another process was started')
    assert.equal((await get(port, '/', alice)).status, 429, 'what was counted is not forgotten')

    const end = await server.stop('SIGTERM')
    assertEnded(end, 'gateway.mjs')
    assertQuiet(end, 'gateway.mjs')
  })
})

describe('llm-budget.mjs', { timeout: 60_000 }, () => {
  const words = (count) => JSON.stringify({ prompt: Array(count).fill('word').join(' ') })

  test('what an answer did not use is free again, what it used beyond is taken, and one that fails costs nothing', async (t) => {
    const env = { BUDGET: '100', MOST: '40', WINDOW: '1h', REDIS_URL: redis.url }
    await redisCommand(redis.port, 'FLUSHALL')
    const { port } = await serve(t, 'llm-budget.mjs', env)
    const ask = async (count) => {
      const { status, headers, body } = await post(port, '/', words(count), { 'x-user-id': 'alice' })
      return { status, used: JSON.parse(body).used, retryAfter: headers['retry-after'] }
    }
    // A prompt of 5 words has an answer of 5: of 40 that were kept back 30 are free again.
    assert.deepEqual(await ask(5), { status: 200, used: 10, retryAfter: undefined })
    // A prompt that is no text makes the model fail.
    const failed = await post(port, '/', JSON.stringify({ prompt: 7 }), { 'x-user-id': 'alice' })
    assert.equal(failed.status, 500)
    // One of 30 uses 60, 20 more than were kept back.
    assert.deepEqual(await ask(30), { status: 200, used: 60, retryAfter: undefined })
    const budget = new RateLimiter({ limit: 100, window: '1h', redisUrl: redis.url, prefix: 'tokens' })
    t.after(() => budget.close())
    assert.equal((await budget.peek('alice')).remaining, 30)
    // Which is less than an answer may cost.
    const refused = await ask(1)
    assert.equal(refused.status, 429)
    assert.match(refused.retryAfter, /^\d+$/)
    assert.equal((await post(port, '/', words(1), { 'x-user-id': 'bob' })).status, 200, 'somebody else')
  })

  test('a request that says nothing sensible is told so, and ends in order', async (t) => {
    const { port, server } = await serve(t, 'llm-budget.mjs', {})
    assert.equal((await post(port, '/', 'no JSON')).status, 400)
    assert.equal((await post(port, '/', words(2))).status, 200)
    const end = await server.stop('SIGTERM')
    assertEnded(end, 'llm-budget.mjs')
    assertQuiet(end, 'llm-budget.mjs')
  })
})

/** The processes that one has started. */
function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
}
