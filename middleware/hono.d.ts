import type { Context, MiddlewareHandler } from 'hono' with { 'resolution-mode': 'import' }
import type { Denial, GuardOptions, OwnProxyOptions } from './guard.js'

export type { Denial, GuardOptions, HeaderOptions, KeyFunction, ProxyOptions } from './guard.js'

export interface HonoOptions extends GuardOptions<Context>, OwnProxyOptions {
  /** Answers a refusal in place of the default; the status is set already. */
  onDenied?: (context: Context, decision: Denial) => Response | Promise<Response>
}

/**
 * A middleware for Hono on Node's server (@hono/node-server): `app.use(rateLimit({ limiter }))`. Errors go to `app.onError`.
 * @throws {TypeError | RangeError} with the code `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION`
 */
export declare function rateLimit(options: HonoOptions): MiddlewareHandler
