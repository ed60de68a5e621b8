// Hono on Node's server (@hono/node-server).
'use strict'

const { GONE, Guard } = require('./guard.js')
const { bodyOf } = require('./problem.js')

// In tests without a server, by `app.request()`, there is no connection: only what Hono itself has.
const face = {
  headersOf: (context) => context.env?.incoming?.headers ?? context.req.header(),
  socketAddressOf: (context) => context.env?.incoming?.socket?.remoteAddress,
  // Not `context.header`: a handler that returns a Response of its own would lose what that has set.
  setHeader: (context, name, value) => context.res.headers.set(name, value),
  nodeResponseOf: (context) => context.env?.outgoing,
}

/** A status that no client reads: it has closed the request. */
const CLIENT_CLOSED_REQUEST = 499

/** A middleware: `app.use(rateLimit({ limiter }))`. The application's functions are given the context. */
function rateLimit(options) {
  const guard = new Guard(options, face)
  return async function rateLimit(context, next) {
    const decision = await guard.admit(context, context)
    if (decision.allowed) return next()
    if (decision === GONE) return context.body(null, CLIENT_CLOSED_REQUEST)
    if (guard.onDenied !== undefined) {
      context.status(guard.status)
      return guard.onDenied(context, decision)
    }
    const { type, content } = await guard.refusal(context, decision)
    return context.body(bodyOf(content), guard.status, { 'Content-Type': type })
  }
}

module.exports = { rateLimit }
