// node-redis (`redis` on npm) from version 4: a client, a pool, a cluster, a Sentinel.
'use strict'

// Replies as Buffers: by the option of version 4, and by that of later ones, where 36 is the type of a string on the wire ($).
const BYTES = { returnBuffers: true, typeMapping: { 36: Buffer } }

/** The adapter, where `client` is one of its kinds, which differ in what `sendCommand` wants to know first. */
function nodeRedis(client) {
  if (typeof client.sendCommand !== 'function' || typeof client.evalSha !== 'function') return undefined
  const cluster = typeof client.nodeClient === 'function'
  const sentinel = typeof client.getSentinelNode === 'function'
  const run = (name, script, keys, args) => {
    const command = [name, script, String(keys.length), ...keys, ...args]
    if (cluster) return client.sendCommand(keys[0], false, command, BYTES)
    if (sentinel) return client.sendCommand(false, command, BYTES)
    return client.sendCommand(command, BYTES)
  }
  return {
    cluster,
    evalsha: (sha, keys, args) => run('EVALSHA', sha, keys, args),
    eval: (text, keys, args) => run('EVAL', text, keys, args),
  }
}

module.exports = { nodeRedis }
