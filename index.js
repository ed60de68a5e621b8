'use strict'

const { DistributedRateLimiter } = require('./lib/distributed-rate-limiter.js')
const { RateLimiter } = require('./lib/rate-limiter.js')

module.exports = { DistributedRateLimiter, RateLimiter }
