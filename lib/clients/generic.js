// Any object with `evalsha(sha, keys, args)` and `eval(text, keys, args)`, which return Buffers.
'use strict'

/** The adapter, where `client` is such an object. node-redis 3 has methods of these names, and answers to callbacks. */
function generic(client) {
  if (typeof client.evalsha !== 'function' || typeof client.eval !== 'function') return undefined
  if (typeof client.internal_send_command === 'function') return undefined
  return {
    cluster: false,
    evalsha: (sha, keys, args) => client.evalsha(sha, keys, args),
    eval: (text, keys, args) => client.eval(text, keys, args),
  }
}

module.exports = { generic }
