/** A Redis with somebody in it, and the command line on terminals before it. */

import { after, afterEach, before, beforeEach } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../../scripts/redis.mjs'
import { redisCommand } from '../../scripts/resp.mjs'
import { onTerminal } from './cli.mjs'

/**
 * For the tests of a file: `tell` is given `redis` itself, the `limiter` that counts in it, and the `env` that names it. Each test begins
 * with 40 users, a key that would harm a terminal, and one that is blocked. Returns `onTerminal`, whose programs end with the test at the
 * latest.
 */
export function peopledRedis(tell) {
  let redis
  let limiter
  let started = []
  before(async () => {
    redis = await startRedis()
    limiter = new RateLimiter({
      limit: 1_000,
      window: '1h',
      redisUrl: redis.url,
      timeout: '30s',
      fallback: { share: 'fleet' },
    })
    tell({ redis, limiter, env: { REDIS_URL: redis.url } })
  })
  after(async () => {
    await limiter.close()
    await redis.stop()
  })
  afterEach(() => {
    for (const { kill } of started) kill()
    started = []
  })
  beforeEach(async () => {
    await redisCommand(redis.port, 'FLUSHALL')
    await Promise.all(Array.from({ length: 40 }, (_, at) => limiter.check(`user:${at}`, { cost: 100 + at })))
    await limiter.check('日本語キー\x1b[2J', { cost: 900 })
    await limiter.block('mallory', '1h')
  })
  return async (...args) => {
    const running = await onTerminal(...args)
    started.push(running)
    return running
  }
}
