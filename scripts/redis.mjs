/** A redis-server of our own for tests, the bench and examples: found or installed, started empty, and never left behind. */

import { spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { redisCommand } from './resp.mjs'
import { findOnPath, isExecutable } from './run.mjs'

const START_TIMEOUT_MS = 10_000
const APT_TIMEOUT_MS = 300_000

const HOW_TO_INSTALL = `redis-server was not found. Install it and run this again:
  Debian, Ubuntu   sudo apt-get install redis-server
  Fedora, RHEL     sudo dnf install redis
  Alpine           sudo apk add redis
  macOS            brew install redis
  Windows          inside WSL, as on Debian
or name its file in the environment variable REDIS_SERVER.`

/** The path of a redis-server: REDIS_SERVER, else the PATH's, else freshly installed where apt may do so unasked. */
export function findRedisServer() {
  const { REDIS_SERVER } = process.env
  if (REDIS_SERVER) {
    if (isExecutable(REDIS_SERVER)) return REDIS_SERVER
    throw new Error(`REDIS_SERVER names ${REDIS_SERVER}, which is not a file that can be executed`)
  }
  const found = findOnPath('redis-server') ?? installByApt('redis-server')
  if (!found) throw new Error(HOW_TO_INSTALL)
  return found
}

/** The path of a program that apt has just installed, from the package of the same name; `undefined` where apt may not. */
export function installByApt(program) {
  if (!findOnPath('apt-get')) return undefined
  const isRoot = process.getuid?.() === 0
  if (!isRoot && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0) return undefined
  const apt = (...args) => {
    const command = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-o', 'DPkg::Lock::Timeout=60', ...args]
    if (!isRoot) command.unshift('sudo', '-n')
    spawnSync(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'inherit'], timeout: APT_TIMEOUT_MS })
  }
  // Neither exit code is asked: one list out of reach fails the update, and only the file that we want counts.
  apt('update')
  apt('install', '-y', '--no-install-recommends', program)
  return findOnPath(program)
}

/**
 * A TCP port of 127.0.0.1 on which nobody listens now, nor on the one `companion` higher. Both lie below those that systems
 * hand to outgoing connections: a client that keeps trying to reach a stopped server there could be given that very port, and
 * the server not come back; and thousands of connections that have just ended hold theirs for a minute.
 */
export async function freePort({ companion = 0 } = {}) {
  for (;;) {
    const port = randomInt(10_000, 32_000 - companion)
    if ((await canListen(port)) && (await canListen(port + companion))) return port
  }
}

function canListen(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * Starts a redis-server on 127.0.0.1 that keeps nothing on disk, and resolves once it answers.
 * `args` are further arguments of redis-server, such as `'--maxmemory', '10mb'`; `env` further variables of its environment;
 * `sentinel` makes it a sentinel with these lines as its configuration, which it rewrites; `under` are the words of a command
 * that runs the server instead of the system, such as `['valgrind', '--tool=callgrind']`.
 */
export async function startRedis({ port, args = [], env, sentinel, under } = {}) {
  const server = new RedisServer(port ?? (await freePort()), { args, env, sentinel, under })
  try {
    await server.start()
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

class RedisServer {
  /** The running child process, or the last one. */
  process

  #command = findRedisServer()
  #args
  #env
  #under
  #folder = mkdtempSync(join(tmpdir(), 'rate-limiter-redis-'))

  constructor(port, { args, env, sentinel, under = [] }) {
    this.#env = env
    this.#under = under
    this.port = port
    this.url = `redis://127.0.0.1:${port}`
    if (sentinel !== undefined) {
      const file = join(this.#folder, 'sentinel.conf')
      writeFileSync(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${this.#folder}`, ...sentinel, ''].join('\n'))
      this.#args = [file, '--sentinel', ...args]
      return
    }
    this.#args = ['--bind', '127.0.0.1', '--port', `${port}`, '--save', '', '--appendonly', 'no', '--dir', this.#folder]
    // Since version 7 DEBUG has to be allowed, and before it the option was unknown.
    if (majorVersion(this.#command) >= 7) this.#args.push('--enable-debug-command', 'local')
    this.#args.push(...args)
  }

  get pid() {
    return this.process.pid
  }

  async start() {
    const log = openSync(this.#logFile, 'a')
    const [command, ...args] = [...this.#under, this.#command, ...this.#args]
    this.process = spawn(command, args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...this.#env },
    })
    closeSync(log)
    reapOnExit(this)
    await this.#answers()
    // From here on a script that forgets to stop the server ends all the same, and takes the server with it.
    this.process.unref()
  }

  /** Ends the server and removes its folder. Safe twice. */
  async stop() {
    await this.kill()
    this.reap()
  }

  /**
   * Ends the server as a crash would; {@link restart} brings it back. Nothing is lost by SIGKILL, since nothing is kept,
   * and it also reaches a server that hangs in a script or was halted by SIGSTOP.
   */
  async kill() {
    if (!isRunning(this.process)) return
    this.process.ref()
    const exited = once(this.process, 'exit')
    this.process.kill('SIGKILL')
    await exited
  }

  /** Starts the server anew, empty, on the same port. */
  async restart() {
    await this.kill()
    await this.start()
  }

  /** What is left to do when this process ends and cannot wait. */
  reap() {
    if (isRunning(this.process)) this.process.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
    forget(this)
  }

  get #logFile() {
    return join(this.#folder, 'redis.log')
  }

  async #answers() {
    const child = this.process
    await once(child, 'spawn')
    // What runs it may take its time.
    const patience = START_TIMEOUT_MS * (this.#under.length > 0 ? 6 : 1)
    const deadline = Date.now() + patience
    while (Date.now() < deadline) {
      if (!isRunning(child)) throw new Error(`redis-server ended at start:\n${readFileSync(this.#logFile, 'utf8')}`)
      if (await this.#isUs()) return
      await sleep(10)
    }
    throw new Error(`redis-server did not answer in ${patience} ms:\n${readFileSync(this.#logFile, 'utf8')}`)
  }

  /** Whether our own child answers on the port: a PING alone could be answered by a stranger who was faster to take it. */
  async #isUs() {
    try {
      const info = await redisCommand(this.port, 'INFO', 'server')
      return info.includes(`process_id:${this.pid}\r\n`)
    } catch (error) {
      // A server that asks for a password is one that answers.
      return error.message.startsWith('NOAUTH')
    }
  }
}

function isRunning(child) {
  return child?.pid !== undefined && child.exitCode === null && child.signalCode === null
}

function majorVersion(command) {
  const { stdout } = spawnSync(command, ['--version'], { encoding: 'utf8', timeout: START_TIMEOUT_MS })
  return Number(/v=(\d+)/.exec(stdout ?? '')?.[1] ?? 0)
}

const servers = new Set()
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** No server outlives the process that started it, whether that ends by itself or by a signal. */
function reapOnExit(server) {
  if (servers.size === 0) {
    process.on('exit', reapAll)
    for (const signal of SIGNALS) process.on(signal, reapOnSignal)
  }
  servers.add(server)
}

function forget(server) {
  servers.delete(server)
  if (servers.size > 0) return
  process.off('exit', reapAll)
  for (const signal of SIGNALS) process.off(signal, reapOnSignal)
}

function reapAll() {
  for (const server of servers) server.reap()
}

function reapOnSignal(signal) {
  // Where somebody else listens too, they decide whether this process ends, and `exit` follows when it does.
  if (process.listenerCount(signal) > 1) return
  reapAll()
  process.kill(process.pid, signal)
}
