/** Holds permits, one after the other in each of its lanes, until it is killed. Redis is told of each, in the order in which things happen. */

import { ConcurrencyLimiter } from 'distributed-rate-limiter'

import { redisCommand } from '../../scripts/resp.mjs'

const [url, port, prefix, limit, ttl, lanes, name] = process.argv.slice(2)
const limiter = new ConcurrencyLimiter({
  redisUrl: url,
  prefix,
  limit: Number(limit),
  ttl: Number(ttl),
  timeout: '30s',
  onStoreError: 'throw',
})

const note = (sign) => redisCommand(Number(port), 'RPUSH', 'witness', `${sign} ${name}`)

async function hold() {
  for (;;) {
    const permit = await limiter.acquire('key', { maxWait: '1h' })
    // Who has lost it must not go on as if it had not.
    if (!permit.signal.aborted) {
      await note('+')
      process.send('holds')
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
      await note('-')
    }
    await permit.release()
  }
}

for (let lane = 0; lane < Number(lanes); lane += 1) hold()
