/// <reference types="node" />

/**
 * A rate limiter whose every decision is made in Rust: in this process, or in Redis through one atomic Lua script
 * that many servers share.
 *
 * @example
 * const limiter = new RateLimiter({ limit: 100, window: '1m', redisUrl: 'redis://localhost:6379' })
 * if (!(await limiter.isAllowed(userId))) return res.status(429).end()
 */

import { EventEmitter } from 'node:events'

/** Milliseconds, or a number with a unit: `'500ms' | '1.5s' | '10m' | '1h' | '1d'`. Rounded to the microsecond. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/**
 * How requests are counted.
 *
 * - `'sliding-window'`: never more than `limit` in any rolling interval of length `window`. A spent unit comes back
 *   less than `ceil(window / resolution)` late, and to the microsecond when `limit <= resolution`.
 * - `'token-bucket'`: `burst` at once, then `limit / window` continuously (GCRA: one theoretical arrival time).
 */
export type Algorithm = 'sliding-window' | 'token-bucket'

/** What a call gets when Redis does not answer; see {@link RateLimiterOptions.onStoreError}. */
export type OnStoreError = 'local' | 'allow' | 'deny' | 'throw'

/** Where changes of state are told; `console`, pino and winston fit. */
export interface Logger {
  /** Redis answers again. */
  warn(message: string): void
  /** Redis stopped answering. */
  error(message: string): void
}

export interface RateLimiterOptions {
  /** Units admitted in a window: a whole number from 1 to 2^32 (4,294,967,296). */
  limit: number
  /** Length of the window, from 1 µs (`0.001`) to 10 years (3,650 days). */
  window: Duration
  /**
   * `redis://[user:password@]host[:port][/database]` (or `valkey://`). Without it the limiter decides in this process's memory.
   * The constructor never fails because Redis is away.
   */
  redisUrl?: string
  /** Default `'sliding-window'`. */
  algorithm?: Algorithm
  /** Token bucket only: how many units a full bucket holds, 1 to 2^32. Default: `limit`. `burst / limit * window` is at most 10 years. */
  burst?: number
  /** Sliding window only: the slots a window is counted in, 1 to 1,024. Default 32. More is finer and takes more memory. */
  resolution?: number
  /** What every key in Redis begins with, 1 to 128 characters. Default `'rl'`. Limiters with one prefix and algorithm share their counts. */
  prefix?: string
  /** The whole time that a call may take before {@link onStoreError} decides, 1 ms to 1 minute. Default 100 ms. */
  timeout?: Duration
  /** Calls that may wait for Redis, 1 to 1,048,576. Default 16,384. One call more is decided by {@link onStoreError} at once. */
  maxPending?: number
  /** Keys remembered in memory, 1 to 100,000,000. Default 1,000,000. At the bound new keys share counts, so nobody passes the limit. */
  maxKeys?: number
  /**
   * What a call gets when Redis fails or is late: `'local'` (default) decides in this process by {@link fallback};
   * `'allow'` and `'deny'` say so; `'throw'` rejects with an error whose `code` names the cause.
   */
  onStoreError?: OnStoreError
  /** The limit of `onStoreError: 'local'`, with the same algorithm. Default: the limiter's own limit and window. */
  fallback?: { limit?: number; window?: Duration }
  /** Told once of each change of state. Default: nobody. */
  logger?: Logger
}

export interface CallOptions {
  /** Units this call takes: a whole number from 1 to the limit (token bucket: the burst). Default 1. */
  cost?: number
}

/** An answer, with what a response's headers need. */
export interface Decision {
  readonly allowed: boolean
  /** The limit that decided (token bucket: the burst). */
  readonly limit: number
  /** Units left after this call. */
  readonly remaining: number
  /** Milliseconds after which the same call succeeds, if nobody else takes the units; rounded up; 0 when allowed. */
  readonly retryAfterMs: number
  /** The same in whole seconds, rounded up, for `Retry-After`; 0 when allowed. */
  readonly retryAfter: number
  /** Epoch milliseconds at which the key is as good as new. */
  readonly resetAt: number
  /** Milliseconds to wait before going on; 0 for the algorithms of this version. */
  readonly delayMs: number
  /** Who decided: the shared store, this process as the only store, or this process in place of a store that failed. */
  readonly source: 'redis' | 'memory' | 'fallback'
}

