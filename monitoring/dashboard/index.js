// A page that shows what limiters do, live: a handler for Express, Connect and plain http, and a plugin for Fastify.
'use strict'

const { limitersOf, optionsOf } = require('./options.js')
const { Site } = require('./site.js')

const UNDER = /^\/([^/]*)$/

/** Where a request stands below the dashboard's path: `''` is the page, `undefined` is somebody else's. */
function placeOf(url, path) {
  const [pathname] = url.split('?')
  if (!pathname.startsWith(path)) return undefined
  const rest = pathname.slice(path.length)
  return rest === '' ? '' : UNDER.exec(rest)?.[1]
}

/** The page is named without the slash that its own links need: sent there by a way that holds behind every proxy. */
function slashOf({ url, originalUrl = url }) {
  const [pathname] = originalUrl.split('?')
  return pathname.endsWith('/') ? undefined : `./${pathname.slice(pathname.lastIndexOf('/') + 1)}/`
}

function dashboard(limiter, options) {
  const { path, ...rest } = optionsOf(options)
  const site = new Site(limitersOf(limiter), rest)

  const handler = (req, res, next) => {
    const place = placeOf(req.url, path)
    if (place === undefined || !site.has(place)) {
      if (next) next()
      else site.notFound(res)
      return
    }
    const failed = (error) => {
      if (next && !res.headersSent) next(error)
      else site.fail(res)
    }
    site
      .authorizes(req)
      .then((may) => (may ? site.serve(place, req, res, slashOf(req)) : site.refuse(res)))
      .catch(failed)
  }
  handler.close = () => site.close()
  return handler
}

/** For `fastify.register(dashboardPlugin, { prefix: '/limits', limiter, authorize })`. */
async function dashboardPlugin(fastify, { prefix, logLevel, logSerializers, limiter, ...options }) {
  const site = new Site(limitersOf(limiter), optionsOf(options))
  // What is posted is read from the request itself, with a bound of its own.
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser('*', (request, payload, done) => done(null))
  // Before the server waits for its connections to end, since those that are watched never would.
  fastify.addHook('preClose', async () => site.close())

  const handler = async (request, reply) => {
    const place = request.params['*'] ?? ''
    if (!site.has(place)) return reply.callNotFound()
    const may = await site.authorizes(request)
    reply.hijack()
    if (!may) return site.refuse(reply.raw)
    return site.serve(place, request.raw, reply.raw, slashOf(request)).catch(() => site.fail(reply.raw))
  }
  fastify.route({ method: ['GET', 'POST'], url: '/', handler })
  fastify.route({ method: ['GET', 'POST'], url: '/*', handler })
}

module.exports = { dashboard, dashboardPlugin }
