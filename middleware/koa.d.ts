import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Denial, FrameworkProxyOptions, GuardOptions } from './guard.js'

export type { Denial, GuardOptions, HeaderOptions, KeyFunction, ProxyOptions } from './guard.js'

/** What is used of Koa's context. With `@types/koa`, give its `Context` to a function of the options instead. */
export interface KoaContext {
  req: IncomingMessage
  res: ServerResponse
  ip: string
  method: string
  path: string
  status: number
  body?: unknown
  get(name: string): string
  // Any: whatever other middleware has put there, such as `user`
  state: any
}

export interface KoaOptions<Context = KoaContext> extends GuardOptions<Context>, FrameworkProxyOptions {
  /** Answers a refusal in place of the default; the status is set already. */
  onDenied?: (context: Context, decision: Denial) => unknown
}

/**
 * A middleware for Koa 2 and 3: `app.use(rateLimit({ limiter }))`. Errors are thrown, as Koa has it.
 * @throws {TypeError | RangeError} with the code `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION`
 */
export declare function rateLimit<Context = KoaContext>(
  options: KoaOptions<Context>,
): (context: Context, next: () => Promise<unknown>) => Promise<unknown>
