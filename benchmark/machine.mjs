/** Where and with what the figures were measured. */

import { readFileSync } from 'node:fs'
import os from 'node:os'
import { redisCommand } from '../scripts/resp.mjs'

const PEERS = [
  'rate-limiter-flexible',
  'rate-limit-redis',
  'express-rate-limit',
  '@fastify/rate-limit',
  'ioredis',
  'redis',
  '@valkey/valkey-glide',
  'express',
  'fastify',
]

/** `redisPort` is asked for the version of its server, where one was measured. */
export async function describeMachine(redisPort) {
  const info = redisPort && (await redisCommand(redisPort, 'INFO', 'server'))
  return {
    ...hardware(),
    ...(info && { redis: /^redis_version:(.*?)\r?$/m.exec(info)[1] }),
    versions: {
      'distributed-rate-limiter': versionIn(new URL('../package.json', import.meta.url)),
      ...Object.fromEntries(PEERS.map((peer) => [peer, installedVersion(peer)])),
    },
  }
}

/** As far as nothing need be asked or installed. */
export function hardware() {
  const cpus = os.cpus()
  return {
    cpu: cpus[0]?.model.trim() || 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    os: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
  }
}

/** One line for people. */
export function machineLine({ cpu, cores, memoryGiB, os, node, redis }) {
  const server = redis ? `, Redis ${redis} on the same machine` : ''
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${os}; Node.js ${node}${server}`
}

export function versionsLine({ versions }) {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')
}

function installedVersion(peer) {
  return versionIn(new URL(`./node_modules/${peer}/package.json`, import.meta.url))
}

function versionIn(url) {
  return JSON.parse(readFileSync(url, 'utf8')).version
}
