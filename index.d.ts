/// <reference types="node" />

/**
 * A rate limiter whose every decision is made in Rust: in this process, or in Redis through one atomic Lua script
 * that many servers share.
 *
 * @example
 * const limiter = new RateLimiter({ limit: 100, window: '1m', redisUrl: 'redis://localhost:6379' })
 * if (!(await limiter.isAllowed(userId))) return res.status(429).end()
 */

import { EventEmitter } from 'node:events'

/** Milliseconds, or a number with a unit: `'500ms' | '1.5s' | '10m' | '1h' | '1d'`. Rounded to the microsecond. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/**
 * How requests are counted; `docs/algorithms.md` helps to choose.
 *
 * - `'sliding-window'`: never more than `limit` in any rolling interval of length `window`. A spent unit comes back
 *   less than `ceil(window / resolution)` late, and to the microsecond when `limit <= resolution`.
 * - `'sliding-counter'`: two fixed windows, the earlier one weighted by how much of it is still inside. An approximation in
 *   little memory: at most `limit` in each window of the clock, and less than twice that in any interval.
 * - `'fixed-window'`: `limit` a window, which begins with a key's first call or, with `align`, at multiples of its length.
 * - `'token-bucket'`: `burst` at once, then `limit / window` continuously (GCRA: one theoretical arrival time).
 * - `'leaky-bucket'`: calls leave one by one at `limit / window`; up to `burst` wait their turn, each told its `delayMs`.
 */
export type Algorithm = 'sliding-window' | 'sliding-counter' | 'fixed-window' | 'token-bucket' | 'leaky-bucket'

/**
 * Windows that are days, weeks or months as they are lived in a time zone. Each begins at the first moment of its first day there: at midnight,
 * where the clock is put forward over midnight at that moment, and where midnight comes twice at the first. So a day may have 23 hours, or 25.
 *
 * For `algorithm` missing or `'fixed-window'`, without `align`, `resolution` and `burst`. In Redis keys the algorithm is called `calendar`.
 */
export interface CalendarWindow {
  calendar: 'day' | 'week' | 'month'
  /**
   * The name of a zone in the tz database, such as `'Europe/Paris'`. Default `'UTC'`. The data comes with this package, so servers agree that have
   * the same version of it.
   */
  timeZone?: string
  /** Weeks only: the day on which they begin. Default `'monday'`. */
  weekStart?: 'monday' | 'sunday'
}

/** A length of time, or the periods of a calendar. */
export type Window = Duration | CalendarWindow

/** Units above the limit of a windowed algorithm, which come back over a window of their own. */
export interface Burst {
  /** How many, 1 to 2^32. */
  extra: number
  /** How long all of them take to come back. */
  window: Duration
}

/** What a call gets when Redis does not answer; see {@link RateLimiterOptions.onStoreError}. */
export type OnStoreError = 'local' | 'allow' | 'deny' | 'throw'

/** Where changes of state are told; `console`, pino and winston fit. */
export interface Logger {
  /** Redis answers again, or refuses what `share: 'fleet'` needs. */
  warn(message: string): void
  /** Redis stopped answering. */
  error(message: string): void
}

/** A client that runs scripts. Keys and arguments come as bytes, and the reply's strings must be bytes, too. */
export interface ScriptClient {
  /** EVALSHA. Rejects with Redis's own message, which begins with NOSCRIPT where the script is not known. */
  evalsha(sha: string, keys: Buffer[], args: Buffer[]): Promise<unknown>
  /** EVAL. */
  eval(text: string, keys: Buffer[], args: Buffer[]): Promise<unknown>
}

/** A cache that can count. */
export interface CacheClient {
  /** The value at `key`, `null` where there is none. */
  get(key: string): Promise<number | string | null>
  /** Sets the value at `key`, to be forgotten after so long. */
  set(key: string, value: number, expiryMs: number): Promise<unknown>
  /** Adds one, atomically, and answers the new value; 1 where there was none. To be forgotten after so long. */
  incrementAndGet(key: string, expiryMs: number): Promise<number | string>
  /** Takes one away, atomically, and answers the new value. */
  decrementAndGet(key: string): Promise<number | string>
}

/** What decides while Redis is away. Without a store, where nothing can be away, it changes nothing. */
export interface Fallback {
  /** Default: the limit's own. */
  limit?: number
  /** Default: the limit's own. */
  window?: Window
  /**
   * `'fleet'`: the limit is that of all instances together. They announce themselves in Redis under one `prefix`, and each of `n` decides
   * by `limit / n`, rounded up, and so by its `burst`; one that has heard of none, by one unit a key (and one of an `extra`). Default: each has the whole
   * limit.
   * An action takes after the limiter. Refused with `cacheClient`.
   */
  share?: 'fleet'
}

/** The numbers of one limit. */
export interface LimitOptions {
  /** Units admitted in a window: a whole number from 1 to 2^32 (4,294,967,296). */
  limit: number
  /** Length of the window, from 1 µs (`0.001`) to 10 years (3,650 days); or the calendar's, see {@link CalendarWindow}. */
  window: Window
  /** Default `'sliding-window'`, of a calendar's windows `'fixed-window'`; within `limits` and `actions` the limiter's own. */
  algorithm?: Algorithm
  /**
   * Token bucket: how many units a full bucket holds, 1 to 2^32, default `limit`. Leaky bucket: how many wait their turn, 0 (strict
   * spacing) to 2^32 - 1, default `limit`. `burst / limit * window` is at most 10 years.
   * The others: admits up to `extra` above the limit, from a bucket that refills over its own window; so at most
   * `limit + extra * (1 + window / burst.window)` in any window.
   */
  burst?: number | Burst
  /** Sliding window only: the slots a window is counted in, 1 to 1,024. Default 32. More is finer and takes more memory. */
  resolution?: number
  /** Fixed window only: windows begin at multiples of their length since 1970, instead of with a key's first call. */
  align?: boolean
  /** The limit of `onStoreError: 'local'`, with the same algorithm. Default: the limit's own numbers. */
  fallback?: Fallback
}

/**
 * Which keys, or actions, are meant: a text for itself (`'user:42'`), a `*` at the end for any rest (`'partner:*'`), `/:name` for one segment of a path
 * (`'GET /users/:id'`), an address or a network (`'10.0.0.0/8'`, `'2001:db8::/32'`). `\\` takes from `*`, `:`, `/` and itself what they mean. 1 to 256
 * characters, at most 100,000 a limiter. The longest match wins: the smallest network, or else the most literal characters.
 */
export type Pattern = string

/** The limit of keys that have another than everybody. */
export type OverrideOptions =
  | { limit: number; window: Duration; burst?: number | Burst; policy?: undefined }
  | { policy: string; limit?: undefined; window?: undefined; burst?: undefined }

/**
 * What {@link CommonOptions.overrides} says of the values of one field, where `limits` count by fields of the key: the numbers of the limit that counts by
 * this field. Where several of the `limits` do, or one is to be named, `{ limits: { [name]: numbers } }`; one that is not named there keeps its own.
 */
export type FieldOverrideOptions =
  | (OverrideOptions & { limits?: undefined })
  | {
      limits: Record<string, OverrideOptions>
      limit?: undefined
      window?: undefined
      burst?: undefined
      policy?: undefined
    }

/** A limit with a name. */
export interface PolicyOptions {
  /** The name of another, whose numbers this one has where it says none. */
  extends?: string
  /** As in {@link LimitOptions}. */
  limit?: number
  window?: Duration
  burst?: number | Burst
}

