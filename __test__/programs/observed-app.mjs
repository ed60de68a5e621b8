/**
 * An application that Prometheus scrapes on PORT: limiters on the Redis of REDIS_URL and in memory, all under a load that never
 * rests. `api` admits most, `wall` denies nearly all, tries another limit and has a load, `edge` decides by leases.
 */

import { createServer } from 'node:http'

import { RateLimiter } from 'distributed-rate-limiter'
import { collectMetrics } from 'distributed-rate-limiter/prometheus'
import { Registry } from 'prom-client'

const { PORT, REDIS_URL: redisUrl } = process.env
const fallback = { share: 'fleet' }
const registry = new Registry()

const api = new RateLimiter({
  limits: [
    { name: 'second', limit: 50, window: '1s', fallback },
    { name: 'hour', limit: 1_000_000, window: '1h', fallback },
  ],
  actions: { post: { limit: 40, window: '1s' } },
  redisUrl,
  prefix: 'api',
})
const wall = new RateLimiter({
  limit: 1,
  window: '1h',
  candidate: { limit: 3, window: '1h' },
  adaptive: { signals: [() => 0.5] },
})
const edge = new RateLimiter({
  limit: 1_000_000,
  window: '10s',
  lease: { max: 100, ttl: '200ms' },
  redisUrl,
  prefix: 'edge',
})

collectMetrics(api, { registry, name: 'api' })
collectMetrics(wall, { registry, name: 'wall', topDenied: 5 })
collectMetrics(edge, { registry, name: 'edge' })

let round = 0
setInterval(() => {
  round += 1
  for (let call = 0; call < 6; call += 1) api.isAllowed(`user:${round % 10}`)
  api.isAllowed(`user:${round % 10}`, { action: 'post' })
  for (let call = 0; call < 4; call += 1) wall.isAllowed(`user:${call}`)
  for (let call = 0; call < 20; call += 1) edge.isAllowed('everybody')
}, 10)

createServer(async (request, response) => {
  response.setHeader('Content-Type', registry.contentType)
  response.end(await registry.metrics())
}).listen(Number(PORT), '127.0.0.1')
