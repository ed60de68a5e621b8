// A store of express-rate-limit.
'use strict'

const { Counter, LONGEST_MS } = require('./counter.js')
const { Era } = require('./era.js')

// What express-rate-limit has by default.
const WINDOW_MS = 60_000

class RateLimitStore {
  #counter
  #era
  #windowMs = WINDOW_MS
  // As far as it is known before a request: it may be a function of each.
  #limit = Number.MAX_SAFE_INTEGER - 1

  constructor(options) {
    this.#counter = new Counter('express-rate-limit', options)
    this.#era = new Era(this.#counter)
    this.localKeys = this.#counter.isLocal
    this.prefix = this.#counter.prefix
  }

  get limiter() {
    return this.#counter.limiter
  }

  init({ windowMs, limit }) {
    this.#windowMs = Math.min(windowMs, LONGEST_MS)
    if (typeof limit === 'number') this.#limit = limit
  }

  async increment(key) {
    return this.#told(await this.#counter.hit(nameOf(key), this.#windowMs, await this.#era.action()))
  }

  async decrement(key) {
    await this.#counter.giveBack(nameOf(key), this.#windowMs, await this.#era.action())
  }

  async get(key) {
    const read = await this.#counter.look(nameOf(key), this.#windowMs, await this.#era.action())
    return read.hits === 0 ? undefined : this.#told(read)
  }

  resetKey(key) {
    return mayBeDropped(this.#forget(key))
  }

  resetAll() {
    return mayBeDropped(this.#era.next())
  }

  shutdown() {
    return this.#counter.close()
  }

  async #forget(key) {
    await this.#counter.forget(nameOf(key), await this.#era.action())
  }

  #told({ hits, leftMs }) {
    return { totalHits: hits ?? this.#limit + 1, resetTime: new Date(Date.now() + Math.ceil(leftMs)) }
  }
}

/** A `keyGenerator` may give whatever it likes, and an id that is a number is as good as one that is a string. */
function nameOf(key) {
  return String(key) || '(empty)'
}

/** The types of express-rate-limit do not say that there is something to wait for, and who does not must not end the process. */
function mayBeDropped(promise) {
  promise.catch(() => {})
  return promise
}

module.exports = { RateLimitStore }
