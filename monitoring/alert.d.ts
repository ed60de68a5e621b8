import type { Duration, RateLimiter } from '../index.js'

export interface DenyRate {
  /** Fires where a larger share than this of all decisions were denials: 0 to below 1. */
  above: number
  /** Ends where it is no more than this. Default: four fifths of `above`. */
  below?: number
  /** The time that is looked at. */
  over: Duration
  /** Says nothing where fewer decisions were made. Default 1. */
  atLeast?: number
}

export interface CircuitOpen {
  /** Fires where the circuit has not been closed for so long. Ends when it is closed. */
  for: Duration
}

export interface Latency {
  /** Fires where the quantile of the store's latency is above so many milliseconds. */
  above: number
  /** Ends where it is no more than this. Default: four fifths of `above`. */
  below?: number
  /** Between 0 and 1. Default 0.99. */
  quantile?: number
  /** The time that is looked at. */
  over: Duration
  /** Says nothing where the store answered fewer calls. Default 1. */
  atLeast?: number
}

export interface Alert {
  /** The limiter's, as it was given. */
  name: string
  alert: 'denyRate' | 'circuitOpen' | 'latency'
  /** `'firing'` once when it begins, `'resolved'` once when it ends. */
  state: 'firing' | 'resolved'
  /** A share; milliseconds for which the circuit has been open; milliseconds of latency, `Infinity` above the last bucket. 0 where nothing is left. */
  value: number
  /** `above`, or `for` in milliseconds. */
  threshold: number
}

/** Time, as tests may move it by hand. */
export interface Time {
  /** Milliseconds from any beginning. */
  now(): number
  setInterval(callback: () => void, ms: number): unknown
  clearInterval(timer: any): void
}

export interface AlertOptions {
  denyRate?: DenyRate
  circuitOpen?: CircuitOpen
  latency?: Latency
  /** Told of each beginning and each end. What it throws, or rejects with, becomes a warning of the process and nothing else. */
  onAlert: (alert: Alert) => unknown
  /** What the limiter is called in alerts. Default `'default'`. */
  name?: string
  /** How often is looked. Default: a twentieth of the shortest time, 100 ms to 5 s. */
  every?: Duration
  /** Default: that of the process. */
  time?: Time
}

/**
 * Looks at `limiter.stats()` again and again, by a timer that keeps no process alive, and tells when something begins to be wrong and when
 * that ends. Before the time that is looked at has passed, what there is of it counts.
 *
 * @returns a function that ends it, without another alert; so does `limiter.close()`, and a limiter that is dropped can be collected
 * @throws with the code `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION` for a bad option
 */
export declare function alert(limiter: RateLimiter, options: AlertOptions): () => void
