import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Denial, GuardOptions, OwnProxyOptions } from './guard.js'

export type { Denial, GuardOptions, HeaderOptions, KeyFunction, ProxyOptions } from './guard.js'

export interface HttpOptions<
  Request extends IncomingMessage | Http2ServerRequest = IncomingMessage,
  Response extends ServerResponse | Http2ServerResponse = ServerResponse,
>
  extends GuardOptions<Request>, OwnProxyOptions {
  /** Answers a refusal in place of the default; `statusCode` is set already. */
  onDenied?: (request: Request, response: Response, decision: Denial) => unknown
}

/**
 * A function whose promise says whether to go on. Where it says `false`, the request has been answered, or the client has gone.
 *
 * @example
 * const mayGoOn = rateLimit({ limiter })
 * createServer(async (request, response) => {
 *   if (await mayGoOn(request, response)) response.end('hello')
 * })
 *
 * The promise rejects with what the limiter or a function of the options rejects with.
 * @throws {TypeError | RangeError} with the code `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION`
 */
export declare function rateLimit<
  Request extends IncomingMessage | Http2ServerRequest = IncomingMessage,
  Response extends ServerResponse | Http2ServerResponse = ServerResponse,
>(options: HttpOptions<Request, Response>): (request: Request, response: Response) => Promise<boolean>
