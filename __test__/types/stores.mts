/** Type test: the stores for other packages as an application would use them, and misuse them. peers/ gives them to these packages. */

import type { CommonOptions, RateLimiter } from 'distributed-rate-limiter'
import {
  RateLimitStore,
  type ClientRateLimitInfo,
  type RateLimitStoreOptions as ExpressOptions,
} from 'distributed-rate-limiter/express-rate-limit'
import {
  rateLimitStore,
  type RateLimitCallback,
  type RateLimitState,
  type RateLimitStore as RateLimitStoreOfFastify,
  type RateLimitStoreClass,
  type RateLimitStoreOptions as FastifyOptions,
} from 'distributed-rate-limiter/fastify-rate-limit'

/** A table that compiles only when it names every member of `T` and no other, so a member cannot come or go unseen. */
type Every<T> = Record<keyof T, true>

declare const options: Required<Omit<CommonOptions, 'actions' | 'cacheClient' | 'clock' | 'lease'>>
export const given: [Required<ExpressOptions>, Required<FastifyOptions>] = [options, options]

// express-rate-limit.

export const stores = [new RateLimitStore(), new RateLimitStore({ redisUrl: 'redis://localhost:6379', prefix: 'api' })]
export const membersOfExpress: Every<RateLimitStore> = {
  limiter: true,
  localKeys: true,
  prefix: true,
  init: true,
  increment: true,
  decrement: true,
  get: true,
  resetKey: true,
  resetAll: true,
  shutdown: true,
}
export async function use(ours: RateLimitStore) {
  ours.init({ windowMs: 60_000, limit: async () => 100 })
  const info: ClientRateLimitInfo = await ours.increment('alice')
  const told: Every<ClientRateLimitInfo> = { totalHits: true, resetTime: true }
  const resetTime: Date = info.resetTime
  const found: number | undefined = (await ours.get('alice'))?.totalHits
  const limiter: RateLimiter = ours.limiter
  await ours.shutdown()
  return { told, resetTime, found, limiter }
}
// @ts-expect-error The limit is express-rate-limit's.
export const limited = new RateLimitStore({ limit: 100 })
// @ts-expect-error A cache cannot count so.
export const cached = new RateLimitStore({ cacheClient: {} })
// @ts-expect-error It is told to the store, not by it.
new RateLimitStore().prefix = 'other'

// @fastify/rate-limit.

const Class: RateLimitStoreClass = rateLimitStore({ redisUrl: 'redis://localhost:6379', prefix: 'api' })
export const limiter: RateLimiter = Class.limiter
export const membersOfFastify: Every<RateLimitStoreOfFastify> = { incr: true, read: true, child: true }
export const callback: RateLimitCallback = (error, state) => {
  const told: Every<RateLimitState> | undefined = state && { current: true, ttl: true }
  return error ?? told
}
new Class({ continueExceeding: true, exponentialBackoff: false }).incr('alice', callback, 60_000, 100)
// @ts-expect-error The window is the plugin's.
export const windowed = rateLimitStore({ window: '1m' })
// @ts-expect-error It is a class, and no store.
rateLimitStore().incr('alice', callback, 60_000, 100)
