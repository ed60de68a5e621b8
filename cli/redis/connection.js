// One connection to a Redis: commands go out as they come, and replies belong to them in their order.
'use strict'

const net = require('node:net')
const tls = require('node:tls')
const { StoreError } = require('../failure.js')
const { shownAddress } = require('./address.js')
const { encodeCommand, ProtocolError, ReplyError, ReplyReader } = require('./reply.js')

const NAME = 'distributed-rate-limiter-cli'

class Connection {
  /** The address, as it may be shown. */
  at
  #socket
  #timeout
  #reader = new ReplyReader()
  #waiting = []
  #ended

  constructor(socket, at, timeout) {
    this.at = at
    this.#socket = socket
    this.#timeout = timeout
    socket.on('data', (piece) => this.#arrived(piece))
    socket.on('timeout', () => {
      if (this.#waiting.length > 0)
        this.#end(new StoreError(`${at} has not answered for ${timeout} ms`, { isAway: true }))
    })
    socket.on('error', (error) => this.#end(away(at, error)))
    socket.on('close', () => this.#end(new StoreError(`${at} has closed the connection`, { isAway: true })))
  }

  /** Connects and logs in. `tls` are the certificates: `{ ca, cert, key, serverName }`. */
  static async open(address, { timeout, tls: certificates = {} }) {
    const at = shownAddress(address)
    const socket = await connect(address, { at, timeout, certificates })
    const connection = new Connection(socket, at, timeout)
    try {
      await connection.#login(address)
    } catch (error) {
      connection.close()
      throw error
    }
    return connection
  }

  /** The reply to a command; an error reply rejects. */
  call(...args) {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended)
      if (this.#waiting.length === 0) this.#socket.setTimeout(this.#timeout)
      this.#waiting.push({ resolve, reject })
      this.#socket.write(encodeCommand(args))
    })
  }

  get isOpen() {
    return this.#ended === undefined
  }

  close() {
    this.#end(new StoreError(`the connection to ${this.at} was closed`))
  }

  async #login({ username, password, database }) {
    if (password !== '') {
      await this.call('AUTH', ...(username === '' ? [] : [username]), password)
    }
    if (database > 0) await this.call('SELECT', database)
    // It helps whoever looks at CLIENT LIST; a user may have no right to it, and nothing depends on it.
    await this.call('CLIENT', 'SETNAME', NAME).catch(() => {})
    // Before anything else is asked, so that a password that is wanted is said once, in one place.
    await this.call('PING').catch((error) => {
      if (error.kind !== 'NOPERM') throw error
    })
  }

  #arrived(piece) {
    let replies
    try {
      replies = this.#reader.take(piece)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      return this.#end(new StoreError(`${error.message} (${this.at}): is it the port of a Redis?`))
    }
    for (const reply of replies) {
      const { resolve, reject } = this.#waiting.shift() ?? {}
      if (reply instanceof ReplyError) reject?.(reply)
      else resolve?.(reply)
    }
    if (this.#waiting.length === 0) this.#socket.setTimeout(0)
  }

  #end(reason) {
    if (this.#ended) return
    this.#ended = reason
    this.#socket.destroy()
    for (const { reject } of this.#waiting.splice(0)) reject(reason)
  }
}

function connect(address, { at, timeout, certificates }) {
  return new Promise((resolve, reject) => {
    const { path, host, port } = address
    const where = path === undefined ? { host, port } : { path }
    const { serverName, ...own } = certificates
    const servername = serverName ?? (net.isIP(host ?? '') ? undefined : host)
    const socket = address.isSecure
      ? tls.connect({ ...where, ...own, servername, ...named(serverName) })
      : net.connect(where)
    socket.setNoDelay(true)
    socket.setTimeout(timeout)
    const settle = (act) => {
      for (const event of ['error', 'timeout', 'connect', 'secureConnect']) socket.removeAllListeners(event)
      // What comes of a socket that is given up interests nobody.
      socket.on('error', () => {})
      act()
    }
    const fail = (error) => settle(() => (socket.destroy(), reject(error)))
    socket.on('timeout', () => fail(new StoreError(`${at} has not answered for ${timeout} ms`, { isAway: true })))
    socket.on('error', (error) => fail(away(at, error)))
    socket.on(address.isSecure ? 'secureConnect' : 'connect', () =>
      settle(() => (socket.setTimeout(0), resolve(socket))),
    )
  })
}

/** The certificate must have the name that was given, where that is another than the host's. */
function named(serverName) {
  if (serverName === undefined) return {}
  return { checkServerIdentity: (_, certificate) => tls.checkServerIdentity(serverName, certificate) }
}

function away(at, error) {
  // Of several addresses that were tried Node has an error without words of its own.
  const reason = error.message || error.errors?.[0]?.message || error.code
  return new StoreError(`${at} cannot be reached: ${reason}`, { isAway: true, cause: error })
}

module.exports = { Connection }
