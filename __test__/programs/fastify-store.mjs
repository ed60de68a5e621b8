/** A Fastify application whose @fastify/rate-limit counts in our store: 20 requests an hour, shared by all who run this. */

import rateLimit from '@fastify/rate-limit'
import fastify from 'fastify'
import { rateLimitStore } from 'distributed-rate-limiter/fastify-rate-limit'

const store = rateLimitStore({ redisUrl: process.env.REDIS_URL, timeout: '30s', onStoreError: 'throw' })

const app = fastify()
await app.register(rateLimit, { max: 20, timeWindow: '1h', store })
app.get('/', async () => 'hello')
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
