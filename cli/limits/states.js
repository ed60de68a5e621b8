// What is counted of a key, as the limiter itself reads it: nothing here knows how a state is written.
//
// A limiter asks for keys by names that stand for the real ones, and the client that it has been given exchanges them on the
// way. So every key can be asked for that is in Redis, also one of which only a digest stands there, in batches and by the
// script that the application uses; and what is freed or blocked is told to its processes by the channel of the real name.
//
// Where the limit's numbers are not known, the largest that there can be are used. All units that the state holds then count,
// and only a block refuses a call: so both are seen. When the units come back is not. Units that are held count as used.
'use strict'

const { RateLimiter } = require('../../index.js')
const { clientOn } = require('../redis/client.js')
const { slotOf } = require('../redis/slot.js')
const { CALENDAR, CONCURRENCY } = require('./names.js')

const MOST_UNITS = 2 ** 32
const LONGEST = '3650d'
/** Half of what there can be, for windows and for a burst beside them. The burst's comes back in a microsecond: it is all there, or none. */
const HALF = 2 ** 31
const INSTANT = 0.001

/** Keys that may be asked for at one time: a few batches. */
const PLACES = 512
const DIGITS = 6

class States {
  #redis
  #timeout
  #limiters = new Map()
  /** The real name of each key that is asked for, by the one that stands for it. */
  #real = new Map()
  #free = places()
  #waiting = []
  #client
  /** By how much Redis's clock is ahead of this process's, in milliseconds. */
  #ahead

  constructor(redis, { timeout }) {
    this.#redis = redis
    this.#timeout = timeout
    this.#client = clientOn(redis, (key) => this.#real.get(String(key).split(':').at(-1)) ?? key)
  }

  /**
   * What can be said of a key, by its parsed name, without its limit's numbers:
   * - `used` units that the state holds, some of which may have come back already; undefined for buckets
   * - `fullInMs` until a bucket is full; undefined for the others
   * - `blockedForMs`, 0 where it is not
   * - `hasBurst` where units of a burst are counted beside the windows, and `isBurstUsed` where some are out
   * - or only `isForeign`, where the value is no state of the algorithm
   */
  async look(name) {
    try {
      return this.#seen(name, await this.#peek(name, { limit: MOST_UNITS, window: LONGEST }))
    } catch (error) {
      if (error.code !== 'ERR_RATE_LIMIT_STATE') throw error
      return this.#lookAtBurst(name)
    }
  }

  async #lookAtBurst(name) {
    if (name.isBucket) return { isForeign: true }
    try {
      const { used, ...seen } = this.#seen(name, await this.#peek(name, withBurst))
      return { ...seen, used: used % HALF, hasBurst: true, isBurstUsed: used >= HALF }
    } catch (error) {
      if (error.code !== 'ERR_RATE_LIMIT_STATE') throw error
      return { isForeign: true }
    }
  }

  #seen({ isBucket }, { allowed, limit, remaining, retryAfterMs, resetAt }) {
    return {
      used: isBucket || !allowed ? undefined : limit - remaining,
      fullInMs: isBucket ? Math.max(0, Math.ceil(resetAt - Date.now() - this.#ahead)) : undefined,
      blockedForMs: allowed ? 0 : retryAfterMs,
    }
  }

  /** What a call on a key would be told now, under the numbers of its limit. */
  async decide(name, numbers) {
    const { resetAt, ...decision } = await this.#peek(name, numbers)
    return { ...decision, fullInMs: Math.max(0, Math.ceil(resetAt - Date.now() - this.#ahead)) }
  }

  async reset(name) {
    await this.#with(name, anyNumbers, (limiter, place) => limiter.reset(place))
  }

  async block(name, duration) {
    await this.#change(name, (limiter, place) => limiter.block(place, duration))
  }

  async unblock(name) {
    await this.#change(name, (limiter, place) => limiter.unblock(place))
  }

  async close() {
    await Promise.all([...this.#limiters.values()].map((limiter) => limiter.close()))
  }

  /** The state is kept as it is by these, but must be read, and it may be one with a burst. */
  async #change(name, change) {
    try {
      await this.#with(name, anyNumbers, change)
    } catch (error) {
      if (error.code !== 'ERR_RATE_LIMIT_STATE' || name.isBucket) throw error
      await this.#with(name, withBurst, change)
    }
  }

  async #peek(name, numbers) {
    this.#ahead ??= await this.#redis.ahead()
    return this.#with(name, numbers, (limiter, place) => limiter.peek(place))
  }

  async #with({ raw, algorithm }, numbers, call) {
    const place = this.#free.pop() ?? (await new Promise((resolve) => this.#waiting.push(resolve)))
    this.#real.set(place, raw)
    try {
      return await call(this.#limiter(optionsOf(algorithm, numbers)), place)
    } finally {
      this.#real.delete(place)
      const next = this.#waiting.shift()
      if (next) next(place)
      else this.#free.push(place)
    }
  }

  #limiter(numbers) {
    const known = JSON.stringify(numbers)
    if (!this.#limiters.has(known)) {
      const options = { redisClient: this.#client, timeout: this.#timeout, onStoreError: 'throw' }
      this.#limiters.set(known, new RateLimiter({ ...numbers, ...options }))
    }
    return this.#limiters.get(known)
  }
}

/**
 * The options of a limiter that reads what `algorithm` has written. A calendar's counter is a fixed window's, whatever the periods are;
 * and under a limit on what is under way nothing is ever spent, so that any window is as good as none.
 */
function optionsOf(algorithm, numbers) {
  if (algorithm === CALENDAR) return { ...numbers, algorithm: 'fixed-window' }
  if (algorithm === CONCURRENCY) return { window: LONGEST, ...numbers, algorithm: 'fixed-window' }
  return { ...numbers, algorithm }
}

const anyNumbers = { limit: MOST_UNITS, window: LONGEST }
const withBurst = { limit: HALF, window: LONGEST, burst: { extra: HALF, window: INSTANT } }

/**
 * Names that stand for keys, no two of which lie in one slot, so that on a cluster each call has one key: where two of them lie
 * says nothing of where those do that they stand for. They are equally long, so it holds whatever is put before them.
 */
function places() {
  const bySlot = new Map()
  for (let number = 0; bySlot.size < PLACES; number += 1) {
    const place = String(number).padStart(DIGITS, '0')
    bySlot.set(slotOf(Buffer.from(place)), place)
  }
  return [...bySlot.values()]
}

module.exports = { optionsOf, States }
