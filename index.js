'use strict'

const { ConcurrencyLimiter } = require('./lib/concurrency-limiter.js')
const { DistributedRateLimiter } = require('./lib/distributed-rate-limiter.js')
const { RateLimiter } = require('./lib/rate-limiter.js')

module.exports = { ConcurrencyLimiter, DistributedRateLimiter, RateLimiter }
