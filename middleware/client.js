// For those who call: how long to wait, read from a response's headers, and a `fetch` that does. It loads nothing of Node, nor the addon.
'use strict'

const { badOption } = require('../lib/errors.js')
const { own } = require('../lib/own.js')
const { milliseconds } = require('./duration.js')
const { refuseUnknown } = require('../lib/unknown.js')

/** Beyond this many seconds it is no number of seconds from now, but the moment itself since 1970. */
const EARLIEST_EPOCH_S = 1_000_000_000

const DEFAULT_MAX_WAIT_MS = 30_000
const DEFAULT_RETRIES = 3

/** Where nobody says how long: the first wait at most, and each one after it twice as long. */
const FIRST_WAIT_MS = 1_000

/** Not all who were told the same are to come back at once: each adds up to this part of it. */
const SPREAD = 0.1

/**
 * Milliseconds to wait before the next request, 0 where there is nothing to wait for. Retry-After is believed before RateLimit, and that
 * before X-RateLimit-*, of which the last two count only where nothing is left. What cannot be read is as if it were not there.
 *
 * `response` has `headers` as `fetch` gives them, or as an object of Node's `http` and most clients.
 */
function backoff(response) {
  const headers = response?.headers
  if (typeof headers !== 'object' || headers === null) {
    throw badOption(TypeError, 'response', 'a response with `headers`', response)
  }
  const now = dateOf(headerOf(headers, 'date')) ?? Date.now()
  return (
    retryAfter(headerOf(headers, 'retry-after'), now) ??
    rateLimit(headerOf(headers, 'ratelimit')) ??
    xRateLimit(headerOf(headers, 'x-ratelimit-remaining'), headerOf(headers, 'x-ratelimit-reset'), now) ??
    0
  )
}

/** Seconds, or a date: by the server's own clock, where it says what that shows. */
function retryAfter(value, now) {
  if (value === undefined) return undefined
  if (/^\d{1,10}$/.test(value)) return Number(value) * 1_000
  const date = dateOf(value)
  return date === undefined ? undefined : Math.max(0, date - now)
}

/** The longest wait of the limits that have nothing left. */
function rateLimit(value) {
  if (value === undefined) return undefined
  let wait
  for (const item of itemsOf(value)) {
    const remaining = parameter(item, 'r')
    if (remaining === undefined) continue
    wait ??= 0
    if (remaining === 0) wait = Math.max(wait, (parameter(item, 't') ?? 0) * 1_000)
  }
  return wait
}

/** The items of a list of strings with parameters: a comma within quotes does not part them. */
function itemsOf(value) {
  return value.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? []
}

/** A whole number that is a parameter of the item, and not a part of its name. */
function parameter(item, name) {
  const parameters = item.replace(/"(?:[^"\\]|\\.)*"/g, '')
  const [, digits] = new RegExp(`;\\s*${name}=(\\d{1,10})\\s*(?:;|$)`).exec(parameters) ?? []
  return digits === undefined ? undefined : Number(digits)
}

/** `reset` is seconds from now, or seconds or milliseconds since 1970: servers differ. */
function xRateLimit(remaining, reset, now) {
  if (remaining === undefined || !/^\d+$/.test(remaining)) return undefined
  if (Number(remaining) > 0) return 0
  if (reset === undefined || !/^\d{1,16}(?:\.\d+)?$/.test(reset)) return undefined
  const seconds = Number(reset)
  if (seconds < EARLIEST_EPOCH_S) return Math.ceil(seconds * 1_000)
  const moment = seconds < EARLIEST_EPOCH_S * 1_000 ? seconds * 1_000 : seconds
  return Math.max(0, Math.ceil(moment - now))
}

function dateOf(value) {
  // A date of HTTP begins with the name of a day; `Date.parse` would make something of many other words.
  if (value === undefined || !/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /.test(value)) return undefined
  const moment = Date.parse(value)
  return Number.isNaN(moment) ? undefined : moment
}

function headerOf(headers, name) {
  let value = headers[name]
  if (typeof headers.get === 'function') value = headers.get(name)
  else if (value === undefined) {
    const written = Object.keys(headers).find((key) => key.toLowerCase() === name)
    value = written === undefined ? undefined : headers[written]
  }
  if (value === undefined || value === null) return undefined
  return (Array.isArray(value) ? value.join(', ') : String(value)).trim()
}

/**
 * `fetch`, which asks again when it is told 429 or 503: after as long as the response says and a little, or where it says nothing after a
 * second, two, four, more or less. It gives the last response back as it is when `retries` are used up, when the waits of one call would be
 * longer than `maxWait` altogether, and when the body is a stream, which can be sent but once.
 */
function withBackoff(fetch, options = {}) {
  if (typeof fetch !== 'function') throw badOption(TypeError, 'fetch', 'a function such as fetch', fetch)
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw badOption(TypeError, 'options', "an object such as { maxWait: '30s' }", options)
  }
  const given = own(options)
  refuseUnknown('`withBackoff`', given, ['maxWait', 'retries'])
  const { maxWait = DEFAULT_MAX_WAIT_MS, retries = DEFAULT_RETRIES } = given
  const patience = milliseconds('maxWait', maxWait)
  const expected = 'a whole number from 0 to 100'
  if (typeof retries !== 'number') throw badOption(TypeError, 'retries', expected, retries)
  if (!Number.isInteger(retries) || retries < 0 || retries > 100) {
    throw badOption(RangeError, 'retries', expected, retries)
  }

  return async function fetchWithBackoff(input, init) {
    const isRequest = typeof input?.clone === 'function'
    const canRepeat = !isStream(init?.body)
    const signal = init?.signal ?? (isRequest ? input.signal : undefined)
    let left = patience
    for (let attempt = 0; ; attempt += 1) {
      const isLast = attempt === retries || !canRepeat
      const response = await fetch(isRequest && !isLast ? input.clone() : input, init)
      if (isLast || (response.status !== 429 && response.status !== 503)) return response
      const wait = waitOf(response, attempt, left)
      if (wait > left) return response
      // Its connection is free for the next one.
      await response.body?.cancel?.()
      await sleep(wait, signal)
      left -= wait
    }
  }
}

/** The time until the next attempt, spread where there is patience for it: never less than was said. */
function waitOf(response, attempt, left) {
  const said = backoff(response)
  if (said > left) return said
  if (said > 0) return Math.min(left, said * (1 + SPREAD * Math.random()))
  return FIRST_WAIT_MS * 2 ** attempt * (0.5 + Math.random() / 2)
}

const isStream = (body) => typeof body?.getReader === 'function' || typeof body?.[Symbol.asyncIterator] === 'function'

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const abort = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, Math.ceil(ms))
    signal?.addEventListener('abort', abort, { once: true })
  })
}

module.exports = { backoff, withBackoff }
