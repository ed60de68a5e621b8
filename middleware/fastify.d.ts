import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Denial, FrameworkProxyOptions, GuardOptions } from './guard.js'

export type { Denial, GuardOptions, HeaderOptions, KeyFunction, ProxyOptions } from './guard.js'

/** What a route may say in place of the plugin's options. */
export interface FastifyRouteOptions extends Partial<GuardOptions<FastifyRequest>>, FrameworkProxyOptions {
  /** Answers a refusal in place of the default, by what it returns or by `reply`; the status is set already. */
  onDenied?: (request: FastifyRequest, reply: FastifyReply, decision: Denial) => unknown
}

export interface FastifyOptions extends FastifyRouteOptions {
  limiter: GuardOptions<FastifyRequest>['limiter']
  /** When requests are counted. Default `'onRequest'`: before their bodies are read. */
  hook?: 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler'
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false`: the route is not counted. An object: options in place of the plugin's. */
    rateLimit?: boolean | FastifyRouteOptions
  }
}

/**
 * A plugin for Fastify 5: `await app.register(rateLimit, { limiter })`. It guards the routes of the instance that registers it, of those
 * beneath it, and requests that find no route. Errors go to the error handler.
 *
 * Registering rejects with a `TypeError` or `RangeError` with the code `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION`.
 */
export declare const rateLimit: FastifyPluginAsync<FastifyOptions>
