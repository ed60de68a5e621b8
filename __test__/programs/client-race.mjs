/**
 * One of several processes that call on one key at the same time, each over its own kind of client: as `race.mjs`.
 *
 * Arguments: the limiter's options as JSON, the key, the number of calls, the kind of client, and the server's port.
 */

import { once } from 'node:events'

import { RateLimiter } from 'distributed-rate-limiter'

import { STANDALONE } from '../support/clients.mjs'

const [options, key, calls, kind, port] = process.argv.slice(2)
const url = `redis://127.0.0.1:${port}`

const client = kind === 'redisUrl' ? undefined : await STANDALONE[kind].open({ port: Number(port), url })
const store = client === undefined ? { redisUrl: url } : { redisClient: client }
const limiter = new RateLimiter({ ...JSON.parse(options), ...store })
await limiter.ready({ timeout: '30s' })
process.send('ready')
await once(process, 'message')

const decisions = await Promise.all(Array.from({ length: Number(calls) }, () => limiter.check(key)))

const allowed = decisions.filter((decision) => decision.allowed).length
const sources = [...new Set(decisions.map((decision) => decision.source))]
process.send({ allowed, denied: decisions.length - allowed, sources })
process.disconnect()
if (client !== undefined) await STANDALONE[kind].close(client)
