// Counts hits in fixed windows, as the stores of other packages do: how many there were, and when they are forgotten.
'use strict'

const { RateLimiter } = require('../../index.js')
const { refusal } = require('../../lib/errors.js')
const { own } = require('../../lib/own.js')

// The package whose store it is compares hits with its own limit, so nothing is refused here: hits beyond it are counted as well.
const MOST = 2 ** 32

// Ten years, the longest window of a limiter. What would be forgotten later is forgotten then.
const LONGEST_MS = 3_650 * 86_400_000

// What they would change is the package's affair, or cannot be counted with.
const NOT_HERE = [
  'limit',
  'window',
  'limits',
  'algorithm',
  'burst',
  'resolution',
  'align',
  'fallback',
  'actions',
  'newKeys',
  'lease',
  'cacheClient',
  'clock',
]

// With one of these, other processes count as well.
const STORES = ['redisUrl', 'redisClient', 'sentinel', 'shared']

/** What a store of `packageName` is given, over what it has by default. */
function settings(packageName, given) {
  const options = own(given)
  for (const name of NOT_HERE) {
    if (options[name] === undefined) continue
    const message = `\`${name}\` was given to a store of ${packageName}, which counts in fixed windows by the limit that ${packageName} has: leave it out`
    throw refusal(TypeError, 'ERR_RATE_LIMIT_OPTION', message)
  }
  return { prefix: packageName, ...options, limit: 'configured', algorithm: 'fixed-window' }
}

class Counter {
  #goesOn
  // By how much the store's clock is ahead of this process's.
  #aheadMs = 0

  constructor(packageName, given) {
    const options = settings(packageName, given)
    this.limiter = new RateLimiter(options)
    this.prefix = options.prefix
    this.isLocal = STORES.every((name) => options[name] === undefined)
    this.#goesOn = options.onStoreError !== 'throw'
  }

  /**
   * Counts one. Answers how many `hits` there were in a window that ends in `leftMs`, and whether the store said so: `isKnown`. Where the
   * key is refused whatever was counted, by a block or by `onStoreError: 'deny'`, `hits` is undefined.
   */
  async hit(key, windowMs, action) {
    const decision = await this.limiter.check(key, by(windowMs, action))
    // The first hit begins a window, so the store's clock has just shown its end less its length.
    if (decision.limit - decision.remaining === 1 && decision.source !== 'fallback') {
      this.#aheadMs = decision.resetAt - windowMs - Date.now()
    }
    return this.#read(decision, windowMs)
  }

  /** What is counted. */
  async look(key, windowMs, action) {
    return this.#read(await this.limiter.peek(key, by(windowMs, action)), windowMs)
  }

  /** Counts one less, where something is counted. */
  async giveBack(key, windowMs, action) {
    await this.limiter.refund(key, 1, by(windowMs, action))
  }

  /** Refuses the key for so long. While the store is away only this process does. */
  block(key, ms) {
    return this.#tolerate(this.limiter.block(key, ms))
  }

  forget(key, action) {
    return this.limiter.reset(key, action === undefined ? {} : { action })
  }

  /** The same, where it is no harm that the store does not hear of it. */
  tryToForget(key, action) {
    return this.#tolerate(this.forget(key, action))
  }

  close() {
    return this.limiter.close()
  }

  #read({ allowed, limit, remaining, retryAfterMs, resetAt, source }, windowMs) {
    const isKnown = source !== 'fallback'
    if (!allowed) return { hits: undefined, leftMs: retryAfterMs, isKnown }
    const hits = limit - remaining
    const leftMs = hits === 0 ? 0 : resetAt - (isKnown ? this.#aheadMs : 0) - Date.now()
    return { hits, leftMs: Math.min(Math.max(leftMs, 0), windowMs), isKnown }
  }

  async #tolerate(change) {
    try {
      await change
    } catch (error) {
      if (!this.#goesOn || error.code === 'ERR_RATE_LIMIT_CLOSED') throw error
    }
  }
}

function by(windowMs, action) {
  return action === undefined ? { limit: MOST, window: windowMs } : { limit: MOST, window: windowMs, action }
}

module.exports = { Counter, LONGEST_MS }
