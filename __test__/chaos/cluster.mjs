/** Three masters that share the slots, and a proxy before each, by which alone clients know it. */

import { startRedisCluster } from '../../scripts/redis-cluster.mjs'
import { startProxy } from '../support/proxy.mjs'
import { Node, Stage } from './standalone.mjs'

export const cluster = {
  name: 'cluster',

  async start(options) {
    const proxies = new Map()
    const announced = async (port) => {
      const proxy = await startProxy(port)
      proxies.set(port, proxy)
      return proxy.port
    }
    const { nodes } = await startRedisCluster({ ...options, announced })
    // An attempt to form a cluster that failed has left its proxies behind.
    const used = new Set(nodes.map(({ port }) => port))
    await Promise.all([...proxies].filter(([port]) => !used.has(port)).map(([, proxy]) => proxy.stop()))
    const servers = nodes.map((node) => new Node(node, proxies.get(node.port)))
    const redisUrl = servers.map(({ proxy }) => proxy.url)
    // Whoever follows the map goes through the proxies, whichever address it began with.
    return new Stage({ redisUrl }, { redisUrl }, servers)
  },
}
