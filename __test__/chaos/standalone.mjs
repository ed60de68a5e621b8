/** One Redis, and a proxy before it. */

import { startRedis } from '../../scripts/redis.mjs'
import { startProxy } from '../support/proxy.mjs'
import { Node, Stage } from './stage.mjs'

export const standalone = {
  name: 'standalone',
  /** How long a fault must last, in milliseconds, so that nobody misses it. */
  shortMs: 400,
  /** What is promised of its return, in milliseconds. */
  returnsWithinMs: 1_000,

  /** `args` are further ones of redis-server, `env` further variables of it. */
  async start({ args = [], env } = {}) {
    const server = await startRedis({ args, env })
    const proxy = await startProxy(server.port)
    return new Stage({
      options: { redisUrl: proxy.url },
      direct: { redisUrl: server.url },
      servers: [new Node(server, proxy)],
    })
  },
}
