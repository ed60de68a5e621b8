// A limiter as its observers hold it: weakly, so that one which the application has dropped can be collected, and until it is closed.
'use strict'

const { badOption } = require('../lib/errors.js')

const collected = new FinalizationRegistry((end) => end())

/** Refuses what is no limiter. */
function assertLimiter(limiter) {
  if (typeof limiter?.stats === 'function' && typeof limiter.once === 'function') return
  throw badOption(TypeError, 'limiter', 'a RateLimiter', limiter)
}

/**
 * Has `end` called, once, when the limiter has been closed or collected, or by the function that this returns. `end` must not hold
 * the limiter.
 */
function untilClosed(limiter, end) {
  const held = new WeakRef(limiter)
  const token = {}
  let isOver = false
  const finish = () => {
    if (isOver) return
    isOver = true
    collected.unregister(token)
    held.deref()?.off('close', finish)
    end()
  }
  limiter.once('close', finish)
  collected.register(limiter, finish, token)
  return finish
}

module.exports = { assertLimiter, untilClosed }
