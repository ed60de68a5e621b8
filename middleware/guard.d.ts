/** What the middleware of every framework has in common. */

import type { Decision, Duration, Key, RateLimiter } from 'distributed-rate-limiter'

/** Tells the client's address: canonical, `undefined` where the client has gone, or has none as over a Unix socket. */
export type AddressOf<Request> = (request: Request) => string | undefined

/**
 * Whom a request is counted for: a non-empty string, or an object of them where the limits say `by`. Anything else is an error with
 * the code `ERR_RATE_LIMIT_KEY`, which the framework's error handler gets.
 */
export type KeyFunction<Request> = (
  request: Request,
  addressOf: AddressOf<Request>,
) => Key | undefined | Promise<Key | undefined>

/** A refusal. */
export interface Denial extends Decision {
  readonly allowed: false
  /** The names of the limits that refused, as in `violated-policies`. */
  readonly violated: readonly string[]
}

/** Which headers a response has, beside the `Retry-After` of a refusal, which is always there. */
export interface HeaderOptions {
  /** `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11. Default `true`. */
  draft?: boolean
  /** `X-RateLimit-Limit`, `-Remaining` and `-Reset`, the last in seconds since 1970. Default `false`. */
  legacy?: boolean
  /** `pk`: whom the limit is counted for, as 96 bits of the key's SHA-256. Default `false`. */
  partitionKey?: boolean
  /** `qu`: what a unit is, such as `'content-bytes'`. Default: nothing, which means requests; with `cost` `'units'`. */
  quotaUnit?: string
}

/** How many proxies are before this process, and where they say whom they serve. */
export interface ProxyOptions {
  /** 0 to 32. Each adds one entry on the right; the first of these is the client. */
  hops: number
  /** Default `'x-forwarded-for'`. Only the one that your proxies write: a client can write the other. */
  header?: 'x-forwarded-for' | 'forwarded'
}

export interface GuardOptions<Request> {
  limiter: RateLimiter
  /** Default: by the client's address; where the limits say `by`, only if that is `'ip'` or `'address'`. */
  key?: KeyFunction<Request>
  /** Units of a request, default 1. A request of 0 is not counted. */
  cost?: number | ((request: Request) => number | undefined | Promise<number | undefined>)
  /** What is done: each action is counted apart. Default: none. */
  action?: string | ((request: Request) => string | undefined | Promise<string | undefined>)
  /** Which of the limiter's `adaptive.priorities` a request is of. Default: that of calls that name none. */
  priority?: string | ((request: Request) => string | undefined | Promise<string | undefined>)
  /** Whether a request goes on without being counted. */
  skip?: (request: Request) => unknown
  /** Of a refusal, 400 to 599. Default 429. */
  status?: number
  /** Default `true`: those of the draft. */
  headers?: boolean | HeaderOptions
  /** What a refusal says, a text or an object. Default: problem details (RFC 9457), or a text where the client would rather read one. */
  message?:
    | string
    | object
    | ((request: Request, decision: Denial) => string | object | undefined | Promise<string | object | undefined>)
  /**
   * Only responses that fail (a status of 400 and more), or only those that do not, are counted: the units of the others are given back when
   * they are finished. A response that never finishes, since the client has hung up, is counted in either case.
   */
  countOnly?: 'failed' | 'successful'
  /**
   * Waits for its turn instead of being refused, for `maxWait` (up to 1 day, default 10 s); then it is refused. A client that goes leaves
   * the queue. Default `false`.
   */
  queue?: boolean | { maxWait?: Duration }
  /** How many bits of an IPv6 address count, 32 to 128. Default 56: what one customer of a provider has. */
  ipv6Prefix?: number
}

/** Where the framework can be told itself which proxies to trust. */
export interface FrameworkProxyOptions {
  /** A number of proxies that write X-Forwarded-For, or {@link ProxyOptions}. Default `'framework'`: the framework's own setting. */
  trustProxy?: 'framework' | number | ProxyOptions
}

/** Where there is no such setting. */
export interface OwnProxyOptions {
  /** A number of proxies that write X-Forwarded-For, or {@link ProxyOptions}. Default 0: the address of the connection. */
  trustProxy?: number | ProxyOptions
}
