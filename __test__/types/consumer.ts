/** Type test: every member of the public API as an application would use it, and misuse it. It is compiled, never run. */

import type { EventEmitter } from 'node:events'
import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'
import type {
  AcquireOptions,
  AdaptiveOptions,
  AdaptiveStats,
  Algorithm,
  Burst,
  CacheClient,
  CallOptions,
  CommonOptions,
  Count,
  Decision,
  DeniedKey,
  Duration,
  Fallback,
  Histogram,
  LimitDecision,
  LimitOptions,
  Logger,
  NamedLimitOptions,
  NewKeysOptions,
  OnStoreError,
  RateLimiterEvents,
  ScriptClient,
  Stats,
} from 'distributed-rate-limiter'
import { memcachedCache, type MemcachedClient } from 'distributed-rate-limiter/memcached'

/** A table that compiles only when it names every member of `T` and no other, so a member cannot come or go unseen. */
type Every<T> = Record<keyof T, true>

// Making one.

const logger: Required<Logger> = { warn: (message: string) => void message, error: (message: string) => void message }
const fallback: Required<Fallback> = { limit: 10, window: '1m', share: 'fleet' }
const burst: Required<Burst> = { extra: 5, window: '10s' }
const limitOptions: Required<LimitOptions> = {
  limit: 100,
  window: '1m',
  algorithm: 'sliding-window',
  burst,
  resolution: 32,
  align: false,
  fallback,
}
const cacheClient: CacheClient = {
  get: async () => null,
  set: async () => {},
  incrementAndGet: async () => 1,
  decrementAndGet: async () => 0,
}
declare const memcachedClient: MemcachedClient
const memcached: CacheClient = memcachedCache(memcachedClient)
void memcached
const scriptClient: ScriptClient = { evalsha: async () => [], eval: async () => [] }
const adaptive: Required<AdaptiveOptions> = {
  signals: ['eventLoopLag', 'cpu', 'latency', () => 0.5],
  targets: { eventLoopLag: '50ms', cpu: 0.9, latency: 250 },
  min: 0.2,
  priorities: ['low', 'normal', 'high'],
}
// @ts-expect-error There is no such signal.
export const misspelt: AdaptiveOptions = { signals: ['eventloopLag'] }
export const multiplier = (): number | undefined => smallest.stats().adaptive?.multiplier
export const isGivingWay = async (): Promise<boolean> =>
  (await smallest.check('key', { priority: 'low' })).reason === 'adaptive'
const commonOptions: Required<CommonOptions> = {
  redisUrl: ['redis://redis-1:6379', 'redis://redis-2:6379'],
  cluster: true,
  sentinel: { name: 'mymaster', urls: ['redis://sentinel-1:26379'], username: 'u', password: 'p', database: 1 },
  tls: { ca: new Uint8Array(), cert: '', key: Buffer.from(''), serverName: 'redis.internal' },
  clientName: 'api',
  hashTag: Math.random() < 0.5 ? true : 'tenant',
  redisClient: scriptClient,
  cacheClient,
  shared: 'api',
  actions: { download: { limit: 5, window: '1h', by: 'user' } },
  clock: 'store',
  prefix: 'app',
  hashKeys: 'a secret of all servers',
  timeout: '50ms',
  maxPending: 1024,
  driver: Math.random() < 0.5 ? 'loop' : 'thread',
  maxMemory: '64mb',
  denyCache: '1s',
  lease: Math.random() < 0.5 ? false : { max: 100, ttl: '200ms' },
  adaptive: Math.random() < 0.5 ? false : adaptive,
  onStoreError: 'local',
  logger,
}
const named: Required<NamedLimitOptions> = { ...limitOptions, name: 'daily', by: 'user' }
export const limiter: EventEmitter = new RateLimiter({ ...commonOptions, ...limitOptions })
export const smallest = new RateLimiter({ limit: 1, window: 1000 })
const newKeys: Required<NewKeysOptions> = { ...limitOptions, by: 'ip' }
export const several = new RateLimiter({
  ...commonOptions,
  limits: [named, { name: 'all', by: 'global', limit: 1, window: 1 }],
  newKeys,
})
export const guarded = new DistributedRateLimiter({ limits: [named], newKeys: { limit: 1, window: '1h', by: 'ip' } })
// @ts-expect-error A single limit knows of no source.
export const unguarded = new RateLimiter({ limit: 1, window: '1m', newKeys })
// @ts-expect-error It counts by something.
export const byNothing = new RateLimiter({ limits: [named], newKeys: { limit: 1, window: '1m' } })
export const open = new RateLimiter({ limit: 'configured', algorithm: 'token-bucket' })
export const faces: DistributedRateLimiter[] = [
  new DistributedRateLimiter(),
  new DistributedRateLimiter({ redisUrl: 'redis://localhost' }),
  new DistributedRateLimiter({ limit: 1, window: '1m' }),
  new DistributedRateLimiter({
    maxRequests: 100,
    timeWindowMs: 60_000,
    cacheClient,
    fallbackMaxRequests: 200,
    fallbackTimeWindowMs: 60_000,
  }),
]
export const withConsole = new RateLimiter({ limit: 1, window: '1d', logger: console })