/** One of several limits that are decided together. */
export interface NamedLimitOptions extends LimitOptions {
  /** 1 to 64 letters, digits, `-`, `_` or `.`; each limit has its own, and none is called `newKeys` or `candidate`. */
  name: string
  /**
   * `true`: the limit is tried and refuses nobody. It is evaluated in the same step as the others, as if it were in force with them: it takes
   * what they have granted, where it would have granted that too. What it would have done is told in {@link Decision.shadow} and counted in
   * {@link Stats.shadow}. One of the `limits` at least is in force. Without a `fallback`: while Redis is away it is not asked. Not together
   * with `newKeys`, `shared` or `cacheClient`; `denyCache` and `lease` are not used of calls that are tried. Default `false`.
   */
  shadow?: boolean
  /** The field of the key by which it counts, or `'global'` for a limit that all callers share. All of the `limits` say it, or none. */
  by?: string
}

/** The limit of an action. */
export interface ActionOptions extends LimitOptions {
  /** As in {@link NamedLimitOptions.by}. */
  by?: string
  /**
   * The limit is tried, and refuses nobody that calls the action; otherwise as {@link NamedLimitOptions.shadow}, without a `fallback` or a `candidate`.
   * Its name in {@link Stats.shadow} is `'login/default'`, where the action is `'login'`. Default `false`.
   */
  shadow?: boolean
  /**
   * A limit that is tried in the place of this one, as the limiter's own `candidate` is. It takes after the action, and that after the limiter. Its
   * name in {@link Stats.shadow} is `'login/candidate'`, where the action is `'login'`.
   */
  candidate?: CandidateOptions
}

/** A limit that is tried in the place of the one in force; `algorithm`, `resolution` and `align` are the limiter's unless it says others. */
export type CandidateOptions = Omit<LimitOptions, 'fallback'>

/** How many new identities one source may bring. */
export interface NewKeysOptions extends LimitOptions {
  /** The field of the key that says where a call comes from, such as `'ip'`; or `'global'` for all sources together. */
  by: string
}

/** Where the master of a Redis with sentinels is asked for, and how one logs in there. */
export interface SentinelOptions {
  /** What the sentinels call the master. */
  name: string
  /** The sentinels, 1 to 100, as in {@link CommonOptions.redisUrl}, each with its own user and password where it has them. */
  urls: string[]
  /** The user, password and database of Redis itself. */
  username?: string
  password?: string
  /** Default 0. */
  database?: number
}

/** Certificates, each as PEM in a string or a Buffer. */
export interface TlsOptions {
  /** The authorities that are believed, instead of the system's. */
  ca?: string | Uint8Array
  /** This side's own certificate, for a server that asks for one; together with `key`. */
  cert?: string | Uint8Array
  /** Its private key, without a passphrase. */
  key?: string | Uint8Array
  /** The name that the server's certificate must have, where that is not the host of the URL. */
  serverName?: string
}

/** What every limiter can be told beside its limit. */
export interface CommonOptions {
  /**
   * `redis://[user:password@]host[:port][/database]` (or `valkey://`), `rediss://` (or `valkeys://`) for TLS, or
   * `unix:///path[?db=database]`. An array of URLs names servers of a Redis Cluster, of which one that answers is enough to find the others.
   * Without any store the limiter decides in this process's memory. The constructor never fails because Redis is away.
   */
  redisUrl?: string | string[]
  /** Whether {@link redisUrl} is a Redis Cluster. Default `true` for an array, `false` for a string. A cluster has no database but 0. */
  cluster?: boolean
  /** Sentinels that know where Redis is, instead of {@link redisUrl}. A failover is followed within a second of the switch. */
  sentinel?: SentinelOptions
  /** How TLS is spoken where a URL begins with `rediss://`. Without it the system's authorities are believed, and the host's name is checked. */
  tls?: TlsOptions
  /** What the connections are called in Redis's `CLIENT LIST`: 1 to 64 visible ASCII characters. Default: nothing. */
  clientName?: string
  /**
   * The application's own client, instead of {@link redisUrl}: ioredis, iovalkey, node-redis (`redis`), `@valkey/valkey-glide`, each alone or of
   * a cluster, or any object that runs a script. It is used as it is: connecting and closing it is the application's affair.
   */
  redisClient?: object | ScriptClient
  /**
   * A cache that can only count, instead of Redis: two windows of the clock, weighted. With `algorithm` missing or `'sliding-counter'`,
   * a window of at least 1 ms, and calls of one unit; whatever four operations cannot do atomically is refused with `ERR_RATE_LIMIT_UNSUPPORTED`.
   * Time is this process's. `distributed-rate-limiter/memcached` makes one of a Memcached client.
   */
  cacheClient?: CacheClient
  /**
   * The name of memory that the processes of this machine share, instead of Redis: 1 to 64 letters, digits, `-`, `_` or `.`, not beginning
   * with `.`. Limiters with one name, {@link prefix} and algorithm share their counts exactly, across processes and worker threads of one
   * user. The memory is a file of {@link maxMemory} (default 32 MiB) that is made at once where there is none, and stays until it is deleted
   * or the machine is started anew. {@link timeout} (default 1 s) is how long a call waits for a process that has been stopped in the midst of a
   * step; then it throws or rejects with `ERR_RATE_LIMIT_SHARED_TIMEOUT`. A new key that finds no room is refused. Linux only. Not together with
   * another store, `fallback`, `onStoreError`, `denyCache`, `maxPending` or `clock: 'timestamps'`.
   */
  shared?: string
  /**
   * Limits of single actions, by the name that a call gives as its `action`, or by a {@link Pattern} for several: all that it matches is
   * counted together. An action without an entry has the limiter's own limit, and is counted apart all the same.
   */
  actions?: Record<string, ActionOptions>
  /**
   * Limits of single keys or groups of them, by {@link Pattern}: `{ limit, window, burst? }` with the limiter's algorithm, or the name of one of
   * {@link policies}. The longest pattern of `overrides`, `allow` and `deny` together decides; {@link RateLimiter.configure} beats an override, a
   * call's own limit both, and an action's own limit stays. While the store is away it is the same limit. For a limiter with one limit.
   *
   * Where the `limits` have a `by`, overrides by field: `{ user: { 'partner:*': { limit: 1000, window: '1m' } } }`. The longest pattern of each field
   * decides for it: one field on `deny` has the call refused, otherwise one on `allow` has it allowed, otherwise the overrides of all fields hold. Which
   * fields there are say the `limits`, `actions`, `newKeys` and {@link hashTag}; another is refused with `ERR_RATE_LIMIT_UNKNOWN_OPTION`.
   */
  overrides?: Record<Pattern, OverrideOptions> | Record<string, Record<Pattern, FieldOverrideOptions>>
  /** Keys that are never counted and always allowed, by {@link Pattern}; where the `limits` have a `by`, a list for each field. */
  allow?: readonly Pattern[] | Record<string, readonly Pattern[]>
  /**
   * Keys that are always refused, by {@link Pattern}: nobody is asked, and `retryAfterMs` is a day. Where the `limits` have a `by`, a list for each field,
   * such as `{ ip: ['10.0.0.0/8'] }`.
   */
  deny?: readonly Pattern[] | Record<string, readonly Pattern[]>
  /**
   * One of three. Limits with names (1 to 64 letters, digits, `-`, `_` or `.`), for {@link overrides}: what one does not say is as in the one that it
   * extends. Or the path of a file, `.yaml`, `.yml` or `.json`, that has these options; see `docs/policies.md`. Or `'shared'`: the limits are what a
   * fleet shares in Redis, once anything is stored there by {@link RateLimiter.publishPolicies}; until then, and in a process that begins while Redis
   * is away, those of this constructor. `{ shared: name }` names which (of the same signs), so that several limiters of one {@link prefix} may have their
   * own; `'shared'` is the name `'default'`. For a limiter on `redisUrl`, `sentinel` or `redisClient`.
   */
  policies?: Record<string, PolicyOptions> | 'shared' | { shared: string } | (string & {})
  /**
   * `'store'` (default): the time of Redis, or of this process where it decides. `'timestamps'`, for a limiter in memory: each call's
   * `timestamp` is the time itself, so that what has happened can be replayed.
   */
  clock?: 'store' | 'timestamps'
  /** What every key in Redis begins with, 1 to 128 characters. Default `'rl'`. Limiters with one prefix and algorithm share their counts. */
  prefix?: string
  /**
   * A secret of 16 to 1,024 characters that all servers share: every key becomes its HMAC-SHA-256 (128 bits of it) before any store
   * sees it, so that mail addresses stay out of Redis, of caches and of this process's table. `false`, the default, stores keys as they
   * are. `undefined` is refused: a variable that nobody set would mean the same as `false`. Names of limits and actions stay readable.
   */
  hashKeys?: string | false
  /**
   * What decides in which slot of a Redis Cluster a key lies, so that a check of several limits is one step. Default `false`: the whole
   * name of each. `true`: the caller's key, whose `limits` and `actions` then lie together. The name of a field (1 to 64 characters), such as
   * `'tenant'`: what the key has there; every limit and action must say its `by` then. All limits, those `by: 'global'` too, then count within that tenant, every key must name it, and `block`, `unblock`
   * and `reset` mean it where they name nobody else. On every store alike. It makes other names of keys, which start anew.
   */
  hashTag?: boolean | string
  /** The whole time that a call may take before {@link onStoreError} decides, 1 ms to 1 minute. Default 100 ms, with {@link shared} 1 s. */
  timeout?: Duration
  /** Calls that may wait for Redis, 1 to 1,048,576. Default 16,384. One call more is decided by {@link onStoreError} at once. */
  maxPending?: number
  /**
   * Who works beside the calls, where a store is asked: `'loop'`, Node's event loop, so that a call and its answer cross no thread; or
   * `'thread'`, a thread of its own, one for all limiters of a JavaScript thread. Both decide alike, and a process may have limiters of either.
   * Default `'loop'`, and `'thread'` where there is no loop of libuv. The constructor throws `ERR_RATE_LIMIT_UNSUPPORTED` for `'loop'` where there is no loop of libuv, as in Bun.
   */
  driver?: 'loop' | 'thread'
  /**
   * What keys may take in this process: bytes, or a string such as `'64mb'` (`kb`, `mb`, `gb`), 64 KiB to 256 GiB. Default 64 MiB.
   * With {@link shared} the size of the file, which is the same for all who use it: default that of the file that is there, or 32 MiB.
   * Keys that find no room are counted by fingerprints, as strictly or more so: nobody passes the limit, and nobody is forgotten.
   */
  maxMemory?: number | string
  /**
   * For how long a refusal of Redis is repeated here without asking, 1 ms to 1 minute; never for longer than its `retryAfterMs`. What
   * frees the key here ends it at once; what frees it elsewhere ends it as soon as a message says so, or after this time, which is
   * therefore the longest false refusal. `false`: Redis is asked each time. Default 1 s; with `redisClient`, which brings no messages,
   * `false`. Not for a `cacheClient`.
   */
  denyCache?: Duration | false
  /**
   * Units of hot keys that this process takes ahead and decides by without asking Redis; see {@link LeaseOptions}. `false`, or left out:
   * Redis decides each call. For a limiter on Redis with one limit and `'sliding-window'` without a `burst`, or `'token-bucket'`.
   */
  lease?: LeaseOptions | false
  /**
   * The limits give way while this process, or its fleet, is overloaded, each to `limit * multiplier`, rounded up and at least 1; see
   * {@link AdaptiveOptions} and `docs/adaptive.md`. `false`, or left out: they do not. Not with `lease`.
   */
  adaptive?: AdaptiveOptions | false
  /**
   * What a call gets when Redis fails or is late: `'local'` (default) decides in this process by the limit's `fallback`;
   * `'allow'` and `'deny'` say so; `'throw'` rejects with an error whose `code` names the cause.
   */
  onStoreError?: OnStoreError
  /** Told once of each change of state. Default: nobody. */
  logger?: Logger
}

