/** Type test: every export of the middleware as an application would use it, and misuse it. It is compiled, never run. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import fastify, { type FastifyRequest } from 'fastify'
import { RateLimiter } from 'distributed-rate-limiter'
import { backoff, withBackoff, type BackoffOptions } from 'distributed-rate-limiter/client'
import { rateLimit as express, type ExpressOptions } from 'distributed-rate-limiter/express'
import {
  rateLimit as fastifyPlugin,
  type FastifyOptions,
  type FastifyRouteOptions,
} from 'distributed-rate-limiter/fastify'
import {
  rateLimit as http,
  type Denial,
  type GuardOptions,
  type HeaderOptions,
  type HttpOptions,
  type KeyFunction,
  type ProxyOptions,
} from 'distributed-rate-limiter/http'
import { byAddress, byApiKey, byHeader, byRoute, byUser, fields, together } from 'distributed-rate-limiter/keys'
import { rateLimit as koa, type KoaContext, type KoaOptions } from 'distributed-rate-limiter/koa'
import { RateLimit, RateLimitGuard, type NestOptions, type NestRouteOptions } from 'distributed-rate-limiter/nest'

/** A table that compiles only when it names every member of `T` and no other, so a member cannot come or go unseen. */
type Every<T> = Record<keyof T, true>

declare const limiter: RateLimiter

const headers: Required<HeaderOptions> = { draft: true, legacy: true, partitionKey: true, quotaUnit: 'content-bytes' }
const proxies: Required<ProxyOptions> = { hops: 2, header: 'forwarded' }
const key: KeyFunction<IncomingMessage> = (request, addressOf) => request.headers.host ?? addressOf(request)
const common: Required<GuardOptions<IncomingMessage>> = {
  limiter,
  key,
  cost: (request) => (request.method === 'POST' ? 5 : 1),
  action: async (request) => request.method,
  priority: () => 'low',
  skip: (request) => request.url === '/health',
  status: 503,
  headers,
  message: (request, decision) => ({ path: request.url, wait: decision.retryAfter, limits: decision.violated }),
  countOnly: 'failed',
  queue: { maxWait: '5s' },
  ipv6Prefix: 64,
}
export const choices: GuardOptions<IncomingMessage>[] = [
  { limiter },
  { limiter, cost: 2, action: 'search', headers: false, message: 'slow down', countOnly: 'successful', queue: true },
  { limiter, headers: { legacy: true }, message: { error: 'slow down' } },
]
export const denial: Every<Denial> = {
  allowed: true,
  granted: true,
  limit: true,
  remaining: true,
  retryAfterMs: true,
  retryAfter: true,
  resetAt: true,
  delayMs: true,
  source: true,
  reason: true,
  name: true,
  limits: true,
  shadow: true,
  violated: true,
}

// Plain http and http2.

const httpOptions: Required<HttpOptions> = {
  ...common,
  trustProxy: proxies,
  onDenied: (request, response, decision) => response.end(`${request.url}: ${decision.retryAfter}`),
}
export const mayGoOn: (request: IncomingMessage, response: ServerResponse) => Promise<boolean> = http(httpOptions)
createServer(async (request, response) => {
  if (await mayGoOn(request, response)) response.end('hello')
})
const mayGoOn2 = http<Http2ServerRequest, Http2ServerResponse>({ limiter })
createSecureServer({}, async (request, response) => {
  if (await mayGoOn2(request, response)) response.end('hello')
})

// Express.

const expressOptions: Required<ExpressOptions> = {
  ...common,
  key: (request, addressOf) => request.user?.id ?? request.get('x-user') ?? addressOf(request),
  cost: (request) => request.body.items.length,
  action: 'search',
  priority: 'low',
  skip: (request) => request.path === '/health',
  message: 'slow down',
  trustProxy: 'framework',
  onDenied: (request, response, decision, next) =>
    request.ip ? response.status(429).json({ wait: decision.retryAfter }) : next(new Error()),
}
/** As `@types/express` has it, as far as it matters here. */
interface TypedRequest extends IncomingMessage {
  user?: { id: string }
}
type RequestHandler = (request: TypedRequest, response: ServerResponse, next: (error?: unknown) => void) => unknown
export const handlers: RequestHandler[] = [
  express(expressOptions),
  express({ limiter, key: byUser((request: TypedRequest) => request.user?.id) }),
  express({
    limiter,
    trustProxy: 1,
    key: (request: TypedRequest, addressOf) => request.user?.id ?? addressOf(request),
  }),
]

