import { fastify, type FastifyInstance } from 'fastify'
import { RateLimiter, type RateLimiterOptions } from 'distributed-rate-limiter'
import { rateLimit } from 'distributed-rate-limiter/fastify'

const options: RateLimiterOptions = { limit: 3, window: '1h' }
const limiter: RateLimiter = new RateLimiter(options)
const app: FastifyInstance = fastify()
await app.register(rateLimit, { limiter })
app.get('/', async () => 'hello')
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
