// Express 4 and 5, and whatever calls its middleware alike.
'use strict'

const { GONE, Guard } = require('./guard.js')
const { deny, face: http } = require('./http.js')

const face = {
  ...http,
  addressOf: (request) => request.ip,
  trustsAll: (request) => request.app?.get('trust proxy') === true,
  advice: "set 'trust proxy'",
}

/** A middleware: `app.use(rateLimit({ limiter }))`, or before a single route. */
function rateLimit(options) {
  const guard = new Guard(options, face)
  return async function rateLimit(request, response, next) {
    try {
      const decision = await guard.admit(request, response)
      if (!decision.allowed) {
        if (decision !== GONE) await deny(guard, request, response, decision, next)
        return
      }
    } catch (error) {
      next(error)
      return
    }
    next()
  }
}

module.exports = { rateLimit }
