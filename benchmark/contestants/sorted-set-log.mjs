/** A sliding log as most tutorials write it: each call is a member of a sorted set, scored by its time. */

import { openIoredis } from './clients.mjs'

// The member is as short as it can be: a score of its own would do, could two calls not come in one microsecond.
const SCRIPT = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
local count = redis.call('ZCARD', KEYS[1])
if count >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now, string.format('%.0f-%d', now, count))
redis.call('PEXPIRE', KEYS[1], ARGV[2] / 1000)
return 1`

export async function open({ limit, windowMs, redisUrl }) {
  const { client, close } = await openIoredis(redisUrl)
  client.defineCommand('takeFromLog', { numberOfKeys: 1, lua: SCRIPT })
  return {
    isAllowed: (key) => client.takeFromLog(`log:${key}`, limit, windowMs * 1_000).then((taken) => taken === 1),
    close: async () => close(),
  }
}
