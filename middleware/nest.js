// NestJS on Express or Fastify: a guard, and a decorator for single controllers and handlers.
'use strict'

const { badOption } = require('../lib/errors.js')
const { own } = require('../lib/own.js')
const { GONE, Guard } = require('./guard.js')

// Requests and responses of both frameworks have these alike.
const face = {
  headersOf: (request) => request.headers,
  socketAddressOf: (request) => request.socket?.remoteAddress,
  addressOf: (request) => request.ip,
  trustsAll: (request) => typeof request.app?.get === 'function' && request.app.get('trust proxy') === true,
  advice: "set 'trust proxy' of Express or `trustProxy` of Fastify",
  setHeader: (response, name, value) => response.header(name, value),
  nodeResponseOf: (request, response) => response.raw ?? response,
}

const METADATA = 'distributed-rate-limiter:options'

/** What a controller or a handler has in place of the guard's options; `false` exempts it. The handler's word is before the controller's. */
function RateLimit(options) {
  if (options !== false && (typeof options !== 'object' || options === null || Array.isArray(options))) {
    throw badOption(TypeError, 'RateLimit', 'given false, or an object such as { limiter }', options)
  }
  return (target, name, descriptor) => {
    Reflect.defineMetadata(METADATA, options, descriptor?.value ?? target)
    return descriptor
  }
}

/**
 * `app.useGlobalGuards(new RateLimitGuard({ limiter }))`, `@UseGuards(…)`, or `{ provide: APP_GUARD, useValue: … }`. It guards HTTP;
 * messages and sockets go on. A refusal is an HttpException, so exception filters see it.
 */
class RateLimitGuard {
  #options
  #guard
  // By the object that a decorator was given.
  #guards = new WeakMap()

  constructor(options) {
    this.#guard = new Guard(options, face)
    this.#options = own(options)
  }

  async canActivate(context) {
    if (context.getType() !== 'http') return true
    const guard = this.#guardOf(context)
    if (guard === undefined) return true
    const http = context.switchToHttp()
    const request = http.getRequest()
    const response = http.getResponse()
    const decision = await guard.admit(request, response)
    if (decision.allowed) return true
    // Nest answers somebody who is not there any more, and is not heard.
    if (decision === GONE) return false
    if (guard.onDenied !== undefined) {
      response.status(guard.status)
      await guard.onDenied(request, response, decision)
      if ((response.raw ?? response).headersSent) return false
    }
    const { type, content } = await guard.refusal(request, decision)
    // A text is put into Nest's own JSON.
    if (typeof content === 'object') response.header('Content-Type', type)
    throw await exceptionOf(content, guard.status)
  }

  #guardOf(context) {
    const options =
      Reflect.getMetadata?.(METADATA, context.getHandler()) ?? Reflect.getMetadata?.(METADATA, context.getClass())
    if (options === undefined) return this.#guard
    if (options === false) return undefined
    let guard = this.#guards.get(options)
    if (guard === undefined) {
      this.#guards.set(options, (guard = new Guard({ ...this.#options, ...own(options) }, face)))
    }
    return guard
  }
}

/** Imported when it is needed: since version 12 Nest is an ES module, which not every Node.js that we support can require. */
async function exceptionOf(content, status) {
  const { HttpException } = await import('@nestjs/common')
  return new HttpException(content, status)
}

module.exports = { RateLimit, RateLimitGuard }
