// The dashboard's options, each checked once: who may look, and whether anything may be changed.
'use strict'

const { badOption, refusal } = require('../../lib/errors.js')
const { own } = require('../../lib/own.js')
const { refuseUnknown } = require('../../lib/unknown.js')

const KNOWN = ['authorize', 'open', 'admin', 'challenge', 'title', 'path']

const NEVER_OPEN =
  'a dashboard shows keys, so it is served to nobody until somebody says to whom: give `authorize: (req) => boolean`, ' +
  'or say `open: true` where whoever can reach it may see it'

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
const isLimiter = (value) => typeof value?.stats === 'function' && typeof value?.peek === 'function'

/** The limiters by their names; one that was given alone is called `limiter`. */
function limitersOf(given) {
  if (isLimiter(given)) return new Map([['limiter', given]])
  const limiters = new Map(isObject(given) ? Object.entries(given) : [])
  if (limiters.size === 0 || ![...limiters.values()].every(isLimiter)) {
    throw badOption(TypeError, 'limiter', 'a RateLimiter, or an object of them by their names', given)
  }
  return limiters
}

/** What was given, checked, with the defaults of the rest. */
function optionsOf(given = {}) {
  if (!isObject(given)) throw badOption(TypeError, 'options', 'an object', given)
  refuseUnknown('the dashboard', given, KNOWN)
  const { authorize, open = false, admin = false, challenge, title = 'Rate limits', path = '' } = own(given)
  if (authorize !== undefined && typeof authorize !== 'function') {
    throw badOption(TypeError, 'authorize', 'a function of the request that answers true or false', authorize)
  }
  if (typeof open !== 'boolean') throw badOption(TypeError, 'open', 'true or false', open)
  if (typeof admin !== 'boolean') throw badOption(TypeError, 'admin', 'true or false', admin)
  if (typeof title !== 'string' || title === '') throw badOption(TypeError, 'title', 'a non-empty string', title)
  if (challenge !== undefined && !isHeaderValue(challenge)) {
    throw badOption(
      TypeError,
      'challenge',
      'the value of a WWW-Authenticate header, such as \'Basic realm="limits"\'',
      challenge,
    )
  }
  if (typeof path !== 'string' || !/^(\/[^/?#]+)*\/?$/.test(path)) {
    throw badOption(TypeError, 'path', "the path that the dashboard is served under, such as '/limits'", path)
  }
  if (authorize === undefined && admin) {
    const message =
      '`admin: true` lets viewers block and reset keys, so it needs `authorize`, a function that says who they are'
    throw refusal(TypeError, 'ERR_RATE_LIMIT_OPTION', message)
  }
  if (authorize === undefined && !open) throw refusal(TypeError, 'ERR_RATE_LIMIT_OPTION', NEVER_OPEN)
  if (authorize !== undefined && open) {
    const message = '`open: true` would let in whom `authorize` refuses: give one of them'
    throw refusal(TypeError, 'ERR_RATE_LIMIT_OPTION', message)
  }
  return { authorize, admin, challenge, title, path: path.replace(/\/$/, '') }
}

const isHeaderValue = (value) => typeof value === 'string' && /^[\x20-\x7e]+$/.test(value)

module.exports = { limitersOf, optionsOf }
