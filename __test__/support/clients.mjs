/** Every client that a limiter can be given, each opened as its own documentation says. */

import { GlideClient, GlideClusterClient } from '@valkey/valkey-glide'
import { RateLimiter } from 'distributed-rate-limiter'
import * as ioredis from 'ioredis'
import * as iovalkey from 'iovalkey'
import * as nodeRedis from 'redis'
import * as nodeRedis4 from 'redis-4'

/** Whoever makes a client listens for its errors: that is never the limiter's affair. */
function heard(client) {
  client.on('error', () => {})
  return client
}

const HOST = '127.0.0.1'

/** Of a client made by ioredis or its fork. */
const likeIoredis = ({ Redis, Cluster }) => ({
  standalone: {
    open: async ({ port }) => heard(new Redis({ port, host: HOST })),
    close: (client) => client.disconnect(),
  },
  cluster: {
    open: async ({ nodes }) => heard(new Cluster(nodes.map(({ port }) => ({ port, host: HOST })))),
    close: (client) => client.disconnect(),
  },
})

/** Of a client made by node-redis, whichever version. */
const likeNodeRedis = ({ createClient, createCluster, createClientPool }) => {
  // Version 4 knows `disconnect`, later ones `destroy`.
  const close = async (client) => (client.destroy ? client.destroy() : client.disconnect())
  return {
    standalone: { open: ({ url }) => heard(createClient({ url })).connect(), close },
    pool: createClientPool && { open: ({ url }) => heard(createClientPool({ url })).connect(), close },
    cluster: {
      open: async ({ nodes }) => {
        const cluster = heard(createCluster({ rootNodes: nodes.map(({ url }) => ({ url })) }))
        await cluster.connect()
        return cluster
      },
      close,
    },
  }
}

const glide = {
  standalone: {
    open: ({ port }) => GlideClient.createClient({ addresses: [{ host: HOST, port }], requestTimeout: 10_000 }),
    close: (client) => client.close(),
  },
  cluster: {
    open: ({ nodes }) =>
      GlideClusterClient.createClient({
        addresses: nodes.map(({ port }) => ({ host: HOST, port })),
        requestTimeout: 10_000,
      }),
    close: (client) => client.close(),
  },
}

/** Somebody's own, as small as it can be. */
const own = {
  open: async ({ port }) => {
    const client = heard(new ioredis.Redis({ port, host: HOST }))
    return {
      evalsha: (sha, keys, args) => client.evalshaBuffer(sha, keys.length, ...keys, ...args),
      eval: (text, keys, args) => client.evalBuffer(text, keys.length, ...keys, ...args),
      end: () => client.disconnect(),
    }
  },
  close: (client) => client.end(),
}

const [viaIoredis, viaIovalkey, viaNodeRedis, viaNodeRedis4] = [
  likeIoredis(ioredis),
  likeIoredis(iovalkey),
  likeNodeRedis(nodeRedis),
  likeNodeRedis(nodeRedis4),
]

/** Kinds of clients of one server: `open(server)` and `close(client)` by name. */
export const STANDALONE = {
  ioredis: viaIoredis.standalone,
  iovalkey: viaIovalkey.standalone,
  'node-redis': viaNodeRedis.standalone,
  'node-redis pool': viaNodeRedis.pool,
  'node-redis 4': viaNodeRedis4.standalone,
  'valkey-glide': glide.standalone,
  'an object of two methods': own,
}

/** Kinds of clients of a cluster. */
export const CLUSTER = {
  'ioredis Cluster': viaIoredis.cluster,
  'iovalkey Cluster': viaIovalkey.cluster,
  'node-redis cluster': viaNodeRedis.cluster,
  'node-redis 4 cluster': viaNodeRedis4.cluster,
  'valkey-glide cluster': glide.cluster,
}

/** Options by which a limiter reaches this server or cluster: one of each of these kinds of clients, closed when the test ends, and its addresses. */
export async function waysTo(t, server, kinds) {
  const clients = await Promise.all(
    Object.values(kinds).map(async ({ open, close }) => {
      const client = await open(server)
      t.after(() => close(client))
      return { redisClient: client }
    }),
  )
  return [...clients, { redisUrl: server.url ?? server.nodes.map(({ url }) => url) }]
}

let made = 0
/** A limiter that shares its counts with no other, that asks whatever it takes, and tells of every failure. */
export function limiterOf(options) {
  made += 1
  return new RateLimiter({ prefix: `clients-${made}`, timeout: '10s', onStoreError: 'throw', ...options })
}
