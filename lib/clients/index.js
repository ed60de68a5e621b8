// Which client was given: told by its methods, so that no package of a client is needed here.
'use strict'

const { generic } = require('./generic.js')
const { ioredis } = require('./ioredis.js')
const { nodeRedis } = require('./node-redis.js')
const { valkeyGlide } = require('./valkey-glide.js')

// From the most particular to whatever has the two methods.
const KINDS = [ioredis, nodeRedis, valkeyGlide, generic]

/** The adapter of the client among the options; `undefined` where there is none, or where it is no client. */
function adapterOf(options) {
  if (typeof options !== 'object' || options === null || !Object.hasOwn(options, 'redisClient')) return undefined
  const client = options.redisClient
  if ((typeof client !== 'object' && typeof client !== 'function') || client === null) return undefined
  for (const kind of KINDS) {
    const adapter = kind(client)
    if (adapter !== undefined) return adapter
  }
  return undefined
}

module.exports = { adapterOf }
