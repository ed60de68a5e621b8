/**
 * A TCP proxy before a real Redis, which does to the bytes what networks do: late, in pieces, never, cut in the middle, or
 * executed and not answered. What it does can be changed at any time, for connections that are open as well.
 */

import { once } from 'node:events'
import { connect, createServer } from 'node:net'

import { freePort } from '../../scripts/redis.mjs'

const HOST = '127.0.0.1'

/** What an honest network does. */
const HONEST = {
  /** Milliseconds by which bytes to Redis, and bytes from it, are late. */
  delayAskedMs: 0,
  delayAnsweredMs: 0,
  /** Takes bytes and passes none on, in either direction. They come, late, once it is over. */
  stall: false,
  /** Resets the connection in the midst of its next reply, after so many bytes of it. */
  cutAfter: undefined,
  /** Redis gets every command and executes it; nobody gets its replies. */
  dropReplies: false,
  /** The most bytes that are passed on together. */
  sliceBytes: Infinity,
}

/** Starts one before the Redis on `targetPort`. */
export async function startProxy(targetPort) {
  const proxy = new Proxy(targetPort, await freePort())
  await proxy.accept()
  return proxy
}

class Proxy {
  /** Connections that were accepted, replies that were cut, and pieces of replies that were dropped. */
  accepted = 0
  cut = 0
  dropped = 0

  #targetPort
  #manners = HONEST
  #server
  #pairs = new Set()

  constructor(targetPort, port) {
    this.#targetPort = targetPort
    this.port = port
    this.url = `redis://${HOST}:${port}`
  }

  /** From now on it does this, and is honest in all else. */
  behave(manners = {}) {
    this.#manners = { ...HONEST, ...manners }
    for (const pair of this.#pairs) pair.forEach((pipe) => pipe.drain())
  }

  /** Nobody listens any more, and whoever was connected is cut off. Returns when that is so. */
  async refuse() {
    const server = this.#server
    this.#server = undefined
    this.reset()
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  /** Listens, again and on the same port. */
  async accept() {
    if (this.#server) return
    this.#server = createServer((client) => this.#join(client))
    this.#server.listen(this.port, HOST)
    await once(this.#server, 'listening')
    this.#server.unref()
  }

  /** Resets every connection. */
  reset() {
    for (const pair of this.#pairs) pair[0].end()
  }

  async stop() {
    await this.refuse()
  }

  #join(client) {
    this.accepted += 1
    const redis = connect({ port: this.#targetPort, host: HOST })
    const end = () => {
      this.#pairs.delete(pair)
      for (const socket of [client, redis]) cutOff(socket)
      pair.forEach((pipe) => pipe.forget())
    }
    const manners = () => this.#manners
    const pair = [
      new Pipe(redis, end, () => ({ ...manners(), delayMs: manners().delayAskedMs, isReply: false }), this),
      new Pipe(client, end, () => ({ ...manners(), delayMs: manners().delayAnsweredMs, isReply: true }), this),
    ]
    this.#pairs.add(pair)
    client.on('data', (bytes) => pair[0].take(bytes))
    redis.on('data', (bytes) => pair[1].take(bytes))
    for (const socket of [client, redis]) {
      socket.setNoDelay(true)
      socket.on('error', end).on('close', end)
    }
  }
}

/** Ends a connection by a reset and not in order: what a client makes of that is the harder question. */
function cutOff(socket) {
  if (socket.destroyed) return
  // One that has said goodbye would never be closed by a reset, and the process not end: libuv refuses it, Node.js does not notice.
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

/** One direction of a connection: bytes in their order, each when its time has come. */
class Pipe {
  #target
  #end
  #manners
  #tally
  /** `{ bytes, due }` that were taken and not passed on. */
  #held = []
  #cancel = () => {}

  constructor(target, end, manners, tally) {
    this.#target = target
    this.#end = end
    this.#manners = manners
    this.#tally = tally
  }

  take(bytes) {
    const { isReply, dropReplies, delayMs } = this.#manners()
    if (isReply && dropReplies) {
      this.#tally.dropped += 1
      return
    }
    this.#held.push({ bytes, due: performance.now() + delayMs })
    this.drain()
  }

  /** Passes on what is due. */
  drain() {
    this.#cancel()
    while (this.#held.length > 0) {
      const { stall, sliceBytes, cutAfter, isReply } = this.#manners()
      if (stall) return
      const [first] = this.#held
      const wait = first.due - performance.now()
      if (wait > 0) {
        const timer = setTimeout(() => this.drain(), Math.ceil(wait))
        this.#cancel = () => clearTimeout(timer)
        return
      }
      if (isReply && cutAfter !== undefined) {
        this.#tally.cut += 1
        this.#target.write(first.bytes.subarray(0, cutAfter), () => this.#end())
        this.#held = []
        return
      }
      const piece = first.bytes.subarray(0, sliceBytes)
      first.bytes = first.bytes.subarray(piece.length)
      if (first.bytes.length === 0) this.#held.shift()
      this.#target.write(piece)
      if (sliceBytes !== Infinity) {
        // In a turn of its own, so that each piece is a packet of its own.
        const turn = setImmediate(() => this.drain())
        this.#cancel = () => clearImmediate(turn)
        return
      }
    }
  }

  /** The connection, from this side. */
  end() {
    this.#end()
  }

  forget() {
    this.#cancel()
    this.#held = []
  }
}