/**
 * A load from 0, where 1 is as loaded as the process may be. Called every 100 ms, and where the event loop is too busy for its timers as
 * often within calls that decide: it must be quick. What throws, or returns anything but a finite number from 0 on, is ignored, counted, and
 * told once by the event `signalFailed`.
 */
export type Signal = () => number

/** By what the limits of this process give way, how far, and whose first. */
export interface AdaptiveOptions {
  /**
   * What the load is read from, every 100 ms or as often with calls where no timer comes: the highest of up to 16. Default `['eventLoopLag']`.
   *
   * - `'eventLoopLag'`: how late the event loop's timers are.
   * - `'cpu'`: the cores that this process uses, all threads together; 1 is one core.
   * - `'latency'`: the 90th percentile of the response times that the middleware or {@link RateLimiter.latency} reports.
   * - a function of the application's.
   */
  signals?: readonly ('eventLoopLag' | 'cpu' | 'latency' | Signal)[]
  /**
   * At what value of each signal its load is 1. Durations from 1 ms to 1 minute, cores from 0.01 to 1024. Default
   * `{ eventLoopLag: '50ms', cpu: 0.9, latency: '250ms' }`.
   */
  targets?: { eventLoopLag?: Duration; cpu?: number; latency?: Duration }
  /** The least of each limit that is left, 0.01 to 1. Default 0.2. */
  min?: number
  /**
   * Names of up to 16 classes of calls, the lowest first, for {@link CallOptions.priority}. The lowest gives way first, down to `min`, then the next.
   * Default: all calls are of one class.
   */
  priorities?: readonly string[]
  /**
   * By whose load the limits give way. `'instance'` (default): by that of this process. `'fleet'`: by that of all limiters under one `prefix` in one
   * Redis, for which `redisUrl`, `sentinel` or `redisClient` is needed. Each tells what its own load makes of the multiplier, at once where that
   * changes and twice a second, and all go by the mean. One that has said nothing for 3 s, or is closed, counts no more. While Redis is away, or refuses
   * what is told, each goes by its own.
   */
  scope?: 'instance' | 'fleet'
}

/**
 * What may be leased of a key. It is leased of only while it is asked for often: as much as it used lately, an eighth of what the limit
 * has left at most, so near the limit each call is decided by Redis. The limit is never passed, whenever within the lease a unit is used;
 * what is not used is given back when the lease ends, and by `close`.
 */
export interface LeaseOptions {
  /** Units of one lease at most: a whole number from 1 to 1,000,000. */
  max: number
  /**
   * How long a lease lasts, 1 ms to 1 minute, not longer than the `window`. A leased unit counts as if it had been used at the end of its
   * lease, so up to `ttl / (window + ttl)` of the limit is not to be had: a fiftieth of the window costs 2 %.
   */
  ttl: Duration
}

/**
 * One limit; several that are decided together, all or nothing; or `limit: 'configured'`, where each key's limit is given by
 * `configure` or with the call.
 */
export type RateLimiterOptions = CommonOptions &
  // What it does not say with `policies` is in the file.
  (
    | LimitForms
    | ({
        policies: string & {}
        limits?: NamedLimitOptions[]
        newKeys?: NewKeysOptions
        shadow?: boolean
        candidate?: CandidateOptions
      } & Partial<LimitOptions>)
  )

