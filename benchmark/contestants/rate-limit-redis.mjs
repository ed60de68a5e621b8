/** The Redis store of express-rate-limit, through ioredis, called as express-rate-limit calls it. */

import { Redis } from 'ioredis'
import { RedisStore } from 'rate-limit-redis'

export async function open({ limit, windowMs, redisUrl }) {
  const client = new Redis(redisUrl)
  const store = new RedisStore({ sendCommand: (command, ...args) => client.call(command, ...args) })
  await store.init({ windowMs })

  return {
    // The store counts; that more hits than the limit are refused is the middleware's one comparison.
    isAllowed: (key) => store.increment(key).then(({ totalHits }) => totalHits <= limit),
    close: async () => client.disconnect(),
  }
}
