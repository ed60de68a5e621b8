/** A Redis Cluster of our own for tests: three servers that share the slots, and no replicas. */

import { setTimeout as sleep } from 'node:timers/promises'
import { startRedis } from './redis.mjs'
import { redisCommand } from './resp.mjs'

const SLOTS = 16_384
const NODES = 3
const FORM_TIMEOUT_MS = 20_000
const ATTEMPTS = 3

/** Starts one and resolves once every node knows that all slots are served: `{ nodes, stop }`. */
export async function startRedisCluster() {
  for (let attempt = 1; ; attempt += 1) {
    const nodes = []
    const stop = () => Promise.all(nodes.map((node) => node.stop()))
    try {
      for (let index = 0; index < NODES; index += 1) {
        nodes.push(await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'] }))
      }
      await form(nodes)
      return { nodes, stop }
    } catch (error) {
      await stop()
      // A node also listens 10,000 ports higher, where somebody else may.
      if (attempt === ATTEMPTS) throw error
    }
  }
}

async function form(nodes) {
  const share = Math.ceil(SLOTS / nodes.length)
  for (const [index, { port }] of nodes.entries()) {
    const slots = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => Math.floor(slot / share) === index)
    await redisCommand(port, 'CLUSTER', 'ADDSLOTS', ...slots)
    await redisCommand(port, 'CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
  }
  const [first, ...others] = nodes
  for (const { port } of others) await redisCommand(first.port, 'CLUSTER', 'MEET', '127.0.0.1', port)
  const deadline = Date.now() + FORM_TIMEOUT_MS
  while (!(await Promise.all(nodes.map(isWhole))).every(Boolean)) {
    if (Date.now() > deadline) throw new Error(`the cluster did not form in ${FORM_TIMEOUT_MS} ms`)
    await sleep(50)
  }
}

async function isWhole({ port }) {
  const info = await redisCommand(port, 'CLUSTER', 'INFO')
  return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${NODES}`)
}