/** The forms in which limits are described: one, several, or those that come with `configure` or with the call. */
export type LimitForms =
  | (LimitOptions & { limits?: undefined; newKeys?: undefined; shadow?: false; candidate?: undefined })
  | (LimitOptions & {
      limits?: undefined
      newKeys?: undefined
      shadow?: false
      /**
       * A limit that is tried in the place of this one: evaluated in the same step, as if it were the limiter's only limit. It takes whenever it
       * admits a call itself, whatever the limit in force says, and refuses nobody. In {@link Decision.shadow} and {@link Stats.shadow} its name
       * is `'candidate'`. Actions with a limit of their own have {@link ActionOptions.candidate} instead, and none have calls under an override, `configure` or a limit that
       * comes with them. Not together with `shadow`, `shared` or `cacheClient`; `denyCache` and `lease` are not used of calls that are tried.
       */
      candidate: CandidateOptions
    })
  | (Omit<LimitOptions, 'fallback'> & {
      limits?: undefined
      newKeys?: undefined
      candidate?: undefined
      fallback?: undefined
      /** The limit is tried, and nobody is ever refused; otherwise as {@link NamedLimitOptions.shadow}. Its name is `'default'`. */
      shadow: boolean
    })
  | ({
      shadow?: undefined
      candidate?: undefined
      limits: NamedLimitOptions[]
      /**
       * How many new identities one source may bring, against floods of made-up ones. Every limit and action must say its `by` then, and a call
       * names its source as well: `check({ user: 'u1', ip: '::1' })`. Whom a call names in a field by which limits count, other than this one's,
       * is new where none of these limits counts anything of theirs. A call that brings somebody new takes one unit of this limit, whatever it
       * costs, or is refused by it, takes nothing and writes nothing; any other call takes none of it. In decisions its name is `'newKeys'`.
       * `reset({ ip })`, which names nobody else, forgets what the source has brought; nothing else changes it. Its algorithm is the limiter's own
       * unless it says another.
       */
      newKeys?: NewKeysOptions
      limit?: undefined
      window?: undefined
    } & Pick<LimitOptions, 'algorithm' | 'resolution' | 'align'>)
  | ({
      limit: 'configured'
      limits?: undefined
      newKeys?: undefined
      shadow?: undefined
      candidate?: undefined
      window?: undefined
    } & Pick<LimitOptions, 'algorithm' | 'resolution' | 'align'>)

/** What {@link RateLimiter.update} takes: the options that describe limits, of any form that {@link RateLimiterOptions} has. */
export type Limits = LimitForms &
  Pick<CommonOptions, 'actions' | 'overrides' | 'allow' | 'deny'> & { policies?: Record<string, PolicyOptions> }

/** Limits as a fleet shares them: those of {@link RateLimiterOptions}, and nothing that belongs to a limiter itself. JSON can say all of it. */
export type PoliciesDocument = {
  /** For editors. Means nothing here. */
  $schema?: string
  /** The form of the document. There is one. */
  version?: 1
} & Limits

/** What {@link RateLimiter.publishPolicies} may be told. */
export interface PublishOptions {
  /** The version that must be the present one, 0 where nothing is stored yet. Default: whichever it is. */
  ifVersion?: number
}

/** The shared policies that are in force in this process. */
export interface SharedPolicies {
  /** Grows by one with each that is published. 0 while those of the constructor are in force. */
  readonly version: number
  /** As it was published, a copy. `null` while those of the constructor are in force. */
  readonly document: PoliciesDocument | null
  /** Epoch milliseconds, by this process's clock, since when they are in force here. */
  readonly since: number
  /** Epoch milliseconds, by the clock of Redis, when they were published. `null` while those of the constructor are in force. */
  readonly publishedAt: number | null
}

/** Whom a call is about: a non-empty string; or, where `limits` say `by`, one for each of their fields. */
export type Key = string | { readonly [field: string]: string }

/** What a call may say beside its key. */
export interface CallOptions {
  /** Units this call takes: a whole number from 1 to the limit (a bucket's burst, a windowed limit with its extra). Default 1. */
  cost?: number
  /** Instead of `cost`: takes as many units as there are, up to this many, and is refused only where there is none. */
  upTo?: number
  /** What is done. Each action is counted apart. 1 to 128 characters. */
  action?: string
  /** A limit that only the caller knows, with `window`: instead of the limiter's own. What was counted under another limit stays counted. */
  limit?: number
  /** Of the kind that the limiter's own windows are: a length, or the calendar's. With `limit: 'configured'` either. */
  window?: Window
  /**
   * When the call happened, in epoch milliseconds. Taken as no later than the store's present and no earlier than the key's last
   * change, so no caller can move another's time; what the store has forgotten by then no longer counts.
   */
  timestamp?: number
  /**
   * Which of {@link AdaptiveOptions.priorities} the call is of. Default `'normal'`, where none is called so the middle one, of two in the middle the
   * higher.
   */
  priority?: string
}

/** What a change of a key's units may say beside its cost. */
export type ChangeOptions = Pick<CallOptions, 'action' | 'limit' | 'window' | 'timestamp' | 'priority'>

export interface AcquireOptions extends Pick<CallOptions, 'cost' | 'action' | 'limit' | 'window' | 'priority'> {
  /** The longest wait, 0 to 1 day. Where it would take longer, the denial comes at once, or as soon as that is known. Default: as long as it takes. */
  maxWait?: Duration
  /** Gives up: the promise rejects with the signal's reason, and a place that was booked is given back. */
  signal?: AbortSignal
}

/** An answer, with what a response's headers need. */
export interface Decision {
  readonly allowed: boolean
  /** Units that this call took: its cost, with `upTo` perhaps fewer, 0 where refused. */
  readonly granted: number
  /** The most that one call could take of the limit that decided: the limit, with its extra; a bucket's burst. */
  readonly limit: number
  /** Units left after this call. */
  readonly remaining: number
  /** Milliseconds after which the same call succeeds, if nobody else takes the units; rounded up; 0 when allowed. */
  readonly retryAfterMs: number
  /** The same in whole seconds, rounded up, for `Retry-After`; 0 when allowed. */
  readonly retryAfter: number
  /** Epoch milliseconds at which the key is as good as new. */
  readonly resetAt: number
  /** Leaky bucket: milliseconds until this call's turn; otherwise 0. */
  readonly delayMs: number
  /**
   * Who decided: Redis, this process as the only store, this process in place of a store that failed, the application's client,
   * this process since it knows a refusal that still holds ({@link CommonOptions.denyCache}), this process by units that Redis has
   * leased to it ({@link CommonOptions.lease}; `remaining` is then what Redis had left when it did, and what is left of the lease),
   * this process by memory that others share ({@link CommonOptions.shared}), or a list ({@link CommonOptions.allow}, {@link CommonOptions.deny}).
   */
  readonly source: 'redis' | 'memory' | 'fallback' | 'client' | 'deny-cache' | 'lease' | 'shared' | 'list'
  /**
   * What decided in place of the limits as they were given; otherwise left out. `'allow-list'` and `'deny-list'`: the list that the key is on; nothing
   * was counted, whatever the call cost. `'adaptive'`: a refusal by `check`, `checkRequest` or `reserve` that the whole limits would not have made,
   * since this process's load has them give way ({@link CommonOptions.adaptive}); by `acquire` where the whole limits have room now, whoever
   * waits, which an empty bucket never has.
   */
  readonly reason?: 'allow-list' | 'deny-list' | 'adaptive'
  /**
   * Of named limits: the one that decided. Refused, the one that must be waited for longest; allowed, the one with the least left,
   * `newKeys` left out.
   */
  readonly name?: string
  /** Of named limits: what each of them said, in the order of `limits`, `newKeys` as the last. */
  readonly limits?: readonly LimitDecision[]
  /**
   * Of limits that are tried: what each of them would have said, in their order; `'candidate'` is the limit's name that is tried in the
   * place of the one in force. They have no part in anything else that is told here. Left out where nothing is known of them, as while the
   * store is away; one whose key cannot be read is missing, with those behind it. Of a call that costs more than one could ever hold, `retryAfterMs` is no promise.
   */
  readonly shadow?: readonly LimitDecision[]
}

