import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RateLimiter } from 'distributed-rate-limiter'

/** One limiter, or several by the names that viewers see. */
export type DashboardLimiters = RateLimiter | { readonly [name: string]: RateLimiter }

/** What every dashboard may say. */
export interface DashboardAppearance {
  /** The page's heading. Default: `'Rate limits'`. */
  title?: string
  /**
   * Where nothing has taken the path away before the dashboard is called, as with plain `http`: the path that it is served under, such as
   * `'/limits'`. Express's `app.use('/limits', …)` and Fastify's `prefix` take it away. Default: `''`.
   */
  path?: string
}

/** A dashboard that the app lets in to. */
export interface AuthorizedDashboard<Request> extends DashboardAppearance {
  /**
   * Who may look: asked with every request, and for those that watch again every five minutes. Only `true` lets in; a rejection or an
   * exception is the framework's to handle, as an error of a handler.
   */
  authorize: (request: Request) => boolean | Promise<boolean>
  open?: false
  /** Whoever is let in may also block, unblock and reset keys. Default: `false`, the page only shows. */
  admin?: boolean
  /** Whoever is not let in is answered with 401 and this `WWW-Authenticate`, such as `'Basic realm="limits"'`. Without it with 403. */
  challenge?: string
}

/** A dashboard that everybody may see who can reach it; it changes nothing. */
export interface OpenDashboard extends DashboardAppearance {
  open: true
  authorize?: undefined
  admin?: false
  challenge?: undefined
}

export type DashboardOptions<Request = IncomingMessage> = AuthorizedDashboard<Request> | OpenDashboard

/** A handler for Express, Connect, and with or without `next` for plain `http`. */
export interface Dashboard<Request extends IncomingMessage = IncomingMessage> {
  (req: Request, res: ServerResponse, next?: (error?: unknown) => void): void
  /**
   * Ends the connections of those that watch, and takes no more of them: `server.close()` waits for every connection. Closing all of its
   * limiters does the same.
   */
  close(): void
}

/**
 * A page that shows what limiters do, live.
 *
 * @example
 * app.use('/limits', dashboard(limiter, { authorize: (req) => req.session?.isAdmin === true }))
 *
 * @throws {TypeError} with the code `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION`; also where neither `authorize` nor
 * `open: true` is given, since a page that shows keys is open to nobody until the app says to whom
 */
export declare function dashboard<Request extends IncomingMessage = IncomingMessage>(
  limiter: DashboardLimiters,
  options: DashboardOptions<Request>,
): Dashboard<Request>

/** What is used of Fastify's instance. */
export interface FastifyLike {
  removeAllContentTypeParsers(): unknown
  addContentTypeParser(type: string, parser: (request: any, payload: any, done: any) => void): unknown
  addHook(name: 'preClose', hook: () => Promise<void>): unknown
  route(options: any): unknown
}

/** What is used of Fastify's request. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage
  readonly headers: IncomingMessage['headers']
}

export type DashboardPluginOptions = {
  /** The path that it is served under. */
  prefix?: string
  limiter: DashboardLimiters
} & (
  | (Omit<AuthorizedDashboard<never>, 'authorize' | 'path'> & {
      /** As {@link AuthorizedDashboard.authorize}, with Fastify's own request. */
      authorize(request: FastifyRequestLike): boolean | Promise<boolean>
    })
  | Omit<OpenDashboard, 'path'>
)

/**
 * The same as a plugin for Fastify. Those that watch are let go when the app closes.
 *
 * @example
 * app.register(dashboardPlugin, { prefix: '/limits', limiter, authorize: (request) => request.session?.isAdmin === true })
 */
export declare function dashboardPlugin(fastify: FastifyLike, options: DashboardPluginOptions): Promise<void>
