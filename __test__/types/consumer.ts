/** Type test: every member of the public API as an application would use it, and misuse it. It is compiled, never run. */

import type { EventEmitter } from 'node:events'
import { ConcurrencyLimiter, DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'
import type {
  AcquireOptions,
  ActionOptions,
  AdaptiveOptions,
  AdaptiveStats,
  Algorithm,
  Burst,
  CacheClient,
  CalendarWindow,
  CallOptions,
  CandidateOptions,
  CommonOptions,
  ConcurrencyLimiterOptions,
  ConcurrencyStats,
  Count,
  Decision,
  DeniedKey,
  ExplainedLimit,
  Explanation,
  Disagreement,
  Disagreements,
  Duration,
  Fallback,
  FieldOverrideOptions,
  Histogram,
  LimitDecision,
  LimitOptions,
  Logger,
  NamedLimitOptions,
  NewKeysOptions,
  OnStoreError,
  PoliciesDocument,
  PublishOptions,
  Permit,
  PermitOptions,
  RateLimiterEvents,
  Reservation,
  ReserveOptions,
  ScriptClient,
  SharedPolicies,
  Settlement,
  Stats,
  Window,
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
  scope: 'fleet',
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
  overrides: { 'user:42': { limit: 5, window: '1h', burst: 9 }, 'partner:*': { policy: 'gold' } },
  allow: ['internal:*'] as const,
  deny: ['10.0.0.0/8'],
  policies:
    Math.random() < 0.5
      ? Math.random() < 0.5
        ? './limits.yaml'
        : { shared: 'api' }
      : { gold: { extends: 'silver', limit: 5 }, silver: { limit: 1, window: 1 } },
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
const named: Required<NamedLimitOptions> = { ...limitOptions, name: 'daily', by: 'user', shadow: false }
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
export const fromFile = new RateLimiter({ policies: './limits.yaml', redisUrl: 'redis://localhost' })
// @ts-expect-error Policies with names are no limit of everybody.
export const withoutLimit = new RateLimiter({ policies: { gold: { limit: 1, window: '1m' } } })
export const byFields = new RateLimiter({
  limits: [named],
  overrides: {
    user: { 'partner:*': { limit: 5, window: '1h' }, vip: { limits: { daily: { policy: 'gold' } } } } satisfies Record<
      string,
      FieldOverrideOptions
    >,
  },
  policies: { gold: { limit: 1, window: 1 } },
  allow: { user: ['admin:*'] },
  deny: { ip: ['10.0.0.0/8'] as const },
})
// @ts-expect-error A field has a list.
export const byText = new RateLimiter({ limits: [named], deny: { ip: '10.0.0.0/8' } })
export const ofAll = new RateLimiter({
  limits: [named],
  // @ts-expect-error Numbers are of one limit, or said of each.
  overrides: { user: { a: { limit: 1, window: 1, limits: {} } } },
})
// @ts-expect-error A policy has its numbers.
export const withBoth = new RateLimiter({ limit: 1, window: '1m', overrides: { a: { policy: 'gold', limit: 1 } } })
const candidate: Required<CandidateOptions> = {
  limit: 50,
  window: '1m',
  algorithm: 'token-bucket',
  burst,
  resolution: 32,
  align: false,
}
const action: Required<Omit<ActionOptions, 'fallback'>> = { ...candidate, by: 'user', shadow: false, candidate }
export const trials: RateLimiter[] = [
  new RateLimiter({ limit: 100, window: '1m', actions: { login: action, search: { ...limitOptions, shadow: true } } }),
  new RateLimiter({ policies: './limits.yaml', candidate }),
  new RateLimiter({ limit: 100, window: '1m', candidate }),
  new RateLimiter({ limit: 100, window: '1m', shadow: true }),
  new RateLimiter({ limits: [named, { name: 'tried', limit: 1, window: '1d', by: 'user', shadow: true }] }),
  new DistributedRateLimiter({ maxRequests: 100, timeWindowMs: 60_000, candidate }),
]
// @ts-expect-error What is tried as a whole has nothing that could be replaced.
export const both = new RateLimiter({ limit: 1, window: '1m', shadow: true, candidate })
// @ts-expect-error It is tried in the place of one.
export const besideSeveral = new RateLimiter({ limits: [named], candidate })
// @ts-expect-error While the store is away it is not asked.
export const fallingBack = new RateLimiter({ limit: 1, window: '1m', candidate: { limit: 1, window: '1m', fallback } })
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
const calendarWindow: Required<CalendarWindow> = { calendar: 'week', timeZone: 'Europe/Paris', weekStart: 'sunday' }
export const windows: Window[] = [
  '1d',
  1000,
  calendarWindow,
  { calendar: 'day' },
  { calendar: 'month', timeZone: 'UTC' },
]
// @ts-expect-error There is no such calendar.
export const yearly: Window = { calendar: 'year' }
export const quota = new RateLimiter({ limit: 1, window: calendarWindow })
quota.configure('a', { limit: 2, window: { calendar: 'day' } })
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
  reserve: true,
  block: true,
  unblock: true,
  reset: true,
  configure: true,
  update: true,
  explain: true,
  policies: true,
  publishPolicies: true,
  sharedPolicies: true,
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
  const why: Explanation = await limiter.explain('user:1', options)
  const explained: readonly ExplainedLimit[] = why.limits
  const pattern: string | undefined = why.pattern
  void [pattern, why.from satisfies string, why.version + why.multiplier, explained[0]?.key, explained[0]?.limitNow]
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
  limiter.update({ limit: 200, window: '1m', actions: { login: { limit: 5, window: '1h' } } }) satisfies void
  limiter.update({ limits: [named] })
  limiter.update({ limit: 'configured' })
  // @ts-expect-error what does not describe limits stays as it was
  limiter.update({ limit: 200, window: '1m', prefix: 'other' })
  // @ts-expect-error a limit has a window
  limiter.update({ limit: 200 })
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
  delayMs: true,
  source: true,
  reason: true,
  name: true,
  limits: true,
  shadow: true,
}

export const limitDecisionMembers: Every<LimitDecision> = {
  name: true,
  allowed: true,
  limit: true,
  remaining: true,
  retryAfterMs: true,
  resetAt: true,
}

export function hear(limiter: RateLimiter): void {
  limiter.on('disagreement', ({ key, limit, would, decision }: Disagreement) => {
    void [key, limit satisfies string, would satisfies 'deny' | 'allow', decision satisfies Decision]
  })
}

export async function otherWords(limiter: DistributedRateLimiter): Promise<boolean> {
  limiter.configureRateLimit('user123', { limit: 10, windowMs: 60_000 })
  limiter.configureRateLimit('user123', null)
  limiter.update({ maxRequests: 10, timeWindowMs: 60_000 })
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
    list: 8,
  }
  const yes: boolean = allowed
  return yes ? limit + remaining + retryAfterMs + retryAfter + resetAt + delayMs : deciders[source]
}

