// Koa 2 and 3.
'use strict'

const { GONE, Guard } = require('./guard.js')
const { bodyOf } = require('./problem.js')

const face = {
  headersOf: (context) => context.headers,
  socketAddressOf: (context) => context.socket?.remoteAddress,
  addressOf: (context) => context.ip,
  // It takes the first of X-Forwarded-For, unless it is told how many to look at.
  trustsAll: (context) => context.app.proxy === true && !(context.app.maxIpsCount > 0),
  advice: 'set `proxy` and `maxIpsCount` of Koa',
  setHeader: (context, name, value) => context.set(name, value),
  nodeResponseOf: (context) => context.res,
}

/** A middleware: `app.use(rateLimit({ limiter }))`. The application's functions are given the context. */
function rateLimit(options) {
  const guard = new Guard(options, face)
  return async function rateLimit(context, next) {
    const decision = await guard.admit(context, context)
    if (decision.allowed) return next()
    if (decision === GONE) {
      context.respond = false
      return undefined
    }
    context.status = guard.status
    if (guard.onDenied !== undefined) return guard.onDenied(context, decision)
    const { type, content } = await guard.refusal(context, decision)
    context.type = type
    context.body = bodyOf(content)
    return undefined
  }
}

module.exports = { rateLimit }
