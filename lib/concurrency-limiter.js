// How much is under way at once, across all processes that share the store.
'use strict'

const { EventEmitter } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')
const { toMilliseconds } = require('./duration.js')
const { refusal } = require('./errors.js')
const { own } = require('./own.js')
const { Permit } = require('./permit.js')
const { HOLDS, OF_HOLDS, RateLimiter } = require('./rate-limiter.js')
const { readOptions } = require('./waiting-room.js')

const DEFAULT_TTL = '30s'

// Whoever waits asks again after this long, and then more and more seldom: nobody tells it that another process has let go.
const FIRST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 100

const EVENTS = ['storeDown', 'storeUp', 'storeEvicts', 'close']

class ConcurrencyLimiter extends EventEmitter {
  #limiter
  #holds
  #ttl
  #permits = new Set()
  /** Of each key those who wait, in the order in which they came. */
  #lines = new Map()
  /** The calls whose answers are still to come. */
  #asking = new Set()
  #waiting = 0
  #closed

  constructor(options) {
    super()
    this.#limiter = new RateLimiter(options, OF_HOLDS)
    this.#holds = this.#limiter[HOLDS]
    this.#ttl = toMilliseconds(own(options).ttl ?? DEFAULT_TTL)
    for (const event of EVENTS) this.#limiter.on(event, (...what) => this.emit(event, ...what))
  }

  async acquire(key, options = {}) {
    const { maxWait, signal, call } = readOptions(options)
    const deadline = performance.now() + (maxWait === undefined ? 0 : this.#holds.patience(maxWait))
    signal?.throwIfAborted()
    // Who would wait stands behind those who do.
    const line = this.#lines.get(key)
    if (line === undefined || deadline <= performance.now()) {
      const permit = await this.#ask(key, call)
      if (permit.acquired || deadline <= performance.now()) return this.#unlessGone(permit, signal)
    }
    this.#waiting += 1
    try {
      return await this.#unlessGone(await this.#waitInLine(key, call, deadline, signal), signal)
    } finally {
      this.#waiting -= 1
    }
  }

  peek(key, options) {
    return this.#limiter.peek(key, options)
  }

  ready(options) {
    return this.#limiter.ready(options)
  }

  stats() {
    return { ...this.#limiter.stats(), held: this.#permits.size, waiting: this.#waiting }
  }

  close() {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close() {
    for (const line of this.#lines.values()) line.forEach((waiter) => waiter.wake())
    await Promise.allSettled(this.#asking)
    await Promise.all([...this.#permits].map((permit) => permit.release()))
    await this.#limiter.close()
  }

  /** Asks the store once. */
  async #ask(key, call) {
    if (this.#closed !== undefined) {
      throw refusal(Error, 'ERR_RATE_LIMIT_CLOSED', 'this limiter has been closed: make a new one')
    }
    const asking = this.#permitOf(key, call)
    this.#asking.add(asking)
    try {
      return await asking
    } finally {
      this.#asking.delete(asking)
    }
  }

  async #permitOf(key, call) {
    const askedAt = performance.now()
    const decision = await this.#holds.hold(key, call, this.#ttl)
    const permit = new Permit(this.#holds, key, this.#ttl, askedAt, decision, (ended) => {
      this.#permits.delete(ended)
      this.#lines.get(key)?.[0]?.wake()
    })
    if (permit.isHeld) this.#permits.add(permit)
    return permit
  }

  /** A permit for somebody who has given up meanwhile is released. */
  async #unlessGone(permit, signal) {
    if (!signal?.aborted) return permit
    await permit.release()
    throw signal.reason
  }

  async #waitInLine(key, call, deadline, signal) {
    const line = this.#lines.get(key) ?? []
    this.#lines.set(key, line)
    const waiter = new Waiter(deadline, signal)
    line.push(waiter)
    try {
      while (line[0] !== waiter && !waiter.isDone() && this.#closed === undefined) await waiter.pause(Infinity)
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
        const permit = await this.#ask(key, call)
        if (permit.acquired || waiter.isDone()) return permit
        await waiter.pause(Math.min(pause, permit.retryAfterMs))
      }
    } finally {
      line.splice(line.indexOf(waiter), 1)
      if (line.length === 0) this.#lines.delete(key)
      else line[0].wake()
    }
  }
}

/** Somebody who waits until a deadline, or until they give up. */
class Waiter {
  #deadline
  #signal
  #wake

  constructor(deadline, signal) {
    this.#deadline = deadline
    this.#signal = signal
  }

  isDone() {
    return this.#signal?.aborted === true || performance.now() >= this.#deadline
  }

  wake() {
    this.#wake?.abort()
  }

  /** Resolves after `ms`, at the deadline, when it is woken, or when the caller gives up. */
  async pause(ms) {
    this.#wake = new AbortController()
    const signals = this.#signal === undefined ? [this.#wake.signal] : [this.#wake.signal, this.#signal]
    const left = Math.max(Math.min(ms, this.#deadline - performance.now()), 0)
    await sleep(Math.ceil(left), undefined, { signal: AbortSignal.any(signals) }).catch(() => {})
  }
}

module.exports = { ConcurrencyLimiter }
