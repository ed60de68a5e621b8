/** The examples, as somebody runs them: the limit holds, `Retry-After` is true, and two processes share one limit. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertEnded, assertQuiet } from './support/child.mjs'
import { get, startServer } from './support/http.mjs'
import { sleep } from './support/wait.mjs'

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