/** What {@link RateLimiter.reserve} may be told. */
export interface ReserveOptions extends Pick<CallOptions, 'cost' | 'action'> {
  /** After how long a reservation that nobody settles ends by itself, 1 ms to 1 day. Default 30 s. */
  ttl?: Duration
}

/** What a call of one unit would be told when a reservation has been settled. */
export interface Settlement extends Decision {
  /** The reservation had ended by itself, or was reset: what was used is booked all the same, past the limit where it must be. */
  readonly expired: boolean
}

/** Units that are kept back until somebody says how many were used; where it is not `allowed`, nothing is. */
export interface Reservation extends Decision {
  /** Epoch milliseconds at which it ends by itself, by the store's clock; 0 where nothing is held. */
  readonly expiresAt: number
  /**
   * Ends it, and takes what was really used: a whole number of units from 0 to 4,294,967,296. What is left is free at once; more than
   * was reserved is taken past the limit, as {@link RateLimiter.penalty} does. The first call of `settle` or `cancel` counts, and later
   * ones answer the same, unless it failed. Rejects with `ERR_RATE_LIMIT_COST` for another `actual`, and as {@link RateLimiter.penalty}.
   */
  settle(actual: number): Promise<Settlement>
  /** Ends it; all its units are free again. After {@link settle} it does nothing. */
  cancel(): Promise<void>
  /** {@link cancel}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** What one of several limits said. */
export interface LimitDecision extends Pick<Decision, 'allowed' | 'limit' | 'remaining' | 'retryAfterMs' | 'resetAt'> {
  readonly name: string
}

/** How many calls were admitted, and how many refused. */
export interface Count {
  readonly allowed: number
  readonly denied: number
}

/** What a limit that is tried would have changed, by the number of calls. */
export interface Disagreements {
  /** Nothing. */
  readonly agreed: number
  /** They were admitted, and would have been refused. */
  readonly wouldDeny: number
  /** They were refused, and would have been admitted; 0 for a `shadow`, which is tried beside the others. */
  readonly wouldAllow: number
}

/** A call on which a limit that is tried and those in force disagree. */
export interface Disagreement {
  readonly key: Key
  /** The limit that is tried, by its name; an action's own by that, too: `'login/candidate'`. */
  readonly limit: string
  /** The action whose own limit is tried. Left out where it is the limiter's. */
  readonly action?: string
  /** What it would have done: `'deny'` where the call was admitted, `'allow'` where it was refused. */
  readonly would: 'deny' | 'allow'
  readonly decision: Decision
}

/** How often a number was how large. */
export interface Histogram {
  /** Upper bounds, inclusive, ascending. The same for every limiter. */
  readonly bounds: readonly number[]
  /** How many lay above the bound before and up to this one; the last, one more than there are bounds, above all of them. Not cumulative. */
  readonly counts: readonly number[]
  /** Of all that was recorded. */
  readonly sum: number
  /** How much that was: the sum of `counts`. */
  readonly count: number
}

/** A key that is refused often. */
export interface DeniedKey {
  readonly key: string
  readonly denied: number
}

/**
 * What a limiter has counted since it was made, and how it stands now. Counted are the calls that decide: of `isAllowed`, `isAllowedSync`,
 * `check`, and of `acquire` each time that it asks for units.
 */
export interface Stats {
  /** Calls that were admitted. */
  readonly allowed: number
  /** The same, refused. */
  readonly denied: number
  /** Decisions by who made them. */
  readonly sources: {
    readonly redis: number
    readonly memory: number
    readonly fallback: number
    readonly client: number
    readonly 'deny-cache': number
    readonly lease: number
    readonly shared: number
    readonly list: number
  }
  /** Those of them whose keys are on a list; they are in no limit's and no action's count. */
  readonly lists: Count
  /** The same calls by the limit that decided, as {@link Decision.name} tells; `'default'` is one without a name, among them those of `actions`. */
  readonly limits: Readonly<Record<string, Count>>
  /**
   * Those of the calls that name an action, by its name: each of {@link CommonOptions.actions}, and all others together as `'other'`, once
   * there is one.
   */
  readonly actions: Readonly<Record<string, Count>>
  /**
   * The limits that are tried, by their names: how often each agreed with those in force, and how often not. Calls that the fallback decided are
   * not among them. Those of an action's own limit are counted apart, as `'login/candidate'` or `'login/default'`.
   */
  readonly shadow: Readonly<Record<string, Disagreements>>
  /** Calls that Redis did not decide: late, failed, or over `maxPending`. Each was then decided by `onStoreError`. */
  readonly storeErrors: number
  /** Script calls sent to Redis, and the calls that travelled in those that were answered in time. On a cluster all slots' are one. */
  readonly batches: number
  readonly batchedCalls: number
  /** How many calls were in each of those that were sent. 1, 2, 4, …, 512. */
  readonly batchSizes: Histogram
  /**
   * Milliseconds from when each was sent until all of it was answered, also where that was too late. What is never answered is not in it;
   * see `storeErrors`. 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000.
   */
  readonly latency: Histogram
  /** Calls that travelled merged with another on their key. */
  readonly merged: number
  /** Calls that wait for an answer now. */
  readonly pending: number
  /** Keys held in this process's memory now; with `shared`, in the file. */
  readonly keys: number
  /** Bytes that they take, as they are reckoned for {@link CommonOptions.maxMemory}; with `shared`, bytes of the file that are in use. */
  readonly bytes: number
  /** `'none'` without Redis. */
  readonly store: 'none' | 'connecting' | 'up' | 'down'
  /**
   * `'closed'`: Redis is asked, or waited for until its first answer; `'open'`: it is left alone, and `onStoreError` decides; `'half-open'`: it is
   * being tried, and `onStoreError` goes on deciding until it answers. `'none'` without Redis.
   */
  readonly circuit: 'none' | 'closed' | 'open' | 'half-open'
  /** How often the circuit has opened. */
  readonly circuitOpened: number
  /** How many keys Redis was told of when it was back, since this process had admitted something of theirs in its place. */
  readonly told: number
  /** With `share: 'fleet'`, by how many instances the fallback's limit is divided. `null` without it, and while none was heard of. */
  readonly fleet: number | null
  /**
   * Of the policies that a fleet shares the version in force here, 0 while there is none; how often other limits came into force here, by
   * {@link RateLimiter.update}, a file or the fleet; and how often what a file said or Redis held could not.
   */
  readonly policies: { readonly version: number; readonly changes: number; readonly invalid: number }
  /** With `lease`: the keys of which this process has units that it may use now, and how many those are. */
  readonly leases: { readonly held: number; readonly units: number }
  /** With `adaptive`, how far the limits give way, and why; otherwise `null`. */
  readonly adaptive: AdaptiveStats | null
  /**
   * The keys that were refused most, at most 20, most often first. An estimate in bounded memory: `denied` is too low by up to a 64th of all
   * that was denied, and after the first 1,024 denials one in 16 is looked at, which adds a standard deviation of up to `4 * sqrt(denied)`.
   * Keys are shown as they are, up to 256 bytes of them; with several fields as `user=u1,ip=::1`, in the order of the limits that count by them; those
   * that are stored as digests ({@link CommonOptions.hashKeys}, longer than 1 KiB) by their names in Redis.
   */
  readonly topDenied: readonly DeniedKey[]
}

/** How far limits give way. */
export interface AdaptiveStats {
  /** The one that is in force, from `min` to 1. With the scope `'fleet'` the mean of all instances' own, as far as this one has heard. */
  readonly multiplier: number
  /** By whose load it is. */
  readonly scope: 'instance' | 'fleet'
  /** What the load of this process alone makes of it, from `min` to 1: the same as `multiplier` with the scope `'instance'`. */
  readonly own: number
  /** Of how many instances the multiplier is the mean. 1 with the scope `'instance'`, and while nothing is known of the fleet. */
  readonly instances: number
  /** The highest of the signals when they were read last. */
  readonly load: number
  /** Each signal that said something, by its name; a function's is its own, or `'signal 2'` by its place in the list. */
  readonly signals: Readonly<Record<string, number>>
  /** What is left of the limits for each priority, from `min` to 1; `'normal'` where none was named. */
  readonly priorities: Readonly<Record<string, number>>
  /** How often a signal threw, or said nothing that is a load. */
  readonly failures: number
}

/** One limit, as the limiter was given it. */
export interface Policy {
  /** Its own, `'default'` where it has none, `'newKeys'` or `'candidate'`. */
  readonly name: string
  readonly algorithm: Algorithm
  /** Units a window. */
  readonly limit: number
  /** Length of the window in milliseconds; of a window that is not whole ones, with a fraction. Of a calendar's, that of the present one. */
  readonly windowMs: number
  /** The calendar, where the windows are one's; `weekStart` for weeks from Sunday alone. Left out where they have a length. */
  readonly window?: Readonly<Required<Pick<CalendarWindow, 'calendar' | 'timeZone'>> & { weekStart?: 'sunday' }>
  /** Token bucket: units in a full one. Leaky bucket: how many wait their turn. The others: what they admit above the limit. */
  readonly burst?: number | { readonly extra: number; readonly windowMs: number }
  /** The field of the key by which it counts, or `'global'`. Left out where it counts by the whole key. */
  readonly by?: string
  /** The action that has this limit. Left out where it is everybody's. */
  readonly action?: string
  /** Of a limit that is tried, whether beside the others or in the place of the one in force. Left out where it is in force. */
  readonly role?: 'shadow' | 'candidate'
}

/** Why a call would be decided as it would; see {@link RateLimiter.explain}. */
export interface Explanation extends Pick<Decision, 'allowed' | 'retryAfterMs' | 'source' | 'reason'> {
  /**
   * Who has said which limits it has: the limiter's own options (`'default'`, also where a file or the fleet has said them), those of its action, an
   * override whose pattern the key meets, `configure`, the call itself, or a list.
   */
  readonly from: 'default' | 'action' | 'override' | 'configured' | 'call' | 'allow-list' | 'deny-list'
  /** The pattern by which an override or a list has the key, as it was given; of several fields each, parted by a comma. Left out for all others. */
  readonly pattern?: string
  /** Of the policies that a fleet shares the version that is in force here; 0 where none is. */
  readonly version: number
  /** What is left of the limits under load for the call's priority, at most 1; see {@link CommonOptions.adaptive}. */
  readonly multiplier: number
  /** In the order in which a decision has them; those that are tried are last. */
  readonly limits: readonly ExplainedLimit[]
}

/** A limit as it was given, and how it stands for a call. */
export interface ExplainedLimit extends Policy {
  /** What the caller's key is called under this limit in Redis. */
  readonly key: string
  /** Whether this limit would admit the call. Left out, with the four below, of one that is tried while the store is away. */
  readonly allowed?: boolean
  /** Units of the limit now: fewer than `limit` where it gives way, more with a `burst`. */
  readonly limitNow?: number
  readonly remaining?: number
  readonly retryAfterMs?: number
  readonly resetAt?: number
}

/** Something that is wrong in a file of policies. Line and column count from 1. */
export interface PolicyProblem {
  readonly line?: number
  readonly column?: number
  /** Such as `overrides.user:42.limit`. */
  readonly field?: string
  readonly message: string
}

export interface RateLimiterEvents {
  /** Redis stopped answering, and the circuit is open: calls are decided by `onStoreError` until `storeUp`. */
  storeDown: [error: Error]
  /** Redis answers, and the circuit is closed: the first time, and again after each `storeDown`. */
  storeUp: []
  /**
   * With `share: 'fleet'`: Redis decides, but refuses announcements (a user without the commands, memory that is full). The share is that
   * of the last number heard, or one unit. With the `scope` `'fleet'` of `adaptive`: it refuses to be told of the load, and each instance goes by its
   * own. Told once of each, after two in a row, and again only when one was answered meanwhile.
   */
  fleetUnknown: [error: Error]
  /**
   * Redis has a bound on its memory and evicts keys by this `maxmemory-policy`: an evicted key has its limit once more. Looked at whenever
   * a connection is made, where the user may say `INFO`; told once for each policy.
   */
  storeEvicts: [policy: string]
  /** The limits were changed by {@link RateLimiter.update}, a file or the fleet: what {@link RateLimiter.policies} tells from now on. */
  policies: [policies: Policy[]]
  /**
   * With {@link CommonOptions.policies}: what the file says, or what Redis holds, cannot be in force here, since it is not right, cannot be read, was
   * damaged or lost, or went back to an earlier version. The last good ones stay in force. The error's `code` is `ERR_RATE_LIMIT_POLICIES`; its `problems`
   * are all that was found in a file, and its `cause`, where there is one, says what is wrong with a shared document. Told once for each.
   */
  policiesInvalid: [error: Error & { problems?: readonly PolicyProblem[] }]
  /**
   * A limit that is tried and those in force disagree on a call of `isAllowed`, `isAllowedSync`, `check`, `checkRequest`, or on one of the times
   * that `acquire` asks. Told in a tick of its own. While somebody listens, each call is decided as `check` is.
   */
  disagreement: [disagreement: Disagreement]
  /** With `adaptive`: the multiplier that is in force has left 1, or is back at it. */
  adaptive: [state: { multiplier: number; load: number }]
  /** A signal of `adaptive` fails and is ignored; told once, and again only when it worked meanwhile. `cause` is why, `code` `'ERR_RATE_LIMIT_SIGNAL'`. */
  signalFailed: [error: Error]
  /** The limiter has been closed, and what was called has settled. Told once. */
  close: []
}

export declare class RateLimiter extends EventEmitter<RateLimiterEvents> {
  /**
   * @throws {TypeError | RangeError} with a `code` (`ERR_RATE_LIMIT_OPTION`, `…_UNKNOWN_OPTION`, `…_URL`) and a sentence that
   * names the option, what was given and what is expected.
   * @throws {Error} with `shared`: `ERR_RATE_LIMIT_SHARED_UNAVAILABLE`, `…_SHARED_UNSAFE`, `…_SHARED_FORMAT` about its file, and
   * `ERR_RATE_LIMIT_UNSUPPORTED` where there is none on this system. With a file of `policies`: `ERR_RATE_LIMIT_POLICIES`.
   */
  constructor(options: RateLimiterOptions)

