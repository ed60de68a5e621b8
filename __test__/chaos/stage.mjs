/**
 * What a row is played on. A topology has a `name` and a `start()`, which resolves with a {@link Stage}: a row does what it does to
 * each of its servers.
 */

import { redisCommand, redisCommands } from '../../scripts/resp.mjs'
import { startProxy } from '../support/proxy.mjs'

export class Stage {
  /** How a limiter is told where Redis is; and so that it meets no fault, where that can be. */
  options
  direct
  /** Those that decide, each a {@link Node}. */
  servers
  /** What a user needs to be allowed here beside what docs/security.md says, as words for ACL SETUSER. */
  rights
  /** Resolves when another has taken the place of the first server, which was lost. */
  replaced
  /** Resolves when servers that have been started can decide. */
  serve
  #stop

  /** `stop` ends whatever else belongs to it. */
  constructor({ options, direct, servers, rights = [], replaced, serve = () => {}, stop = () => {} }) {
    this.options = options
    this.direct = direct
    this.servers = servers
    this.rights = rights
    this.replaced = replaced
    this.serve = serve
    this.#stop = stop
  }

  /** Does something to every server at once. */
  each(act) {
    return Promise.all(this.servers.map(act))
  }

  /** Starts every server anew; resolves once they could decide. */
  async restart() {
    await this.each(({ server }) => server.restart())
    await this.serve()
  }

  /** The same servers, on which limiters log in. */
  as(username, password) {
    const withLogin = (url) => url.replace('://', `://${username}:${password}@`)
    const loggingIn = ({ redisUrl, sentinel }) =>
      sentinel
        ? { sentinel: { ...sentinel, username, password } }
        : { redisUrl: Array.isArray(redisUrl) ? redisUrl.map(withLogin) : withLogin(redisUrl) }
    const { options, direct, servers, rights } = this
    return new Stage({ options: loggingIn(options), direct: loggingIn(direct), servers, rights })
  }

  async stop() {
    await this.each((node) => node.stop())
    await this.#stop()
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

/** Proxies before servers that are known by them alone. */
export class Proxies {
  #byPort = new Map()

  /** Starts one before the server on `port`; resolves with the port by which that is known from then on. */
  announced = async (port) => {
    const proxy = await startProxy(port)
    this.#byPort.set(port, proxy)
    return proxy.port
  }

  /** Whose proxies they are. Those that an attempt to start has left behind are stopped. */
  async before(servers) {
    const nodes = servers.map((server) => new Node(server, this.#byPort.get(server.port)))
    const used = new Set(nodes.map(({ proxy }) => proxy))
    await Promise.all([...this.#byPort.values()].filter((proxy) => !used.has(proxy)).map((proxy) => proxy.stop()))
    return nodes
  }
}
