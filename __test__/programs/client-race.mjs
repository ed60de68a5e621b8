/**
 * One of several processes that call on one key at the same time, each over its own kind of client: as `race.mjs`.
 *
 * Arguments: the limiter's options as JSON, the key, the number of calls, the kind of client, and the server's port.
 */

import { RateLimiter } from 'distributed-rate-limiter'

import { STANDALONE } from '../support/clients.mjs'
import { callsAtOnce, race } from '../support/racer.mjs'

const [options, key, calls, kind, port] = process.argv.slice(2)
const url = `redis://127.0.0.1:${port}`

const client = kind === 'redisUrl' ? undefined : await STANDALONE[kind].open({ port: Number(port), url })
const store = client === undefined ? { redisUrl: url } : { redisClient: client }
const limiter = new RateLimiter({ ...JSON.parse(options), ...store })
await race(limiter, () => callsAtOnce(limiter, key, calls))
if (client !== undefined) await STANDALONE[kind].close(client)