  /**
   * Takes `cost` units from `key`'s limit if they are there. A denial is an answer, never a rejection, and takes nothing.
   *
   * Keys are non-empty strings of any characters. A key longer than 1 KiB of UTF-8 is stored as its SHA-256 digest;
   * with {@link CommonOptions.hashKeys} every key as a keyed one.
   *
   * Rejects with `ERR_RATE_LIMIT_KEY`, `ERR_RATE_LIMIT_COST`, `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION` for bad arguments,
   * `ERR_RATE_LIMIT_CLOSED` after {@link close}, and only under `onStoreError: 'throw'` with a store's error:
   * `ERR_RATE_LIMIT_STORE_TIMEOUT`, `ERR_RATE_LIMIT_STORE_UNAVAILABLE`, `ERR_RATE_LIMIT_OVERLOADED` (more than `maxPending` wait),
   * `ERR_RATE_LIMIT_STATE` (Redis holds something else under this key). With `shared` with `ERR_RATE_LIMIT_SHARED_TIMEOUT`, and where the
   * file was damaged with `ERR_RATE_LIMIT_SHARED_FORMAT`. `ERR_RATE_LIMIT_INTERNAL` is a defect: please report it.
   */
  isAllowed(key: Key, options?: CallOptions): Promise<boolean>

