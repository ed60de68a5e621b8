/** A master with a replica, and three sentinels that watch over them, for tests. */

import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, startRedis } from './redis.mjs'
import { redisCommand } from './resp.mjs'

const NAME = 'mymaster'
const SENTINELS = 3
const FORM_TIMEOUT_MS = 20_000

/**
 * Starts them and resolves once a failover is possible: `{ name, urls, servers, master, failover, stop }`. `master` resolves
 * with the port that the sentinels name.
 *
 * `announced(port)` resolves with the port by which a server on `port` is known, where that is another; `downAfterMs` is for how
 * long a master must be silent before it is replaced; `args` and `env` are further ones of the servers.
 */
export async function startRedisSentinel({ announced = (port) => port, downAfterMs = 500, args = [], env } = {}) {
  const servers = []
  const sentinels = []
  const stop = () => Promise.all([...sentinels, ...servers].map((server) => server.stop()))
  /** Starts a server; resolves with the port by which it is known. */
  const startServer = async (...more) => {
    const port = await freePort()
    const known = await announced(port)
    servers.push(await startRedis({ port, env, args: [...args, '--replica-announce-port', known, ...more] }))
    return known
  }
  try {
    const first = await startServer()
    await startServer('--replicaof', '127.0.0.1', first)
    for (let index = 0; index < SENTINELS; index += 1) {
      const monitor = [
        `sentinel monitor ${NAME} 127.0.0.1 ${first} 2`,
        `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
        `sentinel failover-timeout ${NAME} 2000`,
      ]
      sentinels.push(await startRedis({ sentinel: monitor }))
    }
    await until(async () => {
      const known = await Promise.all(sentinels.map(({ port }) => redisCommand(port, 'SENTINEL', 'MASTER', NAME)))
      return known.every((fields) => of(fields, 'num-other-sentinels') === '2' && of(fields, 'num-slaves') === '1')
    })
  } catch (error) {
    await stop()
    throw error
  }
  const master = async () =>
    Number((await redisCommand(sentinels[0].port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME))[1])
  const failover = () => redisCommand(sentinels[0].port, 'SENTINEL', 'FAILOVER', NAME)
  return { name: NAME, urls: sentinels.map(({ url }) => url), servers, sentinels, master, failover, stop }
}

/** The value after a name, in a reply that lists both one after the other. */
function of(fields, name) {
  return fields[fields.indexOf(name) + 1]
}

async function until(holds) {
  const deadline = Date.now() + FORM_TIMEOUT_MS
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`the sentinels did not agree in ${FORM_TIMEOUT_MS} ms`)
    await sleep(50)
  }
}
