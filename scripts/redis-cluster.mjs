/** A Redis Cluster of our own for tests: three masters that share the slots, each with as many replicas as are wanted. */

import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, startRedis } from './redis.mjs'
import { redisCommand } from './resp.mjs'

const SLOTS = 16_384
const MASTERS = 3
const FORM_TIMEOUT_MS = 20_000
const ATTEMPTS = 3
/** By how much the port is higher at which a node talks with the others. */
const BUS = 10_000

/**
 * Starts one and resolves once every node knows that all slots are served: `{ nodes, stop }`. The masters come first, then
 * their replicas in the same order. `announced(port)` resolves with the port by which a node on `port` is known to clients,
 * where that is another; `args` and `env` are further ones of each redis-server.
 */
export async function startRedisCluster({ replicas = 0, announced = (port) => port, args = [], env } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const nodes = []
    const stop = () => Promise.all(nodes.map((node) => node.stop()))
    try {
      for (let index = 0; index < MASTERS * (1 + replicas); index += 1) {
        const port = await freePort({ companion: BUS })
        const own = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000']
        const known = ['--cluster-announce-port', await announced(port)]
        nodes.push(await startRedis({ port, env, args: [...own, ...known, ...args] }))
      }
      await form(nodes)
      return { nodes, stop }
    } catch (error) {
      await stop()
      // Between the choice of a port and its use somebody else may take it.
      if (attempt === ATTEMPTS) throw error
    }
  }
}

async function form(nodes) {
  const masters = nodes.slice(0, MASTERS)
  const share = Math.ceil(SLOTS / MASTERS)
  for (const [index, { port }] of masters.entries()) {
    const slots = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => Math.floor(slot / share) === index)
    await redisCommand(port, 'CLUSTER', 'ADDSLOTS', ...slots)
    await redisCommand(port, 'CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
  }
  const [first, ...others] = nodes
  for (const { port } of others) await redisCommand(first.port, 'CLUSTER', 'MEET', '127.0.0.1', port)
  await until(async () => (await Promise.all(nodes.map((node) => isWhole(node, nodes.length)))).every(Boolean))
  const ids = await Promise.all(masters.map(({ port }) => redisCommand(port, 'CLUSTER', 'MYID')))
  for (const [index, { port }] of nodes.slice(MASTERS).entries()) {
    await redisCommand(port, 'CLUSTER', 'REPLICATE', ids[index % MASTERS])
  }
  await until(async () => (await Promise.all(nodes.slice(MASTERS).map(isInSync))).every(Boolean))
}

async function until(holds) {
  const deadline = Date.now() + FORM_TIMEOUT_MS
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`the cluster did not form in ${FORM_TIMEOUT_MS} ms`)
    await sleep(50)
  }
}

async function isWhole({ port }, size) {
  const info = await redisCommand(port, 'CLUSTER', 'INFO')
  return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${size}`)
}

async function isInSync({ port }) {
  return (await redisCommand(port, 'INFO', 'replication')).includes('master_link_status:up')
}
