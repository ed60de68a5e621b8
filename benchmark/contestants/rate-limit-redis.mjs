/** The Redis store of express-rate-limit through ioredis, called as express-rate-limit calls it. */

import { RedisStore } from 'rate-limit-redis'
import { openIoredis } from './clients.mjs'

export async function open({ limit, windowMs, redisUrl }, options) {
  const { client, close } = await openIoredis(redisUrl, options)
  const store = new RedisStore({ sendCommand: (command, ...args) => client.call(command, ...args) })
  await store.init({ windowMs })

  return {
    // The store counts; that more hits than the limit are refused is the middleware's one comparison.
    isAllowed: (key) => store.increment(key).then(({ totalHits }) => totalHits <= limit),
    close: async () => close(),
  }
}
