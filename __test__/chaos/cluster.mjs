/** Three masters that share the slots, and a proxy before each, by which alone clients know it. */

import { startRedisCluster } from '../../scripts/redis-cluster.mjs'
import { until } from '../support/wait.mjs'
import { Proxies, Stage } from './stage.mjs'

export const cluster = {
  name: 'cluster',
  /** How long a fault must last, in milliseconds, so that nobody misses it. */
  shortMs: 1_500,
  /** What is promised of its return, in milliseconds. */
  returnsWithinMs: 1_000,

  /** With `spare` each master has a replica, which takes the place of one that is lost. */
  async start({ spare = false, ...options } = {}) {
    const proxies = new Proxies()
    const { nodes } = await startRedisCluster({ ...options, replicas: Number(spare), announced: proxies.announced })
    const servers = await proxies.before(nodes)
    // Whoever follows the map goes through the proxies, whichever address it began with.
    const known = { redisUrl: servers.map(({ proxy }) => proxy.url) }
    const isWhole = async (node) => (await node.command('CLUSTER', 'INFO')).includes('cluster_state:ok')
    const serve = () => Promise.all(servers.map((node) => until(() => isWhole(node), 'it is whole again', 20_000)))
    const [lost, other] = servers
    const ownerOf = async () => {
      const ranges = await other.command('CLUSTER', 'SLOTS')
      return ranges.find(([first]) => first === 0)[2][1]
    }
    const replaced = () => until(async () => (await ownerOf()) !== lost.proxy.port, 'it is replaced', 20_000)
    return new Stage({ options: known, direct: known, servers, rights: ['+cluster|slots'], replaced, serve })
  },
}
