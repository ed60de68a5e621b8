/** Type test: the stores for other packages fit into what these say of themselves. It is compiled, never run. */

import rateLimitOfFastify, { type FastifyRateLimitStore, type FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import { rateLimit, type Options, type Store } from 'express-rate-limit'
import fastify from 'fastify'
import { RateLimitStore } from 'distributed-rate-limiter/express-rate-limit'
import { rateLimitStore } from 'distributed-rate-limiter/fastify-rate-limit'

const store: Store = new RateLimitStore({ redisUrl: 'redis://localhost:6379', prefix: 'api', onStoreError: 'throw' })
export const guard = rateLimit({ windowMs: 60_000, limit: 100, store })
export const inMemory = rateLimit({ store: new RateLimitStore() })
export const begin = (ours: RateLimitStore, options: Options) => ours.init(options)

const Class = rateLimitStore({ redisUrl: 'redis://localhost:6379', prefix: 'api' })
const ctor: FastifyRateLimitStoreCtor = Class
export const one: FastifyRateLimitStore = new ctor({})
export async function register() {
  const app = fastify()
  await app.register(rateLimitOfFastify, { max: 100, timeWindow: '1m', store: Class })
  app.addHook('onClose', () => Class.limiter.close())
}
// @ts-expect-error A class of stores, and no store.
export const wrong = rateLimit({ store: Class })
// @ts-expect-error A store, and no class.
export const wrongToo = fastify().register(rateLimitOfFastify, { store })
