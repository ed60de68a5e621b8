// Whom a request is counted for: functions to give as `key`, each called with the request and with what tells its client's address.
'use strict'

const { createHash } = require('node:crypto')
const { badOption, refusal } = require('../lib/errors.js')
const { own } = require('../lib/own.js')

/** By the client's address: what is done where no `key` is given. */
function byAddress() {
  return (request, addressOf) => addressOf(request)
}

/** By the value of a header, and by the address where there is none or an empty one. Anybody can write any header. */
function byHeader(name) {
  const field = headerName(name)
  return (request, addressOf) => {
    const value = headerOf(request, field)
    return value === undefined || value === '' ? addressOf(request) : `${field}:${value}`
  }
}

/**
 * By what `identify` makes of the request: a string or a number, or the promise of one. Where it is `undefined`, `null` or the empty
 * string nobody is logged in, and the address counts.
 */
function byUser(identify) {
  if (typeof identify !== 'function') {
    throw badOption(TypeError, 'byUser', 'given a function such as (request) => request.user?.id', identify)
  }
  const keyOf = (id, request, addressOf) => {
    if (id === undefined || id === null || id === '') return addressOf(request)
    if (typeof id !== 'string' && !Number.isFinite(id) && typeof id !== 'bigint') {
      throw refusal(
        TypeError,
        'ERR_RATE_LIMIT_KEY',
        'the function of `byUser` must give a string, a number, or nothing',
      )
    }
    return `user:${id}`
  }
  return (request, addressOf) => {
    const id = identify(request)
    if (typeof id?.then === 'function') return id.then((known) => keyOf(known, request, addressOf))
    return keyOf(id, request, addressOf)
  }
}

/**
 * By an API key in a header, of which no store sees more than a digest: keys are secrets, and a SHA-256 of one that was made by
 * chance tells nothing of it. By the address where there is none. Whether the key is a good one is the application's to say.
 */
function byApiKey(name = 'x-api-key') {
  const field = headerName(name)
  return (request, addressOf) => {
    const value = headerOf(request, field)
    return value === undefined || value === '' ? addressOf(request) : `api-key:${digest(value)}`
  }
}

/**
 * By the route, such as `GET /users/:id`: as an `action`, each route is counted apart for each key; as a `key`, all callers of a route
 * share one limit. It is the route's pattern and never the path, which a client could vary to have as many limits as it likes. Where
 * no pattern is known, as in an Express application before its router, it is `*`.
 */
function byRoute() {
  return (request) => `${request.method ?? request.req?.method} ${patternOf(request)}`
}

/** One key of several: `together(byRoute(), byAddress())`. Different parts never make the same key. */
function together(...keys) {
  if (keys.length === 0) throw badOption(TypeError, 'together', 'given functions such as byAddress()', undefined)
  for (const key of keys) checkFunction('together', key)
  const join = (parts) => parts.map((part) => (typeof part === 'string' ? escaped(part) : missing(part))).join('|')
  return (request, addressOf) => {
    const parts = keys.map((key) => key(request, addressOf))
    return parts.some(isPromise) ? Promise.all(parts).then(join) : join(parts)
  }
}

/** A key of several fields, for `limits` that say `by`: `fields({ user: byUser(…), ip: byAddress() })`. */
function fields(keys) {
  if (typeof keys !== 'object' || keys === null || Array.isArray(keys)) {
    throw badOption(TypeError, 'fields', 'given an object such as { user: byUser(…), ip: byAddress() }', keys)
  }
  const entries = Object.entries(own(keys))
  for (const [name, key] of entries) checkFunction(`fields.${name}`, key)
  return (request, addressOf) => {
    const key = {}
    let hasPromise = false
    for (const [name, keyOf] of entries) {
      key[name] = keyOf(request, addressOf)
      hasPromise ||= isPromise(key[name])
    }
    return hasPromise ? settled(key) : key
  }
}

async function settled(key) {
  for (const name of Object.keys(key)) key[name] = await key[name]
  return key
}

const isPromise = (value) => typeof value?.then === 'function'

/** With a part that is missing there is no key, and the guard says so. */
function missing(part) {
  throw refusal(TypeError, 'ERR_RATE_LIMIT_KEY', `a part of the key must be a non-empty string, but it was ${part}`)
}

const escaped = (part) => (/[%|]/.test(part) ? part.replace(/%/g, '%25').replace(/\|/g, '%7C') : part)

const digest = (text) => createHash('sha256').update(text).digest('base64url')

/** A header of the request, in whichever framework: a string, or `undefined`. */
function headerOf(request, name) {
  const { headers } = request
  if (headers === undefined) return request.req.header(name)
  const value = typeof headers.get === 'function' ? headers.get(name) : headers[name]
  return value === null ? undefined : Array.isArray(value) ? value.join(', ') : value
}

/** Express, Fastify, the routers of Koa, Hono: each has it elsewhere. */
function patternOf(request) {
  const { route } = request
  if (route?.path !== undefined) return `${request.baseUrl ?? ''}${route.path}`
  const pattern = request.routeOptions?.url ?? request._matchedRoute ?? request.req?.routePath
  return pattern === undefined ? '*' : String(pattern)
}

function headerName(name) {
  const expected = 'the name of a header'
  if (typeof name !== 'string') throw badOption(TypeError, 'name', expected, name)
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw badOption(RangeError, 'name', expected, name)
  return name.toLowerCase()
}

function checkFunction(name, key) {
  if (typeof key !== 'function') throw badOption(TypeError, name, 'a function such as byAddress()', key)
}

module.exports = { byAddress, byApiKey, byHeader, byRoute, byUser, fields, together }
