/**
 * An Express application whose handler keeps its only thread busy, with limits that give way under load or without.
 *
 * Arguments: the limiter's options as JSON, and for how many milliseconds a handler is busy. Sends its port, and answers every message by
 * the limiter's `stats().adaptive`.
 */

import { RateLimiter } from 'distributed-rate-limiter'
import { rateLimit } from 'distributed-rate-limiter/express'
import express from 'express'

const [options, workMs] = process.argv.slice(2).map((argument) => JSON.parse(argument))

const limiter = new RateLimiter(options)
const app = express()
app.get('/open', (request, response) => response.send('open'))
app.use(rateLimit({ limiter, key: (request) => request.get('x-client') }))
app.get('/', (request, response) => {
  // By the clock and not by an amount of work, so that what the server can do does not depend on who else is on the machine.
  const end = performance.now() + workMs
  while (performance.now() < end);
  response.send('done')
})
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
// Longer than any connection is unused.
server.keepAliveTimeout = 60_000
process.on('message', () => process.send({ adaptive: limiter.stats().adaptive }))
