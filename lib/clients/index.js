// Which client was given: told by its methods, so that no package of a client is needed here.
'use strict'

const { cache } = require('./cache.js')
const { generic } = require('./generic.js')
const { ioredis } = require('./ioredis.js')
const { nodeRedis } = require('./node-redis.js')
const { valkeyGlide } = require('./valkey-glide.js')

// From the most particular to whatever has the two methods.
const SCRIPTED = [ioredis, nodeRedis, valkeyGlide, generic]

/** The adapter of the client among the options; `undefined` where there is none, or where it is no client. */
function adapterOf(options) {
  if (typeof options !== 'object' || options === null) return undefined
  const scripted = adapt(options, 'redisClient', SCRIPTED)
  return scripted === undefined ? adapt(options, 'cacheClient', [cache]) : withBytes(scripted)
}

function adapt(options, name, kinds) {
  const client = Object.hasOwn(options, name) ? options[name] : undefined
  if ((typeof client !== 'object' && typeof client !== 'function') || client === null) return undefined
  for (const kind of kinds) {
    const adapter = kind(client)
    if (adapter !== undefined) return adapter
  }
  return undefined
}

/** Takes the keys and the argument of a script as they come from Rust: in one piece, with where each key ends. */
function withBytes({ cluster, keyPrefix, evalsha, eval: evaluate }) {
  const taking = (run) => (script, bytes, ends) => {
    let start = 0
    const keys = ends.map((end) => bytes.subarray(start, (start = end)))
    return run(script, keys, [bytes.subarray(start)])
  }
  return { cluster, keyPrefix, evalsha: taking(evalsha), eval: taking(evaluate) }
}

module.exports = { adapterOf }
