import express from 'express'
import { RateLimiter } from 'distributed-rate-limiter'
import { rateLimit } from 'distributed-rate-limiter/express'

const limiter = new RateLimiter({ limit: 3, window: '1h' })
const app = express()
app.use(rateLimit({ limiter }))
app.get('/', (req, res) => res.send('hello'))
app.listen(Number(process.env.PORT), '127.0.0.1')