export const algorithms: Record<Algorithm, true> = {
  'sliding-window': true,
  'sliding-counter': true,
  'fixed-window': true,
  'token-bucket': true,
  'leaky-bucket': true,
}
export const onStoreErrors: Record<OnStoreError, true> = { local: true, allow: true, deny: true, throw: true }
export const durations: Duration[] = [60_000, 0.001, '500ms', '10s', '1m', '1h', '1d']

// Asking it.

export const members: Every<Omit<RateLimiter, keyof EventEmitter>> = {
  isAllowed: true,
  isAllowedSync: true,
  check: true,
  peek: true,
  checkRequest: true,
  acquire: true,
  refund: true,
  penalty: true,
  block: true,
  unblock: true,
  reset: true,
  configure: true,
  policies: true,
  latency: true,
  measuresLatency: true,
  ready: true,
  close: true,
  stats: true,
}

export async function calls(limiter: RateLimiter): Promise<void> {
  const options: Required<CallOptions> = {
    cost: 3,
    upTo: 3,
    action: 'download',
    limit: 10,
    window: '1m',
    timestamp: Date.now(),
    priority: 'low',
  }
  const waiting: Required<AcquireOptions> = {
    cost: 1,
    action: 'download',
    limit: 10,
    window: '1m',
    maxWait: '5s',
    signal: AbortSignal.timeout(1_000),
    priority: 'low',
  }

  const allowed: boolean = await limiter.isAllowed('user:1')
  const allowedAtOnce: boolean = limiter.isAllowedSync('user:1')
  const taken: Decision = await limiter.check('user:1')
  const seen: Decision = await limiter.peek('user:1')
  void [allowed, allowedAtOnce, taken, seen]

  await limiter.isAllowed('user:1', options)
  limiter.isAllowedSync('user:1', options)
  await limiter.check('user:1', options)
  await limiter.peek('user:1', options)

  await limiter.check({ user: 'u1', ip: '::1' })
  const decided: Decision[] = [
    await limiter.acquire('user:1', waiting),
    await limiter.refund('user:1'),
    await limiter.refund('user:1', 2, { action: 'download' }),
    await limiter.penalty('user:1', 2),
  ]
  const { allowRequest, retryAfter }: { allowRequest: boolean; retryAfter: number } = await limiter.checkRequest(
    'user:1',
    Date.now(),
  )
  limiter.configure('user:1', { limit: 10, window: '1m' })
  limiter.configure('user:1', null)
  void [decided, allowRequest, retryAfter]

  const nothing: void[] = [
    await limiter.block('user:1', '1h'),
    await limiter.unblock('user:1'),
    await limiter.reset('user:1'),
    await limiter.ready(),
    await limiter.ready({ timeout: '2s' }),
    await limiter.close(),
  ]
  void nothing
}

