// The options that every framework's middleware has, each checked once.
'use strict'

const { badOption } = require('../lib/errors.js')
const { own } = require('../lib/own.js')
const { DEFAULT_IPV6_PREFIX, forwarded, xForwardedFor } = require('./address.js')
const { milliseconds } = require('./duration.js')
const { refuseUnknown } = require('../lib/unknown.js')

const NAMES = [
  'limiter',
  'key',
  'cost',
  'action',
  'priority',
  'skip',
  'onDenied',
  'status',
  'headers',
  'message',
  'countOnly',
  'queue',
  'trustProxy',
  'ipv6Prefix',
]
const HEADERS = ['draft', 'legacy', 'partitionKey', 'quotaUnit']

/** How long a request waits where `queue` is `true`: a client that waits holds a connection. */
const DEFAULT_MAX_WAIT_MS = 10_000

/** What a guard uses of a limiter. */
const METHODS = ['check', 'acquire', 'refund', 'policies']

/** `hasFrameworkSetting` says whether the framework itself can be told which proxies to trust; `more` names options of its own. */
function readOptions(options, { hasFrameworkSetting, more = [] }) {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw badOption(TypeError, 'options', 'an object such as { limiter }', options)
  }
  const given = own(options)
  refuseUnknown('the middleware', given, [...NAMES, ...more])
  const { limiter, key, cost, action, skip, onDenied, status = 429, message, countOnly, priority } = given
  const { ipv6Prefix = DEFAULT_IPV6_PREFIX } = given
  checkLimiter(limiter)
  for (const [name, value] of Object.entries({ key, skip, onDenied })) optional(name, value, 'a function', ['function'])
  optional('cost', cost, 'a whole number of units, or a function that gives one', ['number', 'function'])
  optional('action', action, 'a string, or a function that gives one', ['string', 'function'])
  optional('priority', priority, 'a string, or a function that gives one', ['string', 'function'])
  whole('status', status, 400, 599, 'a status from 400 to 599')
  whole('ipv6Prefix', ipv6Prefix, 32, 128, 'a whole number of bits from 32 to 128')
  optional('message', message, 'a text, an object, or a function that gives one', ['string', 'object', 'function'])
  if (countOnly !== undefined && countOnly !== 'failed' && countOnly !== 'successful') {
    const Kind = typeof countOnly === 'string' ? RangeError : TypeError
    throw badOption(Kind, 'countOnly', "'failed' or 'successful'", countOnly)
  }
  return {
    limiter,
    key,
    cost,
    action,
    priority,
    skip,
    onDenied,
    status,
    message,
    countOnly,
    ipv6Prefix,
    headers: readHeaders(given.headers),
    maxWait: readQueue(given.queue),
    proxies: readTrustProxy(given.trustProxy, hasFrameworkSetting),
  }
}

function checkLimiter(limiter) {
  const isLimiter = METHODS.every((method) => typeof limiter?.[method] === 'function')
  if (!isLimiter) throw badOption(TypeError, 'limiter', 'a RateLimiter', limiter)
}

function readHeaders(headers = true) {
  if (typeof headers === 'boolean') return { draft: headers, legacy: false, partitionKey: false }
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    throw badOption(TypeError, 'headers', 'true, false, or an object such as { legacy: true }', headers)
  }
  const given = own(headers)
  refuseUnknown('`headers`', given, HEADERS)
  const { draft = true, legacy = false, partitionKey = false, quotaUnit } = given
  for (const [name, value] of Object.entries({ draft, legacy, partitionKey })) {
    if (typeof value !== 'boolean') throw badOption(TypeError, `headers.${name}`, 'true or false', value)
  }
  if (quotaUnit !== undefined) {
    const expected = "a unit such as 'content-bytes', 1 to 64 letters, digits, `-`, `_` or `.`"
    if (typeof quotaUnit !== 'string') throw badOption(TypeError, 'headers.quotaUnit', expected, quotaUnit)
    if (!/^[\w.-]{1,64}$/.test(quotaUnit)) throw badOption(RangeError, 'headers.quotaUnit', expected, quotaUnit)
  }
  return { draft, legacy, partitionKey, quotaUnit }
}

/** The longest wait in milliseconds; `undefined` where nobody waits. */
function readQueue(queue = false) {
  if (typeof queue === 'boolean') return queue ? DEFAULT_MAX_WAIT_MS : undefined
  if (typeof queue !== 'object' || queue === null || Array.isArray(queue)) {
    throw badOption(TypeError, 'queue', "true, or an object such as { maxWait: '5s' }", queue)
  }
  const given = own(queue)
  refuseUnknown('`queue`', given, ['maxWait'])
  return given.maxWait === undefined ? DEFAULT_MAX_WAIT_MS : milliseconds('queue.maxWait', given.maxWait)
}

/** `undefined` where the framework's word is taken; otherwise how many proxies are before this process, and where they say whom they serve. */
function readTrustProxy(trustProxy, hasFrameworkSetting) {
  if (trustProxy === undefined) return hasFrameworkSetting ? undefined : { hops: 0 }
  const expected = hasFrameworkSetting
    ? "a number of proxies from 0 to 32, { hops, header }, or 'framework'"
    : 'a number of proxies from 0 to 32, or { hops, header }'
  if (typeof trustProxy === 'string') {
    if (trustProxy === 'framework' && hasFrameworkSetting) return undefined
    throw badOption(RangeError, 'trustProxy', expected, trustProxy)
  }
  if (typeof trustProxy === 'number') return proxies(trustProxy, 'x-forwarded-for', expected)
  if (typeof trustProxy !== 'object' || trustProxy === null || Array.isArray(trustProxy)) {
    throw badOption(TypeError, 'trustProxy', expected, trustProxy)
  }
  const given = own(trustProxy)
  refuseUnknown('`trustProxy`', given, ['hops', 'header'])
  return proxies(given.hops, given.header ?? 'x-forwarded-for', expected)
}

function proxies(hops, header, expected) {
  whole('trustProxy', hops, 0, 32, expected)
  if (header !== 'x-forwarded-for' && header !== 'forwarded') {
    const Kind = typeof header === 'string' ? RangeError : TypeError
    throw badOption(Kind, 'trustProxy.header', "'x-forwarded-for' or 'forwarded'", header)
  }
  return { hops, header, entriesOf: header === 'forwarded' ? forwarded : xForwardedFor }
}

function optional(name, value, expected, kinds) {
  if (value !== undefined && (value === null || !kinds.includes(typeof value))) {
    throw badOption(TypeError, name, expected, value)
  }
}

function whole(name, value, least, most, expected) {
  if (typeof value !== 'number') throw badOption(TypeError, name, expected, value)
  if (!Number.isInteger(value) || value < least || value > most) throw badOption(RangeError, name, expected, value)
}

module.exports = { readOptions }
