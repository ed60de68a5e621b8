// A plugin for Fastify 5: it guards all routes of the instance that registers it, and of those beneath.
'use strict'

const { badOption } = require('../lib/errors.js')
const { own } = require('../lib/own.js')
const { GONE, Guard } = require('./guard.js')
const { bodyOf } = require('./problem.js')

const face = {
  headersOf: (request) => request.headers,
  socketAddressOf: (request) => request.socket?.remoteAddress,
  addressOf: (request) => request.ip,
  advice: 'set `trustProxy` of Fastify',
  setHeader: (reply, name, value) => reply.header(name, value),
  nodeResponseOf: (request, reply) => reply.raw,
}

const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler']

/** `await app.register(rateLimit, { limiter })`. A route's `config.rateLimit` is `false`, or options in place of the plugin's. */
async function rateLimit(app, options) {
  const { hook = 'onRequest', ...general } = own(options)
  if (!HOOKS.includes(hook)) {
    const expected = `one of ${HOOKS.map((name) => `'${name}'`).join(', ')}`
    throw badOption(typeof hook === 'string' ? RangeError : TypeError, 'hook', expected, hook)
  }
  // What Fastify itself gives to a plugin.
  for (const name of ['prefix', 'logLevel', 'logSerializers']) delete general[name]
  const guard = new Guard(general, face)
  // By the object in the route's configuration.
  const guards = new WeakMap()

  function guardOf(route) {
    if (route === undefined || route === true) return guard
    if (route === false) return undefined
    if (typeof route !== 'object' || route === null || Array.isArray(route)) {
      throw badOption(TypeError, 'config.rateLimit', 'false, or an object such as { limiter }', route)
    }
    let itsOwn = guards.get(route)
    if (itsOwn === undefined) guards.set(route, (itsOwn = new Guard({ ...general, ...own(route) }, face)))
    return itsOwn
  }

  // Routes that come later are told now what is wrong with their options, and not when the first request comes.
  app.addHook('onRoute', ({ config }) => void guardOf(config?.rateLimit))

  app.addHook(hook, async (request, reply) => {
    const guard = guardOf(request.routeOptions.config?.rateLimit)
    if (guard === undefined) return undefined
    const decision = await guard.admit(request, reply)
    if (decision.allowed) return undefined
    if (decision === GONE) return reply.hijack()
    return deny(guard, request, reply, decision)
  })
}

async function deny(guard, request, reply, decision) {
  reply.code(guard.status)
  if (guard.onDenied !== undefined) {
    const payload = await guard.onDenied(request, reply, decision)
    return payload === undefined || reply.sent ? reply : reply.send(payload)
  }
  const { type, content } = await guard.refusal(request, decision)
  return reply.type(type).send(bodyOf(content))
}

// What fastify-plugin would do: no context of its own, so that the hooks are the registering instance's.
rateLimit[Symbol.for('skip-override')] = true
rateLimit[Symbol.for('fastify.display-name')] = 'distributed-rate-limiter'
rateLimit[Symbol.for('plugin-meta')] = { name: 'distributed-rate-limiter', fastify: '5.x' }

module.exports = { rateLimit }
