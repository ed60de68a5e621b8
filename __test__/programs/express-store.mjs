/** An Express application whose express-rate-limit counts in our store: 20 requests an hour, shared by all who run this. */

import express from 'express'
import { rateLimit } from 'express-rate-limit'
import { RateLimitStore } from 'distributed-rate-limiter/express-rate-limit'

const store = new RateLimitStore({ redisUrl: process.env.REDIS_URL, timeout: '30s', onStoreError: 'throw' })

const app = express()
app.use(rateLimit({ windowMs: 3_600_000, limit: 20, store }))
app.get('/', (request, response) => response.send(`${request.rateLimit.used}`))
app.listen(Number(process.env.PORT), '127.0.0.1')
