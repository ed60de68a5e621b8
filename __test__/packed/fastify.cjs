const fastify = require('fastify')
const { RateLimiter } = require('distributed-rate-limiter')
const { rateLimit } = require('distributed-rate-limiter/fastify')

const limiter = new RateLimiter({ limit: 3, window: '1h' })
const app = fastify()
app.register(rateLimit, { limiter })
app.get('/', async () => 'hello')
app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
