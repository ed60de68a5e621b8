// What a viewer may ask of a limiter: look a key up, and where that is allowed, block, unblock and reset it.
'use strict'

const { Refusal } = require('./body.js')

const VERBS = {
  lookup: { changes: false, call: (limiter, { key, options }) => lookedUp(limiter, key, options) },
  block: { changes: true, call: (limiter, { key, durationMs, options }) => limiter.block(key, durationMs, options) },
  unblock: { changes: true, call: (limiter, { key, options }) => limiter.unblock(key, options) },
  reset: { changes: true, call: (limiter, { key, options }) => limiter.reset(key, options) },
}

/** What a call would be told, and `why`. Both are asked at once, so that they speak of the same moment. */
async function lookedUp(limiter, key, options) {
  const [decision, why] = await Promise.all([limiter.peek(key, options), limiter.explain(key, options)])
  return { ...decision, why }
}

/** Codes of what may succeed when it is tried again; every other one says that the request was wrong. */
const LATER = /^ERR_RATE_LIMIT_(STORE_TIMEOUT|STORE_UNAVAILABLE|OVERLOADED|CLOSED|SHARED_TIMEOUT|SHARED_FULL)$/

/** Does what `verb` says with what the body names; a refusal says why not. */
async function perform(verb, body, limiters) {
  const limiter = limiters.get(body.limiter)
  if (limiter === undefined) throw new Refusal(404, 'There is no such limiter.')
  const { key, action, durationMs } = body
  const options = action === undefined ? undefined : { action }
  try {
    return (await VERBS[verb].call(limiter, { key, durationMs, options })) ?? {}
  } catch (error) {
    // Only what this package says may be told: anything else could be about the inside of the application.
    if (!String(error?.code).startsWith('ERR_RATE_LIMIT_')) throw error
    throw new Refusal(LATER.test(error.code) ? 503 : 400, error.message)
  }
}

const isVerb = (name) => Object.hasOwn(VERBS, name)
const changes = (verb) => VERBS[verb].changes

module.exports = { changes, isVerb, perform }
