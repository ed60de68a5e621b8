// The tool's own connections, as a limiter takes a client.
'use strict'

/** `realOf` says what a key is called in Redis that the limiter asks for. */
function clientOn(redis, realOf = (key) => key) {
  const run = (command, script, count, ...rest) => {
    const keys = rest.slice(0, count).map(realOf)
    const words = [command, script, count, ...keys, ...rest.slice(count)]
    return count === 0 ? redis.call(...words) : redis.callOn(keys[0], ...words)
  }
  // It looks like ioredis, by which the limiter knows that keys of one call must lie in one slot.
  return {
    isCluster: redis.isCluster,
    evalshaBuffer: (...rest) => run('EVALSHA', ...rest),
    evalBuffer: (...rest) => run('EVAL', ...rest),
  }
}

module.exports = { clientOn }
