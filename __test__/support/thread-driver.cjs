/**
 * Preloaded (`node --require`), has every limiter that asks a store have a thread of its own, unless it says otherwise: the same
 * tests are run with the other driver. Worker threads and programs that tests start preload it too, where NODE_OPTIONS says so.
 */
'use strict'

const native = require('../../lib/native.js')

const STORES = ['redisUrl', 'sentinel', 'redisClient', 'cacheClient']
const { RateLimiter } = native

native.RateLimiter = function (options, adapter) {
  const asks = options !== null && typeof options === 'object' && STORES.some((name) => Object.hasOwn(options, name))
  return new RateLimiter(asks ? { driver: 'thread', ...options } : options, adapter)
}