// Its answers.

export const decisionMembers: Every<Decision> = {
  allowed: true,
  granted: true,
  limit: true,
  remaining: true,
  retryAfterMs: true,
  retryAfter: true,
  resetAt: true,
  reason: true,
  delayMs: true,
  source: true,
  name: true,
  limits: true,
}

export const limitDecisionMembers: Every<LimitDecision> = {
  name: true,
  allowed: true,
  limit: true,
  remaining: true,
  retryAfterMs: true,
  resetAt: true,
}

export async function otherWords(limiter: DistributedRateLimiter): Promise<boolean> {
  limiter.configureRateLimit('user123', { limit: 10, windowMs: 60_000 })
  limiter.configureRateLimit('user123', null)
  return (await limiter.isAllowed('user123')) && (await limiter.isAllowed('user123', 'create_post', 10, 60))
}

export function readDecision(decision: Decision): number {
  const { allowed, limit, remaining, retryAfterMs, retryAfter, resetAt, delayMs, source } = decision
  const deciders: Record<typeof source, number> = {
    redis: 1,
    memory: 2,
    fallback: 3,
    client: 4,
    'deny-cache': 5,
    lease: 6,
    shared: 7,
  }
  const yes: boolean = allowed
  return yes ? limit + remaining + retryAfterMs + retryAfter + resetAt + delayMs : deciders[source]
}

export const adaptiveStats: Every<AdaptiveStats> = {
  multiplier: true,
  load: true,
  signals: true,
  priorities: true,
  failures: true,
}
export const statsMembers: Every<Stats> = {
  allowed: true,
  denied: true,
  sources: true,
  limits: true,
  actions: true,
  storeErrors: true,
  batches: true,
  batchedCalls: true,
  batchSizes: true,
  latency: true,
  merged: true,
  pending: true,
  keys: true,
  bytes: true,
  store: true,
  circuit: true,
  circuitOpened: true,
  fleet: true,
  told: true,
  leases: true,
  adaptive: true,
  topDenied: true,
}

export function readStats(limiter: RateLimiter): number {
  const {
    allowed,
    denied,
    sources,
    limits,
    actions,
    storeErrors,
    batches,
    batchedCalls,
    batchSizes,
    latency,
    merged,
    pending,
    keys,
    bytes,
    store,
    circuit,
    circuitOpened,
    fleet,
    told,
    leases,
    topDenied,
  } = limiter.stats()
  const states: Record<typeof store, number> = { none: 0, connecting: 1, up: 2, down: 3 }
  const circuits: Record<typeof circuit, number> = { none: 0, closed: 1, 'half-open': 2, open: 3 }
  const counts: Count[] = [...Object.values(limits), ...Object.values(actions)]
  const histograms: Histogram[] = [batchSizes, latency]
  const most: DeniedKey | undefined = topDenied[0]
  const bySource: Record<Decision['source'], number> = sources
  return (
    allowed +
    denied +
    storeErrors +
    batches +
    batchedCalls +
    pending +
    keys +
    bytes +
    merged +
    leases.held +
    leases.units +
    counts.reduce((sum, { allowed, denied }) => sum + allowed + denied, 0) +
    histograms.reduce((sum, { bounds, counts, count }) => sum + count / counts.length / bounds.length, 0) +
    (most?.key.length ?? 0) +
    (most?.denied ?? 0) +
    circuits[circuit] +
    circuitOpened +
    (fleet ?? 0) +
    told +
    states[store] +
    bySource.redis
  )
}

// Its events.

export const events: Every<RateLimiterEvents> = {
  storeDown: true,
  storeUp: true,
  fleetUnknown: true,
  storeEvicts: true,
  adaptive: true,
  signalFailed: true,
  close: true,
}

