/** For those who call a server that limits them. Needs neither Node.js nor the addon. */

import type { Duration } from 'distributed-rate-limiter'

/** Headers as `fetch` gives them, or as an object of Node's `http` and most clients. */
export type ResponseHeaders =
  { get(name: string): string | null } | { readonly [name: string]: string | readonly string[] | number | undefined }

/**
 * Milliseconds to wait before the next request, 0 where there is nothing to wait for. `Retry-After` (seconds or a date) is believed before
 * `RateLimit`, and that before `X-RateLimit-*`; of the last two only what has nothing left makes anybody wait.
 */
export declare function backoff(response: { headers: ResponseHeaders }): number

export interface BackoffOptions {
  /** The longest that one call waits altogether, up to 1 day. Default 30 s. Where more is asked for, the response is given back at once. */
  maxWait?: Duration
  /** How often it asks again, 0 to 100. Default 3. */
  retries?: number
}

/**
 * `fetch`, which asks again when it is told 429 or 503: not before the response says, and up to a tenth later, so that not all come
 * back at once. A body that is a stream is sent once. `signal` ends the waiting, too.
 */
export declare function withBackoff<Fetch extends (input: any, init?: any) => Promise<Response>>(
  fetch: Fetch,
  options?: BackoffOptions,
): Fetch
