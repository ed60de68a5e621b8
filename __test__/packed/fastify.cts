import framework = require('fastify')
import limiting = require('distributed-rate-limiter')
import guarding = require('distributed-rate-limiter/fastify')

const options: limiting.RateLimiterOptions = { limit: 3, window: '1h' }
const limiter: limiting.RateLimiter = new limiting.RateLimiter(options)
const app: framework.FastifyInstance = framework.fastify()
app.register(guarding.rateLimit, { limiter })
app.get('/', async () => 'hello')
app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
