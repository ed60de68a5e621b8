/**
 * Every framework with our middleware before the same application, so that one behaviour can be tested on each.
 *
 * The application answers `/` and `/again` with 200 and `hello`, `/status/:status` with that status, `/throw` by an error of its own, and
 * `/wait` when the test says so. What the middleware hands to the framework's error handler is answered with 500 and `{ code }`.
 */

import { once } from 'node:events'
import { createServer } from 'node:http'

import { serve } from '@hono/node-server'
import { Catch, Controller, Get, HttpException, Module, Param } from '@nestjs/common'
import { BaseExceptionFilter, NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { rateLimit as expressLimit } from 'distributed-rate-limiter/express'
import { rateLimit as fastifyLimit } from 'distributed-rate-limiter/fastify'
import { rateLimit as honoLimit } from 'distributed-rate-limiter/hono'
import { rateLimit as httpLimit } from 'distributed-rate-limiter/http'
import { rateLimit as koaLimit } from 'distributed-rate-limiter/koa'
import { RateLimitGuard } from 'distributed-rate-limiter/nest'
import express5 from 'express'
import express4 from 'express-4'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa3 from 'koa'
import Koa2 from 'koa-2'
import 'reflect-metadata'

const HOST = '127.0.0.1'

/** What the application does on `/wait`: it tells that it was asked, and answers when the test lets it. */
class Waiting {
  asked = 0
  #release
  #released = new Promise((resolve) => (this.#release = resolve))

  async wait() {
    this.asked += 1
    await this.#released
    return 'hello'
  }

  release() {
    this.#release()
  }
}

const statusOf = (path) => Number(/^\/status\/(\d+)/.exec(path)?.[1])

async function listening(server) {
  server.listen(0, HOST)
  await once(server, 'listening')
  return server.address().port
}

async function closed(server) {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}

const http = {
  name: 'http',
  header: (request, name) => request.headers[name],
  socketOf: (request) => request.socket,
  deny: (request, response, { retryAfter }) => response.end(`own ${retryAfter}`),
  async start(options, waiting) {
    const mayGoOn = httpLimit(options)
    const answer = async (request, response) => {
      if (!(await mayGoOn(request, response))) return
      if (request.url === '/throw') throw new Error('of the application')
      if (request.url === '/wait') await waiting.wait()
      response.statusCode = statusOf(request.url) || 200
      response.end('hello')
    }
    const server = createServer((request, response) => {
      answer(request, response).catch(({ code }) => {
        response.statusCode = 500
        response.end(JSON.stringify({ code }))
      })
    })
    return { port: await listening(server), stop: () => closed(server) }
  },
}

const expressOf = (name, express) => ({
  name,
  oneProxy: 1,
  header: (request, name) => request.get(name),
  socketOf: (request) => request.socket,
  deny: (request, response, { retryAfter }) => response.send(`own ${retryAfter}`),
  async start(options, waiting, { trustProxy } = {}) {
    const app = express()
    if (trustProxy !== undefined) app.set('trust proxy', trustProxy)
    app.use(expressLimit(options))
    app.get(['/', '/again'], (request, response) => response.send('hello'))
    app.get('/status/:status', (request, response) => response.status(Number(request.params.status)).send('hello'))
    app.get('/wait', async (request, response) => response.send(await waiting.wait()))
    app.get('/throw', () => {
      throw new Error('of the application')
    })
    app.use((error, request, response, next) => response.status(500).json({ code: error.code }))
    const server = createServer(app)
    return { port: await listening(server), stop: () => closed(server) }
  },
})

const fastifyFramework = {
  name: 'fastify',
  // Since 5.12 a number means nobody to it.
  oneProxy: 'loopback',
  header: (request, name) => request.headers[name],
  socketOf: (request) => request.socket,
  deny: (request, reply, { retryAfter }) => `own ${retryAfter}`,
  async start(options, waiting, { trustProxy = false } = {}) {
    const app = fastify({ trustProxy, forceCloseConnections: true })
    await app.register(fastifyLimit, options)
    app.setErrorHandler((error, request, reply) => reply.code(500).send({ code: error.code }))
    for (const path of ['/', '/again']) app.get(path, async () => 'hello')
    app.get('/status/:status', async (request, reply) => reply.code(Number(request.params.status)).send('hello'))
    app.get('/wait', () => waiting.wait())
    app.get('/throw', async () => {
      throw new Error('of the application')
    })
    await app.listen({ port: 0, host: HOST })
    return { port: app.server.address().port, stop: () => app.close() }
  },
}

const koaOf = (name, Koa) => ({
  name,
  oneProxy: 1,
  header: (context, name) => context.get(name),
  socketOf: (context) => context.socket,
  deny(context, { retryAfter }) {
    context.body = `own ${retryAfter}`
  },
  async start(options, waiting, { trustProxy } = {}) {
    const app = new Koa(trustProxy && { proxy: true, maxIpsCount: trustProxy === true ? 0 : trustProxy })
    app.use(async (context, next) => {
      try {
        await next()
      } catch (error) {
        context.status = 500
        context.body = { code: error.code }
      }
    })
    app.use(koaLimit(options))
    app.use(async (context) => {
      if (context.path === '/throw') throw new Error('of the application')
      if (context.path === '/wait') await waiting.wait()
      context.status = statusOf(context.path) || 200
      context.body = 'hello'
    })
    const server = createServer(app.callback())
    return { port: await listening(server), stop: () => closed(server) }
  },
})

const hono = {
  name: 'hono',
  header: (context, name) => context.req.header(name),
  socketOf: (context) => context.env.incoming.socket,
  deny: (context, { retryAfter }) => context.text(`own ${retryAfter}`),
  async start(options, waiting) {
    const app = new Hono()
    app.use(honoLimit(options))
    app.get('/', (context) => context.text('hello'))
    // A response that is none of Hono's own.
    app.get('/again', () => new Response('hello'))
    app.get('/status/:status', (context) => context.text('hello', Number(context.req.param('status'))))
    app.get('/wait', async (context) => context.text(await waiting.wait()))
    app.get('/throw', () => {
      throw new Error('of the application')
    })
    app.onError((error, context) => context.json({ code: error.code }, 500))
    const server = serve({ fetch: app.fetch, port: 0, hostname: HOST })
    if (!server.listening) await once(server, 'listening')
    return { port: server.address().port, stop: () => closed(server) }
  },
}

/** Decorators, as TypeScript would apply them. */
export function decorate(Class, members, ...own) {
  for (const [name, { decorators, parameters = [] }] of Object.entries(members)) {
    const descriptor = Object.getOwnPropertyDescriptor(Class.prototype, name)
    parameters.forEach((decorator, index) => decorator(Class.prototype, name, index))
    for (const decorator of [...decorators].reverse()) decorator(Class.prototype, name, descriptor)
  }
  for (const decorator of own.reverse()) decorator(Class)
  return Class
}

/** What is no exception of HTTP is one that the guard, or the application, has thrown. */
const OnlyOthers = decorate(
  class OnlyOthers extends BaseExceptionFilter {
    catch(error, host) {
      if (error instanceof HttpException) return super.catch(error, host)
      return host.switchToHttp().getResponse().status(500).send({ code: error.code })
    }
  },
  {},
  Catch(),
)

const nestOf = (name, { oneProxy, isOnFastify }) => ({
  name,
  oneProxy,
  header: (request, name) => request.headers[name],
  socketOf: (request) => request.socket,
  deny(request, response, { retryAfter }) {
    throw new HttpException(`own ${retryAfter}`, 429)
  },
  async start(options, waiting, { trustProxy } = {}) {
    class Application {
      hello() {
        return 'hello'
      }
      status(status) {
        if (status >= 400) throw new HttpException('hello', Number(status))
        return 'hello'
      }
      wait() {
        return waiting.wait()
      }
      fail() {
        throw new Error('of the application')
      }
    }
    decorate(
      Application,
      {
        hello: { decorators: [Get(['/', '/again'])] },
        status: { decorators: [Get('/status/:status')], parameters: [Param('status')] },
        wait: { decorators: [Get('/wait')] },
        fail: { decorators: [Get('/throw')] },
      },
      Controller(),
    )
    return startNest([Application], { guards: [new RateLimitGuard(options)], trustProxy, isOnFastify })
  },
})

/** An application of Nest with these controllers, on Express or on Fastify, which `prepare` is given before it listens. */
export async function startNest(controllers, { guards = [], trustProxy, isOnFastify = false, prepare } = {}) {
  const App = decorate(class App {}, {}, Module({ controllers }))
  const settings = { logger: false, forceCloseConnections: true }
  const app = isOnFastify
    ? await NestFactory.create(App, new FastifyAdapter({ trustProxy, forceCloseConnections: true }), settings)
    : await NestFactory.create(App, settings)
  if (trustProxy !== undefined && !isOnFastify) app.getHttpAdapter().getInstance().set('trust proxy', trustProxy)
  prepare?.(app.getHttpAdapter().getInstance())
  app.useGlobalGuards(...guards)
  app.useGlobalFilters(new OnlyOthers(app.getHttpAdapter()))
  await app.listen(0, HOST)
  return { port: app.getHttpServer().address().port, stop: () => app.close() }
}

export const frameworks = [
  http,
  expressOf('express 4', express4),
  expressOf('express 5', express5),
  fastifyFramework,
  koaOf('koa 2', Koa2),
  koaOf('koa 3', Koa3),
  hono,
  nestOf('nest on express', { oneProxy: 1, isOnFastify: false }),
  // As Fastify itself.
  nestOf('nest on fastify', { oneProxy: 'loopback', isOnFastify: true }),
]

/** Starts `framework` with our middleware; it ends with the test. Resolves with its port and what `/wait` does. */
export async function start(t, framework, options, settings) {
  const waiting = new Waiting()
  const { port, stop } = await framework.start(options, waiting, settings)
  t.after(async () => {
    waiting.release()
    await stop()
  })
  return { port, waiting }
}
