// A store of @fastify/rate-limit.
'use strict'

const { own } = require('../../lib/own.js')
const { Counter, LONGEST_MS } = require('./counter.js')

// How long it is remembered by how many requests a limit was exceeded, and so the longest that `exponentialBackoff` makes them wait;
// or twice the window, where that is longer.
const REMEMBERED_MS = 86_400_000

// Requests beyond the limit, where each of them makes the wait longer.
const BEYOND = 'beyond'

/** A class as the plugin's option `store` takes it. All of its stores count in one limiter. */
function rateLimitStore(options) {
  const counter = new Counter('fastify-rate-limit', options)

  class RateLimitStore {
    static limiter = counter.limiter

    #place
    #renews
    #backsOff

    constructor(options, place = '') {
      const { continueExceeding, exponentialBackoff } = own(options)
      this.#place = place
      this.#renews = continueExceeding === true
      this.#backsOff = exponentialBackoff === true
    }

    incr(key, callback, timeWindow, max) {
      answer(this.#hit(key, Math.min(timeWindow, LONGEST_MS), max), callback)
    }

    read(key, callback, timeWindow, max) {
      answer(this.#look(key, Math.min(timeWindow, LONGEST_MS), max), callback)
    }

    child(routeOptions) {
      return new RateLimitStore(routeOptions, `${this.#place}${placeOf(routeOptions)}`)
    }

    async #hit(key, windowMs, max) {
      // A window that ends as it begins never holds more than one.
      if (windowMs === 0) return { current: 1, ttl: 0 }
      const name = this.#nameOf(key)
      const { hits, leftMs } = await counter.hit(name, windowMs)
      const isBlocked = hits === undefined
      const isBeyond = isBlocked || hits > max
      if (!isBeyond || !(this.#renews || this.#backsOff)) return { current: hits ?? max + 1, ttl: Math.ceil(leftMs) }
      return this.#beyond(name, windowMs, max, { isFirst: hits === max + 1, blockedMs: isBlocked ? leftMs : 0 })
    }

    /** Counts a request beyond the limit, and from it on refuses the key for as long as it is told to wait. */
    async #beyond(name, windowMs, max, { isFirst, blockedMs }) {
      // What is remembered is of the last time.
      if (isFirst) await counter.tryToForget(name, BEYOND)
      const rememberedMs = rememberedFor(windowMs)
      const { hits = 1 } = await counter.hit(name, rememberedMs, BEYOND)
      const backOffMs = this.#renews ? windowMs : Math.min(windowMs * 2 ** (hits - 1), rememberedMs)
      // Never for shorter than it is refused already: of two requests at once the earlier may come last.
      const ttl = Math.ceil(Math.max(backOffMs, blockedMs))
      await counter.block(name, ttl)
      return { current: max + hits, ttl }
    }

    async #look(key, windowMs, max) {
      if (windowMs === 0) return { current: 0, ttl: 0 }
      const name = this.#nameOf(key)
      const { hits, leftMs } = await counter.look(name, windowMs)
      const ttl = Math.ceil(leftMs)
      if (hits !== undefined) return { current: hits, ttl }
      const beyond = await counter.look(name, rememberedFor(windowMs), BEYOND)
      return { current: max + (beyond.hits || 1), ttl }
    }

    #nameOf(key) {
      return `${this.#place}:${key}`
    }
  }

  return RateLimitStore
}

const rememberedFor = (windowMs) => Math.min(Math.max(REMEMBERED_MS, 2 * windowMs), LONGEST_MS)

/** What counts apart: a route by its method and path, what has none by its limit. */
function placeOf(routeOptions) {
  const { routeInfo, max, timeWindow } = own(routeOptions)
  const { method, url } = own(routeInfo)
  const place = url === undefined ? `${shown(max)}/${shown(timeWindow)}` : `${method} ${url}`
  // A colon ends it.
  return `(${place.replaceAll('%', '%25').replaceAll(':', '%3A')})`
}

const shown = (value) => (typeof value === 'number' ? value : 'given')

function answer(promise, callback) {
  promise.then((result) => callback(null, result), callback)
}

module.exports = { rateLimitStore }
