/** Requests to a server of this machine, and Node programs that are such servers. */

import { request } from 'node:http'

import { describe, start } from './child.mjs'
import { isListening } from './port.mjs'
import { settles, until } from './wait.mjs'

/**
 * One GET on a connection of its own; resolves with `{ status, headers, body }`. Not `fetch`: its connections are kept, and
 * would keep a server from ending.
 */
export const get = (port, path = '/', headers = {}) => send({ port, path, headers })

/** The same with a body, by POST. */
export const post = (port, path, body, headers = {}) => send({ port, path, headers, method: 'POST' }, body)

function send({ port, path, headers, method = 'GET' }, body) {
  const answer = new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, headers, method, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
      response.on('error', reject)
    })
    asked.on('error', reject).end(body)
  })
  return settles(answer, `${method} ${path} on port ${port}`)
}

/** Starts `file`, which listens on the port in its environment; resolves with it once it does, and fails if it ends before. */
export async function startServer(file, { port, env, within = 60_000, ...options }) {
  const server = start(file, { ...options, within, env: { ...env, PORT: String(port) } })
  let end
  server.ended.then((how) => (end = how))
  try {
    await until(() => end || isListening(port), `${file} listened on port ${port}`, 20_000)
  } catch (error) {
    await server.stop('SIGKILL')
    throw error
  }
  if (end) throw new Error(`${file} ended before it listened: ${describe(end)}`)
  return server
}
