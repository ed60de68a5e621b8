/** A master that three sentinels name, with a replica, and a proxy before both, by which alone they are known. */

import { startRedisSentinel } from '../../scripts/redis-sentinel.mjs'
import { until } from '../support/wait.mjs'
import { Proxies, Stage } from './stage.mjs'

/** So long that a master which comes back finds that it is still the master. */
const NEVER_MS = 3_600_000

export const sentinel = {
  name: 'Sentinel',
  /** How long a fault must last, in milliseconds, so that nobody misses it. */
  shortMs: 400,
  /** What is promised of its return, in milliseconds. */
  returnsWithinMs: 2_000,

  /** With `spare` the replica takes the place of a master that is lost. */
  async start({ spare = false, ...options } = {}) {
    const proxies = new Proxies()
    const downAfterMs = spare ? 500 : NEVER_MS
    const group = await startRedisSentinel({ ...options, downAfterMs, announced: proxies.announced })
    const [master, replica] = await proxies.before(group.servers)
    const known = { sentinel: { name: group.name, urls: group.urls } }
    const replaced = () => until(async () => (await group.master()) !== master.proxy.port, 'it is replaced', 20_000)
    const stop = async () => {
      await replica.stop()
      await group.stop()
    }
    return new Stage({ options: known, direct: known, servers: [master], rights: ['+role'], replaced, stop })
  },
}
