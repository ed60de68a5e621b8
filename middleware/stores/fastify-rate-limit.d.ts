/** A store of @fastify/rate-limit 11, which counts in Redis or in memory by the rules of a {@link RateLimiter}. */

import type { CommonOptions, OnStoreError, RateLimiter } from '../../index.js'

/**
 * Where requests are counted, and what happens when that fails: the options of a limiter but those of its limit, which
 * @fastify/rate-limit has. Without `redisUrl`, `redisClient`, `sentinel` or `shared` they are counted in this process.
 */
export interface RateLimitStoreOptions extends Omit<CommonOptions, 'actions' | 'cacheClient' | 'clock' | 'lease'> {
  /** Default `'fastify-rate-limit'`; the plugin's `nameSpace`. Stores with one prefix share their counts. */
  prefix?: string
  /**
   * As {@link CommonOptions.onStoreError}. Default `'local'`: while Redis is away this process counts by itself. With `'throw'` it is
   * the plugin that decides, by its `skipOnError`.
   */
  onStoreError?: OnStoreError
}

/** How many requests a window holds, and the milliseconds until they are forgotten. */
export interface RateLimitState {
  current: number
  ttl: number
}

export type RateLimitCallback = (error: Error | null, result?: RateLimitState) => void

/** One store: of the plugin, or of a route that has options of its own. */
export interface RateLimitStore {
  /** Counts one. */
  incr(key: string, callback: RateLimitCallback, timeWindow: number, max: number): void
  /** What is counted now, for `{ increment: false }`. */
  read(key: string, callback: RateLimitCallback, timeWindow: number, max: number): void
  /** The store of a route, which counts apart by its method and path; what has no route counts apart by its limit. */
  child(routeOptions: object): RateLimitStore
}

/** The class of them, which the plugin makes its stores of. */
export interface RateLimitStoreClass {
  new (options?: { continueExceeding?: boolean; exponentialBackoff?: boolean }): RateLimitStore
  /** The limiter in which all of them count: for its events, its `stats()`, and to `close` it with the application. */
  readonly limiter: RateLimiter
}

/**
 * A class for the plugin's option `store`. Its stores count in fixed windows that begin with a client's first request, requests beyond
 * the limit as well, exactly and in one atomic step across all processes. `ban`, `continueExceeding`, `exponentialBackoff` (up to a
 * day, or two windows where that is longer) and `groupId` are what they are with the plugin's own.
 *
 * @example
 * await app.register(rateLimit, { max: 100, timeWindow: '1m', store: rateLimitStore({ redisUrl: 'redis://localhost:6379' }) })
 *
 * @throws as {@link RateLimiter}, and for options that say another limit.
 */
export declare function rateLimitStore(options?: RateLimitStoreOptions): RateLimitStoreClass
