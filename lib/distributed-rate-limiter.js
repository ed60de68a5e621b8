// The shapes in which other specifications name things: `maxRequests` and `timeWindowMs`, a limit for each client or each call. All
// of it comes down to a RateLimiter.
'use strict'

const { badOption, refusal } = require('./errors.js')
const { own: ownOf } = require('./own.js')
const { RateLimiter } = require('./rate-limiter.js')

/** What its own options are called by a RateLimiter. */
const NAMES = {
  maxRequests: 'limit',
  timeWindowMs: 'window',
  fallbackMaxRequests: 'fallback.limit',
  fallbackTimeWindowMs: 'fallback.window',
}

/** What stands for a fallback as a whole, where it is said that there can be none. */
const FALLBACK = ['fallbackMaxRequests', 'fallbackTimeWindowMs']

class DistributedRateLimiter extends RateLimiter {
  #shared

  constructor(options = {}) {
    const own = translate(options)
    try {
      super(own)
    } catch (error) {
      throw inWordsOf(options, error)
    }
    this.#shared = own.shared
  }

  update(options) {
    const own = translate(options, this.#shared)
    try {
      super.update(own)
    } catch (error) {
      throw inWordsOf(options, error)
    }
  }

  /** Also `isAllowed(clientId, action, limit, timeWindow)`, with `timeWindow` in seconds. */
  isAllowed(key, ...rest) {
    const [first] = rest
    if (rest.length < 2 && (first === undefined || typeof first === 'object')) return super.isAllowed(key, first)
    try {
      return super.isAllowed(key, readCall(...rest))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  configureRateLimit(clientId, rateLimit) {
    if (rateLimit === null) return this.configure(clientId, null)
    if (typeof rateLimit !== 'object' || Array.isArray(rateLimit)) {
      throw badOption(TypeError, 'rateLimit', 'an object such as { limit: 10, windowMs: 60000 }, or null', rateLimit)
    }
    const { windowMs, ...own } = ownOf(rateLimit)
    try {
      this.configure(clientId, { ...own, window: windowMs })
    } catch (error) {
      throw renamed(error, 'window', 'windowMs')
    }
  }
}

/** The options of a RateLimiter for those given here; `shared` is the memory of one whose limits they change. */
function translate(options, shared) {
  // Anything but an object is refused where all options are.
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return options
  const given = ownOf(options)
  const { maxRequests, timeWindowMs, fallbackMaxRequests, fallbackTimeWindowMs, ...others } = given
  const own = ownOf(others)
  for (const [name, other] of [
    ['maxRequests', 'limit'],
    ['timeWindowMs', 'window'],
    ['fallbackMaxRequests', 'fallback'],
    ['fallbackTimeWindowMs', 'fallback'],
  ]) {
    if (given[name] !== undefined && own[other] !== undefined) {
      const message = `\`${name}\` and \`${other}\` were both given: they say the same, so leave one of them out`
      throw refusal(TypeError, 'ERR_RATE_LIMIT_OPTION', message)
    }
  }
  if (maxRequests !== undefined) own.limit = maxRequests
  if (timeWindowMs !== undefined) own.window = timeWindowMs
  const isOpen = own.limit === undefined && own.window === undefined && own.limits === undefined
  if (isOpen) own.limit = 'configured'
  // Shared memory is never away.
  const hasDefault = typeof maxRequests === 'number' && own.shared === undefined && shared === undefined
  const twice = hasDefault ? Math.min(maxRequests * 2, 2 ** 32) : undefined
  const fallback = {
    limit: fallbackMaxRequests === undefined ? twice : fallbackMaxRequests,
    window: fallbackTimeWindowMs,
  }
  const hasFallback = Object.values(fallback).some((value) => value !== undefined)
  if (hasFallback && own.fallback === undefined) own.fallback = fallback
  return own
}

/** An error of the RateLimiter, with the names that the caller knows. */
function inWordsOf(options, error) {
  for (const [theirs, ours] of Object.entries(NAMES)) {
    if (Object.hasOwn(Object(options), theirs)) error = renamed(error, ours, theirs)
  }
  const given = FALLBACK.find((name) => Object.hasOwn(Object(options), name))
  return given === undefined ? error : renamed(error, 'fallback', given)
}

function renamed(error, from, to) {
  error.message = error.message.replace(`\`${from}\``, `\`${to}\``)
  return error
}

/** `action, limit, timeWindow` as the options of a call. */
function readCall(action, limit, timeWindow) {
  if (typeof action !== 'string' || action === '') {
    throw badOption(typeof action === 'string' ? RangeError : TypeError, 'action', 'a non-empty string', action)
  }
  for (const [name, value, expected] of [
    ['limit', limit, 'a whole number of calls, 1 or more'],
    ['timeWindow', timeWindow, 'a whole number of seconds, 1 or more'],
  ]) {
    const isNumber = typeof value === 'number'
    if (!Number.isInteger(value) || value < 1) {
      throw badOption(isNumber ? RangeError : TypeError, name, expected, value)
    }
  }
  return { action, limit, window: timeWindow * 1_000 }
}

module.exports = { DistributedRateLimiter }
