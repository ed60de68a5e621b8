// The class that applications see: a thin face over native functions, every rule of which is in Rust.
'use strict'

const { EventEmitter } = require('node:events')
const native = require('./binding.js')

// A decision as numbers, written by Rust (src/binding/row.rs) and read at once: an object literal made here costs a tenth of
// an object built through Node-API.
const row = new Float64Array(new ArrayBuffer(8 * 8))
const SOURCES = ['redis', 'memory', 'fallback']

function decisionOf() {
  return {
    allowed: row[0] === 1,
    limit: row[1],
    remaining: row[2],
    retryAfterMs: row[3],
    retryAfter: row[4],
    resetAt: row[5],
    delayMs: row[6],
    source: SOURCES[row[7]],
  }
}

// What is known at once is answered by a promise that exists already.
const ALLOWED = Promise.resolve(true)
const DENIED = Promise.resolve(false)
const DONE = Promise.resolve()

const TELL = Symbol('tell')

// Weak, so that a limiter which the application has dropped can be collected, and its connection closed.
const limiters = new Map()
const collected = new FinalizationRegistry((id) => limiters.delete(id))

function tell(id, event, error) {
  limiters.get(id)?.deref()?.[TELL](event, error)
}

native.install(row, decisionOf, tell)

class RateLimiter extends EventEmitter {
  #native
  #logger
  #isDown = false
  #closed
  #isAllowed
  #isAllowedSync
  #check
  #peek
  #reset
  #ready
  #close

  constructor(options) {
    super()
    this.#native = new native.RateLimiter(options)
    this.#logger = Object.hasOwn(options, 'logger') ? options.logger : undefined
    const calls = this.#native.calls()
    this.#isAllowed = calls.isAllowed
    this.#isAllowedSync = calls.isAllowedSync
    this.#check = calls.check
    this.#peek = calls.peek
    this.#reset = calls.reset
    this.#ready = calls.ready
    this.#close = calls.close
    limiters.set(this.#native.id, new WeakRef(this))
    collected.register(this, this.#native.id)
  }

  isAllowed(key, options) {
    try {
      const answer = options === undefined ? this.#isAllowed(key) : this.#isAllowed(key, options)
      return answer === true ? ALLOWED : answer === false ? DENIED : answer
    } catch (error) {
      return Promise.reject(error)
    }
  }

  isAllowedSync(key, options) {
    return this.#isAllowedSync(key, options)
  }

  check(key, options) {
    try {
      const answer = options === undefined ? this.#check(key) : this.#check(key, options)
      return answer === undefined ? Promise.resolve(decisionOf()) : answer
    } catch (error) {
      return Promise.reject(error)
    }
  }

  peek(key, options) {
    try {
      return this.#peek(key, options) ?? Promise.resolve(decisionOf())
    } catch (error) {
      return Promise.reject(error)
    }
  }

  reset(key) {
    try {
      return this.#reset(key) ?? DONE
    } catch (error) {
      return Promise.reject(error)
    }
  }

  ready(options) {
    try {
      return this.#ready(options) ?? DONE
    } catch (error) {
      return Promise.reject(error)
    }
  }

  close() {
    this.#closed ??= this.#close() ?? DONE
    return this.#closed
  }

  stats() {
    return this.#native.stats()
  }

  // In a tick of its own: a listener that throws is its owner's error, and must not stop answers from being delivered.
  [TELL](event, error) {
    process.nextTick(() => {
      if (event === 'storeDown') {
        this.#isDown = true
        this.#logger?.error(`distributed-rate-limiter: ${error.message}`)
        this.emit(event, error)
        return
      }
      if (this.#isDown) this.#logger?.warn('distributed-rate-limiter: Redis answers again')
      this.#isDown = false
      this.emit(event)
    })
  }
}

module.exports = { RateLimiter }
