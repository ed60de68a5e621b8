import fastify from 'fastify'
import { RateLimiter } from 'distributed-rate-limiter'
import { rateLimit } from 'distributed-rate-limiter/fastify'

const limiter = new RateLimiter({ limit: 3, window: '1h' })
const app = fastify()
await app.register(rateLimit, { limiter })
app.get('/', async () => 'hello')
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