export interface Stats {
  /** Calls of `isAllowed`, `isAllowedSync` and `check` that were admitted, since the limiter was made. */
  readonly allowed: number
  /** The same, refused. */
  readonly denied: number
  /** Decisions by who made them. */
  readonly sources: { readonly redis: number; readonly memory: number; readonly fallback: number }
  /** Calls that Redis did not decide: late, failed, or over `maxPending`. Each was then decided by `onStoreError`. */
  readonly storeErrors: number
  /** Script calls sent to Redis, and the calls that travelled in those that were answered in time. */
  readonly batches: number
  readonly batchedCalls: number
  /** Calls that wait for an answer now. */
  readonly pending: number
  /** Keys held in this process's memory now. */
  readonly keys: number
  /** `'none'` without Redis. */
  readonly store: 'none' | 'connecting' | 'up' | 'down'
  /** How often the circuit has opened. */
  readonly circuitOpened: number
}

export interface RateLimiterEvents {
  /** Redis stopped answering; calls are decided by `onStoreError` until `storeUp`. */
  storeDown: [error: Error]
  /** Redis answers: the first time, and again after each `storeDown`. */
  storeUp: []
}

export declare class RateLimiter extends EventEmitter<RateLimiterEvents> {
  /**
   * @throws {TypeError | RangeError} with a `code` (`ERR_RATE_LIMIT_OPTION`, `…_UNKNOWN_OPTION`, `…_URL`) and a sentence that
   * names the option, what was given and what is expected.
   */
  constructor(options: RateLimiterOptions)

  /**
   * Takes `cost` units from `key`'s limit if they are there. A denial is an answer, never a rejection, and takes nothing.
   *
   * Keys are non-empty strings of any characters. A key longer than 1 KiB of UTF-8 is stored as its SHA-256 digest.
   *
   * Rejects with `ERR_RATE_LIMIT_KEY`, `ERR_RATE_LIMIT_COST`, `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION` for bad arguments,
   * `ERR_RATE_LIMIT_CLOSED` after {@link close}, and only under `onStoreError: 'throw'` with a store's error:
   * `ERR_RATE_LIMIT_STORE_TIMEOUT`, `ERR_RATE_LIMIT_STORE_UNAVAILABLE`, `ERR_RATE_LIMIT_OVERLOADED` (more than `maxPending` wait),
   * `ERR_RATE_LIMIT_STATE` (Redis holds something else under this key). `ERR_RATE_LIMIT_INTERNAL` is a defect: please report it.
   */
  isAllowed(key: string, options?: CallOptions): Promise<boolean>

  /**
   * The same, at once, where this process decides.
   * @throws {Error} `ERR_RATE_LIMIT_NOT_LOCAL` where Redis must be asked, and for bad arguments as {@link isAllowed}.
   */
  isAllowedSync(key: string, options?: CallOptions): boolean

  /** As {@link isAllowed}, with everything there is to know. */
  check(key: string, options?: CallOptions): Promise<Decision>

  /** What {@link check} would answer; changes nothing, `remaining` is what is left now. */
  peek(key: string, options?: CallOptions): Promise<Decision>

  /** Forgets `key`, in Redis and in this process. Rejects with the store's error where Redis could not be told. */
  reset(key: string): Promise<void>

  /**
   * Resolves when the store answers: at once without Redis and while Redis answers, otherwise when it first or again does.
   * Nothing has to wait for it. Rejects with `ERR_RATE_LIMIT_STORE_UNAVAILABLE` after `timeout` (1 ms to 1 h, default 5 s), and with
   * `ERR_RATE_LIMIT_CLOSED` when the limiter is closed.
   */
  ready(options?: { timeout?: Duration }): Promise<void>

  /** Lets what was called settle, then leaves Redis. Later calls reject with `ERR_RATE_LIMIT_CLOSED`. Safe twice. */
  close(): Promise<void>

  /** Counters since the limiter was made. */
  stats(): Stats
}
