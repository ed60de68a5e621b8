'use strict'

const { RateLimiter } = require('./lib/rate-limiter.js')

module.exports = { RateLimiter }