  /**
   * The same, at once, where this process decides.
   * @throws {Error} `ERR_RATE_LIMIT_NOT_LOCAL` where Redis must be asked, and for bad arguments as {@link isAllowed}.
   */
  isAllowedSync(key: Key, options?: CallOptions): boolean

  /** As {@link isAllowed}, with everything there is to know. */
  check(key: Key, options?: CallOptions): Promise<Decision>

  /** What {@link check} would answer; changes nothing, `remaining` is what is left now. */
  peek(key: Key, options?: CallOptions): Promise<Decision>

  /**
   * Why {@link check} would say what it would: which limits apply to the call, who has said so, and how each of them stands. Changes nothing.
   * Rejects as {@link check} does.
   */
  explain(key: Key, options?: CallOptions): Promise<Explanation>

  /** {@link check} in the words of gateways; `retryAfter` is in whole seconds, 0 when allowed. */
  checkRequest(userId: string, timestamp?: number): Promise<{ allowRequest: boolean; retryAfter: number }>

  /**
   * Waits until `key` is allowed, then takes the units: first come, first served within this process. Resolves with a denial where
   * that would take longer than `maxWait`. A bucket's place is booked in the store at once, across all servers; callers of a windowed
   * limit queue in this process, and the first of them asks again when it is worth it.
   */
  acquire(key: Key, options?: AcquireOptions): Promise<Decision>

  /**
   * Gives back up to `cost` units (default 1), the oldest first, never more than were taken. Answers what a call of one unit would
   * be told now. While the store is away `onStoreError` decides where the units are given back.
   */
  refund(key: Key, cost?: number, options?: ChangeOptions): Promise<Decision>

  /**
   * Takes `cost` units (default 1) whether they are there or not; a key is never further in debt than one whole limit. Answers what a
   * call of one unit would be told now.
   */
  penalty(key: Key, cost?: number, options?: ChangeOptions): Promise<Decision>

  /**
   * Refuses every call on `key` for so long (1 µs to 10 years), whatever its units; they go on coming back beneath. Only its end,
   * {@link unblock} and {@link reset} lift it. With a key of several fields, blocks those that are named.
   * Rejects with the store's error where it could not be told; then only this process's fallback knows of the block. With `shared`, as
   * {@link penalty}, with `ERR_RATE_LIMIT_SHARED_FULL` where a new key finds no room.
   */
  block(key: Key, duration: Duration, options?: Pick<CallOptions, 'action' | 'timestamp'>): Promise<void>

  /** Ends a block. Rejects as {@link block}. */
  unblock(key: Key, options?: Pick<CallOptions, 'action'>): Promise<void>

  /** Forgets `key`, in Redis and in this process. Rejects with the store's error where Redis could not be told. */
  reset(key: Key, options?: Pick<CallOptions, 'action'>): Promise<void>

  /**
   * Keeps `cost` units (default 1) of `key` back, of all its limits or of none, until they are settled: for what costs nobody knows how
   * much before it is done. A denial is an answer, as of {@link check}; so is one more than 4,096 reservations of a key at once. A
   * reservation that is not settled, since its process has crashed, ends by itself after `ttl`. While the store is away
   * `onStoreError` decides; what is reserved here is settled here, and under `'allow'` it counts nowhere.
   *
   * Rejects as {@link isAllowed}, and with `ERR_RATE_LIMIT_UNSUPPORTED` with `shared`, `cacheClient`, `newKeys` or `clock: 'timestamps'`, and
   * under several limits in a cluster without `hashTag`.
   */
  reserve(key: Key, options?: ReserveOptions): Promise<Reservation>

  /**
   * Gives `key` a limit of its own in this process, `null` takes it away. What the key has consumed stays consumed.
   * @throws `ERR_RATE_LIMIT_KEY`, `ERR_RATE_LIMIT_OPTION`, and `ERR_RATE_LIMIT_UNSUPPORTED` for a limiter with several `limits`.
   */
  configure(key: Key, limit: { limit: number; window: Window } | null): void

  /**
   * Decides by other limits from the next call on, in this process. They are described as for the constructor, and replace all that it was
   * given of them: what is left out is as it is without it. All else of the constructor stays, as do limits given by {@link configure}.
   *
   * What keys have consumed survives: a higher limit has as much more room at once; under a lower one nothing is admitted that would pass it
   * over what is still remembered. `docs/algorithms.md` says what that means for each algorithm. Calls under way are decided by what they
   * began with. What is known of refusals is forgotten, and units leased under other numbers are given back. Emits `policies`.
   *
   * A limit that is given another algorithm stays in force beside what it becomes, with the new numbers, until nothing of it is remembered: for
   * twice the longer of both windows, or times to fill of a bucket. Each call in that time must be admitted by both, and one limit is told of,
   * the stricter. `newKeys` and a limiter with `clock: 'timestamps'` keep their algorithms, and a windowed algorithm that it has a `burst` or none.
   * @throws as the constructor, with `ERR_RATE_LIMIT_OPTION` also for an option that cannot be changed and what is said above, and
   * `ERR_RATE_LIMIT_CLOSED` after {@link close}. Then nothing has changed.
   */
  update(limits: Limits): void

  /**
   * Resolves when the store answers: at once without Redis and while Redis answers, otherwise when it first or again does.
   * Nothing has to wait for it. Rejects with `ERR_RATE_LIMIT_STORE_UNAVAILABLE` after `timeout` (1 ms to 1 h, default 5 s), and with
   * `ERR_RATE_LIMIT_CLOSED` when the limiter is closed.
   */
  ready(options?: { timeout?: Duration }): Promise<void>

  /** Lets what was called settle, then leaves Redis. Later calls reject with `ERR_RATE_LIMIT_CLOSED`. Safe twice. */
  close(): Promise<void>

  /**
   * A response took so many milliseconds: for the signal `'latency'` of {@link CommonOptions.adaptive}, without which it does nothing. The middleware
   * does this by itself.
   *
   * @throws TypeError or RangeError with the code `ERR_RATE_LIMIT_OPTION` where it is no number from 0 on.
   */
  latency(ms: number): void
  /** Whether response times are of use to this limiter. */
  readonly measuresLatency: boolean
  /**
   * The limits that it was given: those that decide together in their order, then those of `actions` by the actions' names, `newKeys`
   * last. None where `limit` is `'configured'`, but those of its `actions`.
   */
  policies(): Policy[]

  /**
   * Stores limits for all processes that share policies of this name, after the constructor's own checks: what it would refuse is rejected with its
   * error, and nothing changes. Resolves with the new version when it is stored and in force here; in the others it is within a second. The whole
   * document replaces the one before.
   *
   * Rejects with `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION` for what is no document (also one of more than 8 MiB of JSON),
   * `ERR_RATE_LIMIT_POLICIES_CONFLICT` where `ifVersion` is not the present version, which the error's `version` is;
   * `ERR_RATE_LIMIT_POLICIES` where something else lies under its key, `ERR_RATE_LIMIT_STORE_UNAVAILABLE` where Redis does not answer within 5 s (it may
   * have been stored all the same), `ERR_RATE_LIMIT_CLOSED`, and `ERR_RATE_LIMIT_UNSUPPORTED` without {@link CommonOptions.policies}.
   */
  publishPolicies(document: PoliciesDocument, options?: PublishOptions): Promise<{ version: number }>

