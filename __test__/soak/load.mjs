/** Calls at a steady pace on every kind of limiter, each followed until it settles. */

import { RateLimiter } from 'distributed-rate-limiter'
import { Redis } from 'ioredis'

const TICK_MS = 10
/** After a loop that was blocked the calls that it owes are not all made at once. */
const MOST_A_TICK = 200
const KEYS = 4_000
/** As full as it gets within the first minute, so that what grows later is no table. */
const MAX_MEMORY = '1mb'
/** One call in so many is on a key that never comes again, and one in so many on a few that are called far above their limit. */
const [FRESH, HOT] = [10, 4]
const HOT_KEYS = 10

/** What a call may be rejected with where errors were asked for. */
const EXPECTED = new Set([
  'ERR_RATE_LIMIT_STORE_TIMEOUT',
  'ERR_RATE_LIMIT_STORE_UNAVAILABLE',
  'ERR_RATE_LIMIT_OVERLOADED',
])

/** Limiters on one Redis, on a cluster, through a client and in memory: `{ limiters, close }`. */
export function openLimiters(standalone, cluster) {
  const common = { limit: 20, window: '5s', maxMemory: MAX_MEMORY }
  const { redisUrl } = standalone.options
  // As docs/errors.md tells to configure it: it neither queues nor sends again.
  const client = new Redis(redisUrl, {
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
  })
  client.on('error', () => {})
  const limits = [
    { name: 'short', limit: 20, window: '5s' },
    { name: 'long', limit: 50, window: '20s', algorithm: 'fixed-window' },
  ]
  const limiters = {
    redis: new RateLimiter({ ...common, redisUrl, fallback: { share: 'fleet' } }),
    bucket: new RateLimiter({ ...common, redisUrl, algorithm: 'token-bucket', onStoreError: 'throw' }),
    several: new RateLimiter({ limits, maxMemory: MAX_MEMORY, redisUrl }),
    cluster: new RateLimiter({ ...common, ...cluster.options, fallback: { share: 'fleet' } }),
    client: new RateLimiter({ ...common, redisClient: client, prefix: 'client' }),
    memory: new RateLimiter(common),
  }
  return {
    limiters,
    async close() {
      await Promise.all(Object.values(limiters).map((limiter) => limiter.close()))
      client.disconnect()
    },
  }
}

/** What is called, most often a plain check. */
const CALLS = [
  ...Array.from({ length: 15 }, () => (limiter, key) => limiter.check(key)),
  (limiter, key) => limiter.isAllowed(key),
  (limiter, key) => limiter.check(key, { upTo: 3 }),
  (limiter, key) => limiter.peek(key),
  (limiter, key) => limiter.refund(key),
  (limiter, key) => limiter.penalty(key, 2),
  (limiter, key) => limiter.acquire(key, { maxWait: 20 }),
]

function keyOf(turn) {
  if (turn % FRESH === 1) return `fresh-${turn}`
  if (turn % HOT === 0) return `hot-${(turn / HOT) % HOT_KEYS}`
  return `key-${turn % KEYS}`
}

export class Load {
  started = 0
  settled = 0
  allowed = 0
  /** Calls by who decided; those that answer no more than a boolean are not among them. */
  sources = { redis: 0, client: 0, memory: 0, fallback: 0 }
  /** Rejections by code, and those that nothing in this load may be rejected with. */
  rejected = {}
  unexpected = []

  #limiters
  #rate
  #begun = performance.now()
  #owed = 0
  #timer

  constructor(limiters, rate) {
    this.#limiters = Object.values(limiters)
    this.#rate = rate
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  stop() {
    clearInterval(this.#timer)
  }

  get pending() {
    return this.started - this.settled
  }

  #tick() {
    const now = performance.now()
    this.#owed = Math.min(MOST_A_TICK, this.#owed + ((now - this.#begun) * this.#rate) / 1_000)
    this.#begun = now
    for (; this.#owed >= 1; this.#owed -= 1) this.#call(this.started)
  }

  #call(index) {
    const limiter = this.#limiters[index % this.#limiters.length]
    const call = CALLS[Math.floor(index / this.#limiters.length) % CALLS.length]
    const key = keyOf(Math.floor(index / this.#limiters.length))
    this.started += 1
    call(limiter, key).then(
      (answer) => this.#answered(answer),
      (error) => this.#failed(error),
    )
  }

  #answered(answer) {
    this.settled += 1
    this.allowed += answer === true || answer.allowed === true ? 1 : 0
    if (typeof answer === 'object') this.sources[answer.source] += 1
  }

  #failed(error) {
    this.settled += 1
    const code = error?.code ?? String(error)
    this.rejected[code] = (this.rejected[code] ?? 0) + 1
    if (!EXPECTED.has(code) && this.unexpected.length < 10) this.unexpected.push(error)
  }
}