export const adaptiveStats: Every<AdaptiveStats> = {
  multiplier: true,
  scope: true,
  own: true,
  instances: true,
  load: true,
  signals: true,
  priorities: true,
  failures: true,
}
export const statsMembers: Every<Stats> = {
  allowed: true,
  denied: true,
  sources: true,
  lists: true,
  limits: true,
  actions: true,
  shadow: true,
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
  policies: true,
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
    shadow,
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
    policies,
    topDenied,
  } = limiter.stats()
  const states: Record<typeof store, number> = { none: 0, connecting: 1, up: 2, down: 3 }
  const circuits: Record<typeof circuit, number> = { none: 0, closed: 1, 'half-open': 2, open: 3 }
  const counts: Count[] = [...Object.values(limits), ...Object.values(actions)]
  const tried: Disagreements[] = Object.values(shadow)
  void tried.map(({ agreed, wouldDeny, wouldAllow }): number => agreed + wouldDeny + wouldAllow)
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
    policies.version +
    policies.changes +
    policies.invalid +
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

// Policies that a fleet shares.

export async function sharePolicies(redisUrl: string): Promise<number> {
  const limiter = new RateLimiter({ limit: 100, window: '1m', policies: 'shared', redisUrl })
  void new RateLimiter({ limit: 100, window: '1m', policies: { shared: 'api' }, redisUrl })
  const document: PoliciesDocument = {
    version: 1,
    limit: 200,
    window: '1m',
    actions: { export: { limit: 1, window: 1 } },
  }
  const several: PoliciesDocument = { limits: [{ name: 'a', limit: 1, window: '1s' }] }
  const options: Required<PublishOptions> = { ifVersion: 3 }
  const { version } = await limiter.publishPolicies(document, options)
  await limiter.publishPolicies(several)
  const inForce: SharedPolicies = limiter.sharedPolicies()
  const { since, publishedAt }: { since: number; publishedAt: number | null } = inForce
  if (inForce.document !== null) await limiter.publishPolicies(inForce.document)
  // @ts-expect-error: where Redis is belongs to each limiter
  await limiter.publishPolicies({ limit: 1, window: 1, redisUrl })
  // @ts-expect-error: a document says a limit
  await limiter.publishPolicies({ window: 1 })
  // @ts-expect-error: a version is a number
  await limiter.publishPolicies(document, { ifVersion: '3' })
  // @ts-expect-error: a name is a text
  new RateLimiter({ limit: 1, window: 1, policies: { shared: 7 }, redisUrl })
  return version + since + (publishedAt ?? 0)
}

