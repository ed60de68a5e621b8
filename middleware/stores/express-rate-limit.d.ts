/** A store of express-rate-limit 8, which counts in Redis or in memory by the rules of a {@link RateLimiter}. */

import type { CommonOptions, OnStoreError, RateLimiter } from '../../index.js'

/**
 * Where hits are counted, and what happens when that fails: the options of a limiter but those of its limit, which express-rate-limit
 * has. Without `redisUrl`, `redisClient`, `sentinel` or `shared` they are counted in this process.
 */
export interface RateLimitStoreOptions extends Omit<CommonOptions, 'actions' | 'cacheClient' | 'clock' | 'lease'> {
  /** Default `'express-rate-limit'`. Stores with one prefix share their counts: each limiter of an application needs one of its own. */
  prefix?: string
  /**
   * As {@link CommonOptions.onStoreError}. Default `'local'`: while Redis is away this process counts by itself. With `'throw'` it is
   * express-rate-limit that decides, by its `passOnStoreError`.
   */
  onStoreError?: OnStoreError
}

/** How often a client was counted in its window, and when that ends. */
export interface ClientRateLimitInfo {
  totalHits: number
  resetTime: Date
}

/**
 * A store for express-rate-limit's option `store`. It counts in fixed windows that begin with a client's first hit, hits beyond the
 * limit as well, exactly and in one atomic step across all processes.
 *
 * @example
 * app.use(rateLimit({ windowMs: 60_000, limit: 100, store: new RateLimitStore({ redisUrl: 'redis://localhost:6379' }) }))
 */
export declare class RateLimitStore {
  /** @throws as {@link RateLimiter}, and for options that say another limit. */
  constructor(options?: RateLimitStoreOptions)

  /** The limiter that counts: for its events, its `stats()`, and for `block`. Its keys are those of express-rate-limit's `keyGenerator`. */
  readonly limiter: RateLimiter
  /** Whether only this process counts here. */
  readonly localKeys: boolean
  readonly prefix: string

  /** Called by express-rate-limit. Until then a window is a minute. */
  init(options: { windowMs: number; limit?: unknown }): void
  /** Counts one. A client that is refused whatever was counted, by `limiter.block` or `onStoreError: 'deny'`, is told one more than the limit. */
  increment(key: string): Promise<ClientRateLimitInfo>
  /** Counts one less, where something is counted. */
  decrement(key: string): Promise<void>
  /** What is counted now; `undefined` where that is nothing. */
  get(key: string): Promise<ClientRateLimitInfo | undefined>
  /** Forgets a client. Rejects with the store's error where it could not be told. */
  resetKey(key: string): Promise<void>
  /**
   * Forgets all clients: at once in this process, within a second in others. Rejects with `ERR_RATE_LIMIT_STORE_UNAVAILABLE` where the
   * store could not be told.
   */
  resetAll(): Promise<void>
  /** Lets what was called settle, then leaves Redis. */
  shutdown(): Promise<void>
}
