/** `lease-holder.mjs options key [end]`: uses a key until there is a lease of it; then holds it, or leaves it and ends. */

import { RateLimiter } from 'distributed-rate-limiter'

const [options, key, end] = process.argv.slice(2)
const limiter = new RateLimiter(JSON.parse(options))

for (;;) {
  const { source } = await limiter.check(key)
  if (source === 'lease') break
}
process.send('holds')
if (end) process.disconnect()
