/**
 * Loaded before the tests that @fastify/rate-limit has of itself: wherever they register the plugin it counts in our store, in the
 * Redis that they give it or else in memory, and their Redis is the one of REDIS_PORT.
 */
'use strict'

const Module = require('node:module')
const { Redis } = require('ioredis')
const fp = require('fastify-plugin')
const rateLimit = require('@fastify/rate-limit')
const { rateLimitStore } = require('distributed-rate-limiter/fastify-rate-limit')

const limiters = []

class TheirRedis extends Redis {
  constructor(options) {
    super({ ...options, port: Number(process.env.REDIS_PORT) })
  }
}

async function withOurStore(app, { redis: redisClient, nameSpace: prefix, ...settings }) {
  const given = { timeout: '30s', onStoreError: 'throw' }
  if (redisClient !== undefined) given.redisClient = redisClient
  if (prefix !== undefined) given.prefix = prefix
  const store = settings.store ?? rateLimitStore(given)
  if (store.limiter !== undefined) limiters.push(store.limiter)
  await app.register(rateLimit, { ...settings, store })
}

const load = Module._load
Module._load = function (request, parent, isMain) {
  if (parent?.filename.includes('@fastify/rate-limit/test/')) {
    if (request === 'ioredis') return TheirRedis
    if (/^(\.\.\/)+index$/.test(request)) return fp(withOurStore)
  }
  return load.call(this, request, parent, isMain)
}

process.once('exit', () => {
  const counted = limiters.reduce((sum, limiter) => sum + limiter.stats().allowed, 0)
  process.stderr.write(`our store counted ${counted}\n`)
})