export function listen(limiter: RateLimiter): RateLimiter {
  return limiter
    .on('storeDown', (error) => void (error satisfies Error).message)
    .once('storeUp', () => {})
    .on('fleetUnknown', (error) => void (error satisfies Error).message)
    .on('storeEvicts', (policy) => void (policy satisfies string).length)
    .once('close', () => {})
    .off('storeUp', () => {})
}

// What must not compile. Each line is one mistake.

export async function mistakes(limiter: RateLimiter, decision: Decision): Promise<void> {
  // @ts-expect-error: options are needed
  new RateLimiter()
  // @ts-expect-error: a window is needed
  new RateLimiter({ limit: 1 })
  // @ts-expect-error: a limit is needed
  new RateLimiter({ window: 1 })
  // @ts-expect-error: it is a secret
  new RateLimiter({ limit: 1, window: 1, hashKeys: true })
  // @ts-expect-error: misspelt
  new RateLimiter({ limit: 1, windwo: '1m' })
  // @ts-expect-error: misspelt, beside everything that is needed
  new RateLimiter({ limit: 1, window: 1, redisURL: 'redis://localhost' })
  // @ts-expect-error: a number, not its digits
  new RateLimiter({ limit: '1', window: 1 })
  // @ts-expect-error: no such unit
  new RateLimiter({ limit: 1, window: '5 parsecs' })
  // @ts-expect-error: digits without a unit
  new RateLimiter({ limit: 1, window: '5' })
  // @ts-expect-error: no such algorithm
  new RateLimiter({ limit: 1, window: 1, algorithm: 'leaky' })
  // @ts-expect-error: no such policy
  new RateLimiter({ limit: 1, window: 1, onStoreError: 'ignore' })
  // @ts-expect-error: misspelt
  new RateLimiter({ limit: 1, window: 1, fallback: { limt: 1 } })
  // @ts-expect-error: no such share
  new RateLimiter({ limit: 1, window: 1, fallback: { share: 'all' } })
  // @ts-expect-error: a logger has both methods
  new RateLimiter({ limit: 1, window: 1, logger: { warn() {} } })
  // @ts-expect-error: a class, not a function
  RateLimiter({ limit: 1, window: 1 })

  // @ts-expect-error: a key is needed
  await limiter.isAllowed()
  // @ts-expect-error: a key is a string
  await limiter.isAllowed(42)
  // @ts-expect-error: a key is a string, also where it might be missing
  await limiter.check(undefined as string | undefined)
  // @ts-expect-error: the cost is an option
  await limiter.check('user:1', 3)
  // @ts-expect-error: a number, not its digits
  await limiter.check('user:1', { cost: '3' })
  // @ts-expect-error: misspelt
  await limiter.peek('user:1', { costs: 3 })
  // @ts-expect-error: a promise is no boolean
  const forgottenAwait: boolean = limiter.isAllowed('user:1')
  // @ts-expect-error: no promise
  limiter.isAllowedSync('user:1').then(() => {})
  // @ts-expect-error: no such unit
  await limiter.ready({ timeout: 'soon' })

  // @ts-expect-error: an answer is not changed
  decision.allowed = true
  // @ts-expect-error: neither are the counters
  limiter.stats().sources.redis = 0
  // @ts-expect-error: nor what they are made of
  limiter.stats().latency.counts[0] = 0
  // @ts-expect-error: nor a ranking
  limiter.stats().topDenied.sort()
  // @ts-expect-error: no such member
  decision.retryAfterSeconds
  // @ts-expect-error: no such decider
  decision.source === 'cache'

  // @ts-expect-error: an error is told, not a text
  limiter.on('storeDown', (error: string) => void error)
  // @ts-expect-error: nothing is told
  limiter.on('storeUp', (error: Error) => void error)
  void forgottenAwait
}
