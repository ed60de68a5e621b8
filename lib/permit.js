// Leave to have something under way, kept alive by its holder's heartbeat until it is released, lost, or its holder is gone.
'use strict'

const { holdOf } = require('./reservation.js')

/** A permit is renewed so often in the time after which it would end: one answer may be lost, and one be late. */
const BEATS = 3

class Permit {
  #holds
  #key
  #ttl
  #ended
  #hold
  #beat
  #end
  #renewing
  #released
  #abort = new AbortController()

  /** `askedAt` is before the store was asked, so what it has granted ends no sooner than `ttl` after it. */
  constructor(holds, key, ttl, askedAt, { booked, ...decision }, ended) {
    const { allowed, limit, remaining, retryAfterMs, retryAfter, source } = decision
    Object.assign(this, { acquired: allowed, limit, remaining, retryAfterMs, retryAfter, source })
    /** Epoch milliseconds; 0 where nothing is held. */
    this.expiresAt = booked / 1_000
    this.signal = this.#abort.signal
    this.#holds = holds
    this.#key = key
    this.#ttl = ttl
    this.#ended = ended
    this.#hold = holdOf({ ...decision, booked })
    if (this.isHeld) this.#live(askedAt)
  }

  /** Whether there is something to release. */
  get isHeld() {
    return this.acquired && this.#hold.ends > 0 && this.#released === undefined && !this.signal.aborted
  }

  /** Resolves when the store has heard of it, or cannot: then the permit ends by itself. */
  release() {
    this.#released ??= this.isHeld ? this.#release() : Promise.resolve()
    return this.#released
  }

  [Symbol.asyncDispose]() {
    return this.release()
  }

  async #release() {
    this.#stop()
    // A renewal that is under way gives it another end, by which it is released.
    await this.#renewing
    await this.#holds.settle(this.#key, 0, this.#hold).catch(() => {})
    this.#ended(this)
  }

  #live(askedAt) {
    this.#beat = setInterval(() => this.#renew(), this.#ttl / BEATS).unref()
    this.#expectEnd(askedAt)
  }

  #stop() {
    clearInterval(this.#beat)
    clearTimeout(this.#end)
  }

  #expectEnd(askedAt) {
    clearTimeout(this.#end)
    const left = Math.max(askedAt + this.#ttl - performance.now(), 0)
    this.#end = setTimeout(() => this.#lose('it could not be renewed in time'), left).unref()
  }

  #renew() {
    this.#renewing ??= this.#ask().finally(() => (this.#renewing = undefined))
  }

  async #ask() {
    const askedAt = performance.now()
    let answer
    try {
      answer = await this.#holds.renew(this.#key, this.#ttl, this.#hold)
    } catch {
      // Nobody knows; the next beat asks again, and the end comes by itself.
      return
    }
    if (answer.booked > 0) {
      this.#hold.ends = answer.booked
      this.expiresAt = answer.booked / 1_000
      if (this.#released === undefined) this.#expectEnd(askedAt)
    } else if (this.#hold.here || answer.source !== 'fallback') {
      // The fallback knows nothing of what the store has granted.
      this.#lose('it was reset, or the store has lost it')
    }
  }

  #lose(why) {
    if (this.signal.aborted || this.#released !== undefined) return
    this.#stop()
    this.#abort.abort(new Error(`the permit is lost: ${why}`))
    this.#ended(this)
  }
}

module.exports = { Permit }