// Fastify.

const app = fastify()
const fastifyOptions: Required<FastifyOptions> = {
  limiter,
  hook: 'preHandler',
  key: (request, addressOf) => (request.headers['x-user'] as string | undefined) ?? addressOf(request),
  cost: 1,
  action: byRoute(),
  priority: 'low',
  skip: (request) => request.url === '/health',
  status: 429,
  headers: true,
  message: 'slow down',
  countOnly: 'successful',
  queue: false,
  ipv6Prefix: 56,
  trustProxy: 'framework',
  onDenied: (request, reply, decision) => reply.header('x-wait', decision.retryAfter).send({ error: request.id }),
}
app.register(fastifyPlugin, fastifyOptions)
app.register(fastifyPlugin, { limiter })
const route: FastifyRouteOptions = { limiter, key: byApiKey<FastifyRequest>() }
app.get('/own', { config: { rateLimit: route } }, async () => 'own')
app.get('/free', { config: { rateLimit: false } }, async () => 'free')
app.get('/ours', { config: { rateLimit: true } }, async () => 'ours')

// Koa.

const koaOptions: Required<KoaOptions> = {
  ...common,
  key: (context, addressOf) => context.state.user?.id ?? addressOf(context),
  cost: 1,
  action: (context) => context.path,
  priority: 'low',
  skip: (context) => context.method === 'OPTIONS',
  message: 'slow down',
  trustProxy: 2,
  onDenied: (context, decision) => {
    context.body = { wait: decision.retryAfter }
  },
}
export const koaMiddleware: (context: KoaContext, next: () => Promise<void>) => Promise<unknown> = koa(koaOptions)

// Nest.

const nestOptions: Required<NestOptions> = {
  ...common,
  key: (request, addressOf) => request.user?.id ?? addressOf(request),
  cost: 1,
  action: 'search',
  priority: 'low',
  skip: (request) => request.url === '/health',
  message: { error: 'slow down' },
  trustProxy: 'framework',
  onDenied: (request, response, decision) => response.header('x-wait', `${request.ip} ${decision.retryAfter}`),
}
export const nestGuard = new RateLimitGuard(nestOptions)
const nestRoute: NestRouteOptions = { cost: 5 }

@RateLimit(nestRoute)
export class Controller {
  @RateLimit({ limiter })
  find(): string {
    return 'found'
  }

  @RateLimit(false)
  health(): string {
    return 'well'
  }
}

// Keys.

export const keys: KeyFunction<IncomingMessage>[] = [
  byAddress(),
  byHeader('x-user'),
  byApiKey(),
  byApiKey('authorization'),
  byUser((request) => request.headers['x-user']?.[0]),
  byUser(async () => 42),
  byRoute(),
  together(byRoute(), byAddress()),
  fields({ user: byUser((request: IncomingMessage) => request.url), ip: byAddress() }),
]

// Clients.

export async function client(): Promise<number> {
  const options: Required<BackoffOptions> = { maxWait: '30s', retries: 3 }
  const patient: typeof fetch = withBackoff(fetch, options)
  const response = await patient('https://example.com', { method: 'POST' })
  return backoff(response) + backoff({ headers: { 'retry-after': '5', via: ['a', 'b'] } })
}

// What must not compile. Each line is one mistake.

// @ts-expect-error: a limiter is needed
express({})
// @ts-expect-error: misspelt
express({ limiter, skipp: () => true })
// @ts-expect-error: no such kind
express({ limiter, countOnly: 'all' })
// @ts-expect-error: http has no setting of its own
http({ limiter, trustProxy: 'framework' })
// @ts-expect-error: no such header
http({ limiter, trustProxy: { hops: 1, header: 'x-real-ip' } })
// @ts-expect-error: misspelt
http({ limiter, headers: { legaci: true } })
// @ts-expect-error: a number, not its digits
app.get('/', { config: { rateLimit: { status: '429' } } }, async () => '')
// @ts-expect-error: no such hook
app.register(fastifyPlugin, { limiter, hook: 'onResponse' })
// @ts-expect-error: a limiter is needed
new RateLimitGuard({})
// @ts-expect-error: only false
RateLimit(true)
// @ts-expect-error: a function is needed
byUser('id')
// @ts-expect-error: of something
together()
// @ts-expect-error: headers are needed
backoff({})
// @ts-expect-error: no such unit
withBackoff(fetch, { maxWait: 'long' })
