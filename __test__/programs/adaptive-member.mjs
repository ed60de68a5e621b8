/**
 * One of a fleet whose limits give way together, under the load that it is told. Messages: `{ load }` sets it; `'adaptive'` asks for
 * `stats().adaptive` and what the event has told; `{ calls, key, priority }` asks how many of so many calls are admitted; `'close'` ends it.
 *
 * Arguments: the limiter's options as JSON.
 */

import { RateLimiter } from 'distributed-rate-limiter'

let load = 0
const options = JSON.parse(process.argv[2])
const limiter = new RateLimiter({ ...options, adaptive: { ...options.adaptive, signals: [() => load] } })
const told = []
limiter.on('adaptive', ({ multiplier }) => told.push(multiplier))

process.on('message', async (message) => {
  if (message === 'close') {
    await limiter.close()
    process.disconnect()
  } else if (message === 'adaptive') {
    process.send({ ...limiter.stats().adaptive, told })
  } else if ('load' in message) {
    load = message.load
  } else {
    const { calls, key, priority } = message
    let admitted = 0
    for (let call = 0; call < calls; call += 1) if (await limiter.isAllowed(key, { priority })) admitted += 1
    process.send({ admitted })
  }
})
await limiter.ready({ timeout: '30s' })
process.send('ready')
