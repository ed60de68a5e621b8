/**
 * One of several processes that call on one key in a memcached, over and over until it is told to stop.
 *
 * Arguments: the memcached's address, the limiter's options as JSON, the key, and for how many milliseconds. Sends for each
 * window, by its number, how many calls were admitted that were made and answered within it, and who decided.
 */

import { RateLimiter } from 'distributed-rate-limiter'
import { memcachedCache } from 'distributed-rate-limiter/memcached'
import memjs from 'memjs'

import { race } from '../support/racer.mjs'

const [address, given, key, duration] = process.argv.slice(2)
const options = JSON.parse(given)

const client = memjs.Client.create(address, { timeout: 10 })
const limiter = new RateLimiter({
  ...options,
  cacheClient: memcachedCache(client),
  timeout: '30s',
  onStoreError: 'throw',
})

await race(limiter, async () => {
  const admitted = {}
  const sources = new Set()
  const end = Date.now() + Number(duration)
  async function caller() {
    while (Date.now() < end) {
      const began = Math.floor(Date.now() / options.window)
      const { allowed, source } = await limiter.check(key)
      sources.add(source)
      if (allowed && Math.floor(Date.now() / options.window) === began) admitted[began] = (admitted[began] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: 8 }, caller))
  return { admitted, sources: [...sources] }
})
client.close()
