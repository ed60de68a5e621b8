/**
 * One Redis, and a proxy before it. Another topology offers the same: `name`, and `start()` with `options` for a limiter,
 * `direct` ones that meet no fault, and `servers`, each with its `proxy`. A row does what it does to each of the servers.
 */

import { startRedis } from '../../scripts/redis.mjs'
import { redisCommand, redisCommands } from '../../scripts/resp.mjs'
import { startProxy } from '../support/proxy.mjs'

export const standalone = {
  name: 'standalone',

  /** `args` are further ones of redis-server, `env` further variables of it. */
  async start({ args = [], env } = {}) {
    const server = await startRedis({ args, env })
    const proxy = await startProxy(server.port)
    const node = new Node(server, proxy)
    return new Stage({ redisUrl: proxy.url }, { redisUrl: server.url }, [node])
  },
}

/** What a row is played on. */
export class Stage {
  /** How a limiter is told where Redis is; and without a proxy between. */
  options
  direct
  servers

  constructor(options, direct, servers) {
    this.options = options
    this.direct = direct
    this.servers = servers
  }

  /** Does something to every server at once. */
  each(act) {
    return Promise.all(this.servers.map(act))
  }

  async stop() {
    await this.each((node) => node.stop())
  }
}

/** One server, and the faults that it can have. */
export class Node {
  constructor(server, proxy) {
    this.server = server
    this.proxy = proxy
  }

  get port() {
    return this.server.port
  }

  /** One command to it, past the proxy. */
  command(...args) {
    return redisCommand(this.port, ...args)
  }

  /** Several commands on one connection. */
  together(...commands) {
    return redisCommands(this.port, commands)
  }

  /** Halts the process, or lets it go on; resolves once it answers again. */
  halt() {
    this.server.process.kill('SIGSTOP')
  }

  async goOn() {
    this.server.process.kill('SIGCONT')
    await this.command('PING')
  }

  async stop() {
    this.server.process.kill('SIGCONT')
    await this.proxy.stop()
    await this.server.stop()
  }
}
