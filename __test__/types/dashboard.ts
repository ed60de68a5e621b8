/** Type test: the dashboard as applications use it, and misuse it. It is compiled, never run. */

import { createServer, type IncomingMessage } from 'node:http'
import { RateLimiter } from 'distributed-rate-limiter'
import {
  dashboard,
  dashboardPlugin,
  type AuthorizedDashboard,
  type Dashboard,
  type DashboardLimiters,
  type DashboardOptions,
  type DashboardPluginOptions,
  type OpenDashboard,
} from 'distributed-rate-limiter/dashboard'
import fastify, { type FastifyRequest } from 'fastify'

/** A table that compiles only when it names every member of `T` and no other. */
type Every<T> = Record<keyof T, true>

export const authorized: Every<AuthorizedDashboard<IncomingMessage>> = {
  authorize: true,
  open: true,
  admin: true,
  challenge: true,
  title: true,
  path: true,
}
export const opened: Every<OpenDashboard> = authorized

const api = new RateLimiter({ limit: 100, window: '1m' })
const login = new RateLimiter({ limit: 5, window: '1m' })
export const limiters: DashboardLimiters = { api, login }

// Plain http.

const options: DashboardOptions = {
  authorize: (req) => req.headers.authorization === 'x',
  admin: true,
  challenge: 'Basic realm="limits"',
  title: 'Limits',
  path: '/limits',
}
const page: Dashboard = dashboard(limiters, options)
createServer(page)
createServer((req, res) => page(req, res))
createServer((req, res) => page(req, res, (error) => void res.end(String(error))))
page.close()
dashboard(api, { open: true })

// Express, whose types need not be installed: a handler of its request.

interface ExpressRequest extends IncomingMessage {
  session?: { isAdmin: boolean }
}
declare const app: { use(path: string, handler: (req: ExpressRequest, res: any, next: () => void) => void): void }
app.use('/limits', dashboard(api, { authorize: (req: ExpressRequest) => req.session?.isAdmin === true, admin: true }))
app.use('/limits', dashboard(api, { authorize: async () => true }))

// Fastify, with the types of its own.

export const plugin: DashboardPluginOptions = { limiter: api, prefix: '/limits', open: true, title: 'Limits' }
const server = fastify()
server.register(dashboardPlugin, { prefix: '/limits', limiter: limiters, authorize: () => true, admin: true })
server.register(dashboardPlugin, {
  limiter: api,
  authorize: async (request: FastifyRequest) => request.routeOptions.url === '/limits/',
  challenge: 'Basic',
})
server.register(dashboardPlugin, plugin)

// What must not compile. Each line is one mistake.

export function mistakes(): void {
  // @ts-expect-error: nobody has said who may look
  dashboard(api)
  // @ts-expect-error: nor here
  dashboard(api, { title: 'Limits' })
  // @ts-expect-error: open means open
  dashboard(api, { open: false })
  // @ts-expect-error: whoever changes something must be known
  dashboard(api, { open: true, admin: true })
  // @ts-expect-error: one of both
  dashboard(api, { open: true, authorize: () => true })
  // @ts-expect-error: true or false, and nothing that is merely truthy
  dashboard(api, { authorize: () => ({}) })
  // @ts-expect-error: a misspelt option
  dashboard(api, { authorise: () => true })
  // @ts-expect-error: these are no limiters
  dashboard({ api: {} }, { open: true })
  // @ts-expect-error: the plugin needs a limiter
  server.register(dashboardPlugin, { prefix: '/limits', open: true })
  // @ts-expect-error: and a word about who may look
  server.register(dashboardPlugin, { prefix: '/limits', limiter: api })
}
