/** One command to a Redis on this machine, over a plain socket: tests look at the store without trusting any client. */

import { createConnection } from 'node:net'

import reply from '../cli/redis/reply.js'

const { encodeCommand } = reply

const TIMEOUT_MS = 10_000

/**
 * Sends one command on a connection of its own and resolves with the reply: a string, a number, `null`, or an array of
 * these. An error reply rejects with its text. Arguments are strings, numbers or Buffers.
 */
export async function redisCommand(port, ...args) {
  const [reply] = await redisCommands(port, [args])
  return reply
}

/** The same of several commands on one connection, such as AUTH and what it allows; the first error reply rejects. */
export function redisCommands(port, commands) {
  const names = commands.map(([name]) => name).join(', ')
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    const settle = (action) => {
      socket.destroy()
      action()
    }
    let received = Buffer.alloc(0)
    const replies = []
    socket.setTimeout(TIMEOUT_MS, () => settle(() => reject(new Error(`no reply to ${names} in ${TIMEOUT_MS} ms`))))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`the connection was closed before the reply to ${names}`)))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      for (let parsed; replies.length < commands.length && (parsed = parseReply(received, 0));) {
        if (parsed.value instanceof Error) return settle(() => reject(parsed.value))
        replies.push(parsed.value)
        received = received.subarray(parsed.end)
      }
      if (replies.length === commands.length) settle(() => resolve(replies))
    })
    for (const command of commands) socket.write(encodeCommand(command))
  })
}

/** The RESP2 value that begins at `start` and where it ends, or `undefined` when it has not wholly arrived. */
function parseReply(buffer, start) {
  const lineEnd = buffer.indexOf('\r\n', start)
  if (lineEnd === -1) return undefined
  const line = buffer.toString('utf8', start + 1, lineEnd)
  const next = lineEnd + 2
  switch (String.fromCharCode(buffer[start])) {
    case '+':
      return { value: line, end: next }
    case '-':
      return { value: new Error(line), end: next }
    case ':':
      return { value: Number(line), end: next }
    case '$':
      return parseBulk(buffer, next, Number(line))
    case '*':
      return parseArray(buffer, next, Number(line))
    default:
      return { value: new Error(`not a RESP2 reply: ${JSON.stringify(line)}`), end: next }
  }
}

function parseBulk(buffer, start, length) {
  if (length === -1) return { value: null, end: start }
  const end = start + length
  return buffer.length < end + 2 ? undefined : { value: buffer.toString('utf8', start, end), end: end + 2 }
}

function parseArray(buffer, start, length) {
  if (length === -1) return { value: null, end: start }
  const values = []
  let end = start
  while (values.length < length) {
    const parsed = parseReply(buffer, end)
    if (!parsed) return undefined
    values.push(parsed.value)
    end = parsed.end
  }
  return { value: values, end }
}
