/** What a Redis server was asked, learned from its MONITOR command. */

import { once } from 'node:events'
import { connect } from 'node:net'

const CONNECT_TIMEOUT_MS = 2_000

/** The commands that reached the server since; `waitFor` resolves with the first, past or future, that `matches`. */
export async function watchCommands(redisUrl) {
  const { hostname, port } = new URL(redisUrl)
  const socket = connect({ host: hostname, port: Number(port) })
  await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) })

  const commands = []
  const waiting = new Set()
  let partial = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    // Latin-1 keeps each byte a character; a line of MONITOR is ASCII with everything else escaped.
    const lines = Buffer.concat([partial, chunk]).toString('latin1').split('\r\n')
    partial = Buffer.from(lines.pop(), 'latin1')
    for (const line of lines) commands.push(parseLine(line))
    for (const check of waiting) check()
  })
  socket.on('error', () => socket.destroy())
  socket.write('MONITOR\r\n')
  await once(socket, 'data', { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) })

  return {
    waitFor(matches, timeoutMs) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(check)
          reject(new Error(`MONITOR showed no such command in ${timeoutMs} ms`))
        }, timeoutMs)
        const check = () => {
          const command = commands.find(matches)
          if (command === undefined) return
          clearTimeout(timer)
          waiting.delete(check)
          resolve(command)
        }
        waiting.add(check)
        check()
      })
    },
    stop: () => socket.destroy(),
  }
}

/** `+1700000000.123456 [0 127.0.0.1:50000] "get" "a\x00b"` as `[Buffer 'get', Buffer 'a\0b']`. */
export function parseLine(line) {
  return Array.from(line.matchAll(/"((?:[^"\\]|\\.)*)"/g), ([, quoted]) => unquote(quoted))
}

const ESCAPES = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' }

function unquote(quoted) {
  const text = quoted.replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex, letter) =>
    hex === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(parseInt(hex, 16)),
  )
  return Buffer.from(text, 'latin1')
}
