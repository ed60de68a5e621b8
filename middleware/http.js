// Node's own http, http2 in its compatible form, and whatever hands its requests and responses on.
'use strict'

const { GONE, Guard } = require('./guard.js')
const { bodyOf } = require('./problem.js')

const face = {
  headersOf: (request) => request.headers,
  socketAddressOf: (request) => request.socket?.remoteAddress,
  setHeader: (response, name, value) => response.setHeader(name, value),
  nodeResponseOf: (request, response) => response,
}

/**
 * A function `(request, response)` whose promise says whether to go on. Where it says `false`, the request has been answered or the
 * client has gone. It rejects with the limiter's errors, and with those of the application's own functions.
 */
function rateLimit(options) {
  const guard = new Guard(options, face)
  return async function rateLimit(request, response) {
    const decision = await guard.admit(request, response)
    if (!decision.allowed && decision !== GONE) await deny(guard, request, response, decision)
    return decision.allowed
  }
}

/** Answers a request that was refused. */
async function deny(guard, request, response, decision, next) {
  response.statusCode = guard.status
  if (guard.onDenied !== undefined) return guard.onDenied(request, response, decision, next)
  const { type, content } = await guard.refusal(request, decision)
  const body = bodyOf(content)
  response.setHeader('Content-Type', type)
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.end(body)
}

module.exports = { deny, face, rateLimit }