  /**
   * The shared policies that are in force here.
   * @throws `ERR_RATE_LIMIT_UNSUPPORTED` without {@link CommonOptions.policies}.
   */
  sharedPolicies(): SharedPolicies

  /** What was counted since the limiter was made, and how it stands now: a picture, which takes some microseconds. */
  stats(): Stats
}

interface AnyLimitOptions extends LimitOptions {
  limits: NamedLimitOptions[]
  newKeys: NewKeysOptions
  shadow: boolean
  candidate: CandidateOptions
}

/** The options of a {@link RateLimiter}, or in other words: `maxRequests` for `limit`, `timeWindowMs` for `window`. */
export type DistributedRateLimiterOptions = Partial<CommonOptions> & DistributedLimits

/** The limits among them: what {@link DistributedRateLimiter.update} takes. */
export type DistributedLimits = Pick<CommonOptions, 'actions'> & {
  [Option in keyof AnyLimitOptions]?: AnyLimitOptions[Option]
} & {
  /** Calls admitted in a window, 1 to 2^32. */
  maxRequests?: number
  /** Length of the window in milliseconds. */
  timeWindowMs?: number
  /** The limit while the store is away. Default: what `fallback` says, or twice `maxRequests`. */
  fallbackMaxRequests?: number
  /** Its window in milliseconds. Default: `timeWindowMs`. */
  fallbackTimeWindowMs?: number
}

/**
 * A {@link RateLimiter} with other names for the same. Without a limit, each client's is given by {@link configureRateLimit} or with
 * the call; a client without one is rejected with `ERR_RATE_LIMIT_NO_LIMIT`.
 */
export declare class DistributedRateLimiter extends RateLimiter {
  /** @throws as {@link RateLimiter}. */
  constructor(options?: DistributedRateLimiterOptions)

  /** As {@link RateLimiter.update}, in these words. */
  update(limits: DistributedLimits | Limits): void

  /** Gives a client a limit of its own, `null` takes it away; as {@link RateLimiter.configure}. */
  configureRateLimit(clientId: string, rateLimit: { limit: number; windowMs: number } | null): void

  isAllowed(key: Key, options?: CallOptions): Promise<boolean>
  /** Counts each action of a client apart, under a limit that comes with the call; `timeWindow` is in whole **seconds**. */
  isAllowed(clientId: string, action: string, limit: number, timeWindow: number): Promise<boolean>
}

/**
 * Messages of `node:diagnostics_channel`, by the channel's name. They are made and sent only where somebody has subscribed.
 *
 * @example
 * subscribe('distributed-rate-limiter:denied', (message) => {
 *   const { key, decision } = message as DiagnosticsMessages['distributed-rate-limiter:denied']
 * })
 */
export interface DiagnosticsMessages {
  /**
   * A call was refused, by whichever method: `isAllowed`, `check`, `checkRequest`, `acquire`, `isAllowedSync`. The last has no decision. While
   * somebody has subscribed, `isAllowed` is decided as `check` is, so that there is one. The key is as the caller gave it, also with `hashKeys`.
   */
  'distributed-rate-limiter:denied': { limiter: RateLimiter; key: Key; decision: Decision | undefined }
  /** The event `disagreement`, of every limiter. */
  'distributed-rate-limiter:shadow': Disagreement & { limiter: RateLimiter }
  /** The store stopped answering (`error` says why), it answers, or the limiter was closed. */
  'distributed-rate-limiter:state': { limiter: RateLimiter; state: 'up' | 'down' | 'closed'; error: Error | undefined }
  /**
   * A call is asked of the store, told at once and so in the caller's context; what this process decides by itself is not. `answer` is its
   * promise, of whatever the method promises.
   */
  'distributed-rate-limiter:store': {
    limiter: RateLimiter
    call: 'isAllowed' | 'check' | 'acquire' | 'peek' | 'refund' | 'penalty' | 'block' | 'unblock' | 'reset' | 'giveBack'
    key: Key
    answer: Promise<boolean | Decision | void>
  }
}

/** The options of a {@link ConcurrencyLimiter}. */
export interface ConcurrencyLimiterOptions extends Pick<
  CommonOptions,
  | 'redisUrl'
  | 'cluster'
  | 'sentinel'
  | 'tls'
  | 'clientName'
  | 'redisClient'
  | 'prefix'
  | 'hashKeys'
  | 'timeout'
  | 'maxPending'
  | 'driver'
  | 'maxMemory'
  | 'onStoreError'
  | 'logger'
> {
  /** Units of a key that may be held at once: a whole number from 1 to 4,096. */
  limit: number
  /**
   * After how long a permit ends whose holder is gone, 100 ms to 1 day. Default 30 s. A holder that lives renews it three times as often.
   */
  ttl?: Duration
}

/** The options of {@link ConcurrencyLimiter.acquire}. */
export interface PermitOptions {
  /** Units, 1 (default) to the limit. */
  cost?: number
  /** How long to wait until there is a permit, 0 (default: not at all) to 1 day. */
  maxWait?: Duration
  /** Gives up: the promise rejects with the signal's reason, and nothing is held. */
  signal?: AbortSignal
}

/** Leave to have something under way. Where it is not `acquired` nothing is held, and nothing has to be released. */
export interface Permit {
  readonly acquired: boolean
  /** The limit. */
  readonly limit: number
  /** Units left after it. */
  readonly remaining: number
  /** Milliseconds after which there is room if nobody lets go before: when permits end whose holders are gone. 0 where acquired. */
  readonly retryAfterMs: number
  /** The same in whole seconds, rounded up. */
  readonly retryAfter: number
  readonly source: Decision['source']
  /** Epoch milliseconds at which it ends unless it is renewed, by the store's clock; 0 where nothing is held. */
  readonly expiresAt: number
  /** Aborted when the permit is lost: it was reset, or could not be renewed in time. Then somebody else may have one in its place. */
  readonly signal: AbortSignal
  /** Lets go. Never rejects: where the store cannot be told, the permit ends by itself. Safe twice. */
  release(): Promise<void>
  /** {@link release}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** What {@link ConcurrencyLimiter.stats} counts beside the rest. */
export interface ConcurrencyStats extends Stats {
  /** Permits that this limiter holds now. */
  readonly held: number
  /** Callers of `acquire` that wait. */
  readonly waiting: number
}

/** How much of a key is under way at once, across all processes that share the store. */
export declare class ConcurrencyLimiter extends EventEmitter<Omit<RateLimiterEvents, 'fleetUnknown'>> {
  /** @throws as {@link RateLimiter}. */
  constructor(options: ConcurrencyLimiterOptions)
  /**
   * Takes `cost` units of `key` until they are released. Those who wait in this process are served in the order in which they came. Rejects
   * as {@link RateLimiter.isAllowed}.
   */
  acquire(key: string, options?: PermitOptions): Promise<Permit>
  /** What {@link acquire} would find; `remaining` is what is left now. */
  peek(key: string, options?: Pick<PermitOptions, 'cost'>): Promise<Decision>
  /** As {@link RateLimiter.ready}. */
  ready(options?: { timeout?: Duration }): Promise<void>
  /** Releases what it holds, then leaves the store. Who waits, and later calls, are rejected with `ERR_RATE_LIMIT_CLOSED`. Safe twice. */
  close(): Promise<void>
  /** As {@link RateLimiter.stats}. */
  stats(): ConcurrencyStats
}
