/** A Fastify app that answers each user 100 times a minute. With REDIS_URL set, any number of its processes share the count. */

import fastify from 'fastify'
import { RateLimiter } from 'distributed-rate-limiter'
import { rateLimit } from 'distributed-rate-limiter/fastify'
import { byUser } from 'distributed-rate-limiter/keys'

const { PORT = '3000', LIMIT = '100', WINDOW = '1m', REDIS_URL } = process.env

const limiter = new RateLimiter({ limit: Number(LIMIT), window: WINDOW, redisUrl: REDIS_URL })
limiter.on('storeDown', (error) => console.warn(`Redis is away, this process decides alone: ${error.message}`))
limiter.on('storeUp', () => console.log('Redis answers, the count is shared.'))

const app = fastify()
// A real app takes the user from its session: a header is whatever the client says. Who sends none is counted by address.
await app.register(rateLimit, { limiter, key: byUser((request) => request.headers['x-user-id']) })
app.addHook('onClose', () => limiter.close())
app.get('/', (request) => ({ hello: request.headers['x-user-id'] ?? 'world' }))

const url = await app.listen({ port: Number(PORT), host: '127.0.0.1' })
const store = REDIS_URL ? `Redis at ${new URL(REDIS_URL).host}` : `this process's memory (set REDIS_URL to share it)`
console.log(`Listening on ${url}: ${LIMIT} requests per ${WINDOW} and user, counted in ${store}.

See 200 ${LIMIT} times, then 429:
  for i in $(seq ${Number(LIMIT) + 5}); do curl -s -o /dev/null -w '%{http_code} ' -H 'x-user-id: alice' ${url}/; done; echo
and what a refusal says:
  curl -i -H 'x-user-id: alice' ${url}/`)

// Answers what has arrived, then leaves. A second signal finds the app closing and changes nothing.
const stop = () => app.close()
process.on('SIGINT', stop)
process.on('SIGTERM', stop)
