// ioredis and iovalkey, which have the same methods: `Redis` and `Cluster`.
'use strict'

/** The adapter, where `client` is one of theirs. Their plain `evalsha` would make strings of bytes. */
function ioredis(client) {
  if (typeof client.evalshaBuffer !== 'function' || typeof client.evalBuffer !== 'function') return undefined
  return {
    cluster: client.isCluster === true,
    // What it puts before every key itself.
    keyPrefix: client.options?.keyPrefix,
    evalsha: (sha, keys, args) => client.evalshaBuffer(sha, keys.length, ...keys, ...args),
    eval: (text, keys, args) => client.evalBuffer(text, keys.length, ...keys, ...args),
  }
}

module.exports = { ioredis }
