/**
 * A gateway of four processes in front of a service: each API key has 100 requests a minute over all of them, counted exactly in
 * Redis. What is known to be refused each process refuses without asking.
 */

import cluster from 'node:cluster'
import { createServer, request as ask } from 'node:http'
import { RateLimiter } from 'distributed-rate-limiter'

const { PORT = '3000', LIMIT = '100', WINDOW = '1m', PROCESSES = '4' } = process.env
const { REDIS_URL = 'redis://localhost:6379', UPSTREAM = 'http://127.0.0.1:8080' } = process.env

if (cluster.isPrimary) supervise()
else serve()

/** Starts the processes, and another for each that dies. */
function supervise() {
  let stopping = false
  let listening = 0
  const stop = () => {
    stopping = true
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM')
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  cluster.on('exit', () => stopping || cluster.fork())
  cluster.on('listening', (_, { port }) => {
    listening += 1
    if (listening !== Number(PROCESSES)) return
    console.log(`${PROCESSES} processes on http://127.0.0.1:${port} before ${UPSTREAM}: ${LIMIT} requests per ${WINDOW} and API key.
  curl -i -H 'x-api-key: abc' http://127.0.0.1:${port}/`)
  })
  for (let worker = 0; worker < Number(PROCESSES); worker += 1) cluster.fork()
}

async function serve() {
  const limiter = new RateLimiter({
    limit: Number(LIMIT),
    window: WINDOW,
    redisUrl: REDIS_URL,
    prefix: 'gateway',
    // Together the processes admit no more than the limit while Redis is away, too.
    fallback: { share: 'fleet' },
    logger: console,
  })
  // So that Redis decides from the first request on; it is not waited for in vain.
  await limiter.ready({ timeout: '2s' }).catch(() => {})

  const server = createServer(async (request, response) => {
    const key = request.headers['x-api-key']
    if (!key) return response.writeHead(401).end('An API key is needed\n')
    const { allowed, remaining, retryAfter } = await limiter.check(key)
    if (!allowed) return response.writeHead(429, { 'retry-after': retryAfter }).end('Too many requests\n')
    response.setHeader('x-ratelimit-remaining', remaining)
    forward(request, response)
  })
  server.listen(Number(PORT), '127.0.0.1')

  // Answers what has arrived, then leaves.
  const stop = () => {
    server.close(async () => {
      await limiter.close()
      process.disconnect()
    })
    server.closeIdleConnections()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
}

/** Hands a request on, and its answer back. */
function forward(request, response) {
  const { method, headers, url } = request
  const onward = ask(new URL(url, UPSTREAM), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers)
    answer.pipe(response)
  })
  onward.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end('No answer\n')))
  request.pipe(onward)
}
