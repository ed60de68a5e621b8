import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Denial, FrameworkProxyOptions, GuardOptions } from './guard.js'

export type { Denial, GuardOptions, HeaderOptions, KeyFunction, ProxyOptions } from './guard.js'

/** What Express and its middleware add to a request. With `@types/express`, give its `Request` to a function of the options instead. */
export interface ExpressRequest extends IncomingMessage {
  ip?: string | undefined
  path: string
  originalUrl: string
  get(name: string): string | undefined
  // Any: whatever other middleware has put there, such as `user`
  [property: string]: any
}

/** What Express adds to a response. */
export interface ExpressResponse extends ServerResponse {
  status(code: number): this
  send(body?: unknown): this
  json(body?: unknown): this
  // Any: whatever other middleware has put there, such as `locals`
  [property: string]: any
}

export interface ExpressOptions<
  Request extends IncomingMessage = ExpressRequest,
  Response extends ServerResponse = ExpressResponse,
>
  extends GuardOptions<Request>, FrameworkProxyOptions {
  /** Answers a refusal in place of the default; the status is set already. */
  onDenied?: (request: Request, response: Response, decision: Denial, next: (error?: unknown) => void) => unknown
}

/**
 * A middleware for Express 4 and 5: `app.use(rateLimit({ limiter }))`. Errors go to `next`.
 * @throws {TypeError | RangeError} with the code `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION`
 */
export declare function rateLimit<
  Request extends IncomingMessage = ExpressRequest,
  Response extends ServerResponse = ExpressResponse,
>(
  options: ExpressOptions<Request, Response>,
): (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => Promise<void>
