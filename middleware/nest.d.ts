import type { IncomingMessage } from 'node:http'
import type { Denial, FrameworkProxyOptions, GuardOptions } from './guard.js'

export type { Denial, GuardOptions, HeaderOptions, KeyFunction, ProxyOptions } from './guard.js'

/** A request of Nest's platform, Express or Fastify, and what other middleware has put there. */
export interface NestRequest {
  ip?: string | undefined
  method: string
  url: string
  headers: IncomingMessage['headers']
  // Any: such as `user`
  [property: string]: any
}

/** What a controller or a handler may say in place of the guard's options. */
export interface NestRouteOptions<Request = NestRequest> extends Partial<GuardOptions<Request>>, FrameworkProxyOptions {
  /**
   * Is told of a refusal before it is thrown. It may throw an exception of its own, or answer by the response, whose status is set already;
   * on Fastify it returns the reply then, as in `return reply.send(…)`.
   */
  // Any: that of the platform
  onDenied?: (request: Request, response: any, decision: Denial) => unknown
}

export interface NestOptions<Request = NestRequest> extends NestRouteOptions<Request> {
  limiter: GuardOptions<Request>['limiter']
}

/** What is used of Nest's ExecutionContext, so that these types fit each of its versions. */
export interface GuardContext {
  getType(): string
  getHandler(): Function
  getClass(): Function
  switchToHttp(): { getRequest<T>(): T; getResponse<T>(): T }
}

/**
 * A guard for Nest 10 and later: `app.useGlobalGuards(new RateLimitGuard({ limiter }))`, `@UseGuards(…)` or a provider of `APP_GUARD`. It guards
 * HTTP; messages and sockets go on. A refusal is an HttpException.
 */
export declare class RateLimitGuard<Request = NestRequest> {
  /** @throws {TypeError | RangeError} with the code `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION` */
  constructor(options: NestOptions<Request>)
  canActivate(context: GuardContext): Promise<boolean>
}

/** `@RateLimit({ … })`: options of a controller or a handler in place of the guard's. `@RateLimit(false)` exempts it. */
export declare function RateLimit<Request = NestRequest>(
  options: false | NestRouteOptions<Request>,
): ClassDecorator & MethodDecorator
