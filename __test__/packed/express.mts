import express from 'express'
import { RateLimiter, type RateLimiterOptions } from 'distributed-rate-limiter'
import { rateLimit } from 'distributed-rate-limiter/express'

const options: RateLimiterOptions = { limit: 3, window: '1h' }
const limiter: RateLimiter = new RateLimiter(options)
const app = express()
app.use(rateLimit({ limiter }))
app.get('/', (_request, response) => void response.send('hello'))
app.listen(Number(process.env.PORT), '127.0.0.1')
