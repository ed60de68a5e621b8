// The class that applications see: a thin face over native functions, every rule of which is in Rust.
'use strict'

const { EventEmitter } = require('node:events')
const native = require('./native.js')
const { employ, release, work } = require('./clients/bridge.js')
const { adapterOf } = require('./clients/index.js')
const { row, decisionOf } = require('./decision.js')
const { WaitingRoom } = require('./waiting-room.js')

// What is known at once is answered by a promise that exists already.
const ALLOWED = Promise.resolve(true)
const DENIED = Promise.resolve(false)
const DONE = Promise.resolve()

const TELL = Symbol('tell')

// Weak, so that a limiter which the application has dropped can be collected, and its connection closed.
const limiters = new Map()
const collected = new FinalizationRegistry((id) => limiters.delete(id))

function tell(id, event, what) {
  limiters.get(id)?.deref()?.[TELL](event, what)
}

native.install(row, decisionOf, tell, work, release)

/** A decision that a native function has made at once, or the promise of one. */
function decided(answer) {
  return answer === undefined || Array.isArray(answer) ? Promise.resolve(decisionOf(answer)) : answer
}

class RateLimiter extends EventEmitter {
  #native
  #logger
  #isDown = false
  #closed
  #waiting
  #calls
  #isAllowed
  #isAllowedSync
  #check

  constructor(options) {
    super()
    const adapter = adapterOf(options)
    this.#native = new native.RateLimiter(options, adapter)
    if (adapter !== undefined) employ(this.#native.id, adapter)
    this.#logger = Object.hasOwn(options, 'logger') ? options.logger : undefined
    this.#calls = this.#native.calls()
    // Those that are called once a request.
    this.#isAllowed = this.#calls.isAllowed
    this.#isAllowedSync = this.#calls.isAllowedSync
    this.#check = this.#calls.check
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
    return options === undefined ? this.#isAllowedSync(key) : this.#isAllowedSync(key, options)
  }

  check(key, options) {
    try {
      return decided(options === undefined ? this.#check(key) : this.#check(key, options))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  peek(key, options) {
    return this.#decide(() => this.#calls.peek(key, ...given(options)))
  }

  refund(key, cost, options) {
    return this.#decide(() => this.#calls.refund(key, cost, ...given(options)))
  }

  penalty(key, cost, options) {
    return this.#decide(() => this.#calls.penalty(key, cost, ...given(options)))
  }

  block(key, duration, options) {
    return this.#do(() => this.#calls.block(key, duration, ...given(options)))
  }

  unblock(key, options) {
    return this.#do(() => this.#calls.unblock(key, ...given(options)))
  }

  reset(key, options) {
    return this.#do(() => this.#calls.reset(key, ...given(options)))
  }

  async checkRequest(userId, timestamp) {
    const options = timestamp === undefined ? undefined : { timestamp }
    const { allowed, retryAfter } = await this.check(userId, options)
    return { allowRequest: allowed, retryAfter }
  }

  acquire(key, options) {
    this.#waiting ??= new WaitingRoom({
      patience: this.#calls.patience,
      reserve: (key, options, patience) => this.#decide(() => this.#calls.reserve(key, options, patience)),
      peek: (key, options) => this.peek(key, options),
      giveBack: (key, cost, options) => this.#do(() => this.#calls.giveBack(key, cost, options)),
    })
    return this.#waiting.acquire(key, options)
  }

  configure(key, limit) {
    this.#calls.configure(key, limit)
  }

  ready(options) {
    return this.#do(() => this.#calls.ready(options))
  }

  close() {
    if (this.#closed === undefined) {
      this.#calls.close()
      const finish = () => this.#do(this.#calls.finish)
      this.#closed = this.#waiting === undefined ? finish() : this.#waiting.close().then(finish)
    }
    return this.#closed
  }

  policies() {
    return this.#native.policies()
  }

  stats() {
    return this.#native.stats()
  }

  #decide(call) {
    try {
      return decided(call())
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #do(call) {
    try {
      return call() ?? DONE
    } catch (error) {
      return Promise.reject(error)
    }
  }

  // In a tick of its own: a listener that throws is its owner's error, and must not stop answers from being delivered.
  [TELL](event, what) {
    process.nextTick(() => {
      this.#log(event, what)
      this.emit(event, ...(what === undefined ? [] : [what]))
    })
  }

  #log(event, what) {
    const logger = this.#logger
    if (event === 'storeDown') {
      this.#isDown = true
      logger?.error(`distributed-rate-limiter: ${what.message}`)
    } else if (event === 'storeUp') {
      if (this.#isDown) logger?.warn('distributed-rate-limiter: Redis answers again')
      this.#isDown = false
    } else if (event === 'fleetUnknown') {
      logger?.warn(`distributed-rate-limiter: no share of the fallback is known: ${what.message}`)
    } else if (event === 'storeEvicts') {
      logger?.warn(
        `distributed-rate-limiter: Redis may evict keys (maxmemory-policy is ${what}), and an evicted key has its limit once more: set noeviction`,
      )
    }
  }
}

/** Options as the last argument, or none: a call without any is the faster one. */
function given(options) {
  return options === undefined ? [] : [options]
}

module.exports = { RateLimiter }
