/** A memcached of our own for tests: found or installed, started empty, and never left behind. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, installByApt } from './redis.mjs'
import { findOnPath, isExecutable } from './run.mjs'

const START_TIMEOUT_MS = 10_000

const HOW_TO_INSTALL = `memcached was not found. Install it and run this again:
  Debian, Ubuntu   sudo apt-get install memcached
  Fedora, RHEL     sudo dnf install memcached
  Alpine           sudo apk add memcached
  macOS            brew install memcached
or name its file in the environment variable MEMCACHED.`

/** The path of a memcached: MEMCACHED, else the PATH's, else freshly installed where apt may do so unasked. */
export function findMemcached() {
  const { MEMCACHED } = process.env
  if (MEMCACHED) {
    if (isExecutable(MEMCACHED)) return MEMCACHED
    throw new Error(`MEMCACHED names ${MEMCACHED}, which is not a file that can be executed`)
  }
  const found = findOnPath('memcached') ?? installByApt('memcached')
  if (!found) throw new Error(HOW_TO_INSTALL)
  return found
}

/** Starts one on 127.0.0.1 and resolves once it answers: `{ port, address, stop, restart }`. */
export async function startMemcached() {
  const server = new Memcached(await freePort())
  await server.start()
  return server
}

class Memcached {
  #command = findMemcached()
  #process
  #reap = () => this.#process?.kill('SIGKILL')

  constructor(port) {
    this.port = port
    this.address = `127.0.0.1:${port}`
  }

  async start() {
    // As root it does not start unless it is told whom to be.
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
    // No UDP, and the smallest memory that it takes.
    const args = ['-l', '127.0.0.1', '-p', `${this.port}`, '-U', '0', '-m', '64', ...user]
    this.#process = spawn(this.#command, args, { stdio: 'ignore' })
    process.once('exit', this.#reap)
    this.#process.unref()
    const deadline = Date.now() + START_TIMEOUT_MS
    while (!(await this.command('version').catch(() => ''))) {
      if (this.#process.exitCode !== null)
        throw new Error(`memcached ended at start, with code ${this.#process.exitCode}`)
      if (Date.now() > deadline) throw new Error(`memcached did not answer in ${START_TIMEOUT_MS} ms`)
      await sleep(10)
    }
  }

  /** Ends it as a crash would. Safe twice. */
  async stop() {
    process.off('exit', this.#reap)
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.ref()
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
  }

  /** Starts it anew, empty, on the same port. */
  async restart() {
    await this.stop()
    await this.start()
  }

  /** What it answers to one line of its text protocol, up to the first pause. */
  async command(line) {
    const socket = createConnection({ host: '127.0.0.1', port: this.port })
    try {
      socket.setEncoding('utf8').write(`${line}\r\n`)
      const [answer] = await once(socket, 'data')
      return answer
    } finally {
      socket.destroy()
    }
  }
}
