/** Spends a budget in many histories at once until it is killed, and says of each unit when it is about to be booked and when it was. */

import { RateLimiter } from 'distributed-rate-limiter'

const [url, prefix, limit, histories] = process.argv.slice(2)
const limiter = new RateLimiter({
  redisUrl: url,
  prefix,
  limit: Number(limit),
  window: '1d',
  algorithm: 'fixed-window',
  timeout: '30s',
  onStoreError: 'throw',
  denyCache: false,
})

const any = (most) => Math.floor(Math.random() * (most + 1))

for (let history = 0; history < Number(histories); history += 1) spend(history)

async function spend(history) {
  const reservation = await limiter.reserve('budget', { cost: 1 + any(9), ttl: '1s' })
  if (!reservation.allowed) return process.send({ history, refused: true })
  const how = any(3)
  // A quarter of them is never settled, as if whoever holds it had crashed.
  if (how === 0) return process.send({ history, left: true })
  if (how === 1) {
    await reservation.cancel()
    return process.send({ history, cancelled: true })
  }
  const used = any(reservation.granted)
  process.send({ history, books: used })
  await reservation.settle(used)
  process.send({ history, booked: used })
}