// Its events.

export const events: Every<RateLimiterEvents> = {
  storeDown: true,
  storeUp: true,
  fleetUnknown: true,
  storeEvicts: true,
  policies: true,
  policiesInvalid: true,
  disagreement: true,
  adaptive: true,
  signalFailed: true,
  close: true,
}

export function listen(limiter: RateLimiter): RateLimiter {
  return limiter
    .on('storeDown', (error) => void (error satisfies Error).message)
    .once('storeUp', () => {})
    .on('fleetUnknown', (error) => void (error satisfies Error).message)
    .on('policies', ([policy]) => void (policy?.windowMs satisfies number | undefined))
    .on('storeEvicts', (policy) => void (policy satisfies string).length)
    .on('policiesInvalid', ({ cause, problems }) => void [cause, problems?.[0]?.line satisfies number | undefined])
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

// Holds.

const reserveOptions: Required<ReserveOptions> = { cost: 500, action: 'chat', ttl: '30s' }
export async function holds(budget: RateLimiter) {
  const reservation: Reservation = await budget.reserve('key', reserveOptions)
  const settlement: Settlement = await reservation.settle(320)
  const expired: boolean = settlement.expired
  const nothing: void = await reservation.cancel()
  const until: number = reservation.expiresAt
  // @ts-expect-error What was used must be said.
  await reservation.settle()
  // @ts-expect-error All or nothing.
  await budget.reserve('key', { upTo: 5 })
  return [expired, nothing, until]
}

const concurrencyOptions: ConcurrencyLimiterOptions = { limit: 10, ttl: '30s', redisUrl: 'redis://localhost:6379' }
const permitOptions: Required<PermitOptions> = { cost: 2, maxWait: '5s', signal: new AbortController().signal }
export async function permits() {
  const limiter = new ConcurrencyLimiter(concurrencyOptions)
  const permit: Permit = await limiter.acquire('key', permitOptions)
  const signal: AbortSignal = permit.signal
  const nothing: void = await permit.release()
  const stats: ConcurrencyStats = limiter.stats()
  const numbers: number[] = [stats.held, stats.waiting, permit.remaining, (await limiter.peek('key')).remaining]
  limiter.on('storeDown', (error) => void error.message)
  await limiter.close()
  return [signal, nothing, numbers]
}
// @ts-expect-error It has no window.
new ConcurrencyLimiter({ limit: 10, window: '1m' })
// @ts-expect-error It needs a limit.
new ConcurrencyLimiter({})
