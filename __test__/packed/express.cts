import express = require('express')
import limiting = require('distributed-rate-limiter')
import guarding = require('distributed-rate-limiter/express')

const options: limiting.RateLimiterOptions = { limit: 3, window: '1h' }
const limiter: limiting.RateLimiter = new limiting.RateLimiter(options)
const app = express()
app.use(guarding.rateLimit({ limiter }))
app.get('/', (_request, response) => void response.send('hello'))
app.listen(Number(process.env.PORT), '127.0.0.1')
