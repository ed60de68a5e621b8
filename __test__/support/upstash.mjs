/** The part of Upstash's REST interface that its client for Node.js uses, before a real Redis of this machine. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

import { redisCommand } from '../../scripts/resp.mjs'

const TOKEN = 'a-token'

/** Starts one; `{ env, stop }`, where `env` is what the client's `fromEnv()` reads. */
export async function startUpstash(redisPort) {
  const server = createServer((request, response) => {
    answer(redisPort, request).then(
      ({ status = 200, ...body }) => respond(response, status, 'list' in body ? body.list : body),
      (error) => respond(response, 500, { error: error.message }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const env = {
    UPSTASH_REDIS_REST_URL: `http://127.0.0.1:${server.address().port}`,
    UPSTASH_REDIS_REST_TOKEN: TOKEN,
  }
  return {
    env,
    stop() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

function respond(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** One command as a list of words, or at `/pipeline` a list of commands. */
async function answer(port, request) {
  if (request.headers.authorization !== `Bearer ${TOKEN}`) return { status: 401, error: 'Unauthorized' }
  const said = JSON.parse(await text(request))
  const encoded = request.headers['upstash-encoding'] === 'base64' ? base64 : (value) => value
  const execute = async (command) => {
    try {
      return { result: encoded(await redisCommand(port, ...command.map(understood))) }
    } catch (error) {
      return { error: error.message }
    }
  }
  if (request.url !== '/pipeline') {
    const done = await execute(said)
    return 'error' in done ? { status: 400, ...done } : done
  }
  const list = []
  for (const command of said) list.push(await execute(command))
  return { list }
}

/** A flag by which scripts tell Upstash's servers which keys to lock. Redis, which locks all of them, refuses what it does not know. */
const understood = (word) => (typeof word === 'string' ? word.replace('#!lua flags=allow-key-locking\n', '') : word)

function base64(value) {
  if (Array.isArray(value)) return value.map(base64)
  return typeof value === 'string' && value !== 'OK' ? Buffer.from(value).toString('base64') : value
}
