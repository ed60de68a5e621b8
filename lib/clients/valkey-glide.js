// @valkey/valkey-glide: `GlideClient` and `GlideClusterClient`.
'use strict'

// Its `Decoder.Bytes`.
const BYTES = { decoder: 0 }

/** The adapter, where `client` is one of its kinds. */
function valkeyGlide(client) {
  if (typeof client.customCommand !== 'function' || typeof client.invokeScript !== 'function') return undefined
  const run = async (name, script, keys, args) => {
    try {
      return await client.customCommand([name, script, String(keys.length), ...keys, ...args], BYTES)
    } catch (error) {
      throw /NoScriptError/.test(error?.message) ? new Error(`NOSCRIPT ${error.message}`) : error
    }
  }
  return {
    cluster: typeof client.fcallWithRoute === 'function',
    evalsha: (sha, keys, args) => run('EVALSHA', sha, keys, args),
    eval: (text, keys, args) => run('EVAL', text, keys, args),
  }
}

module.exports = { valkeyGlide }
