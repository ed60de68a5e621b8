/**
 * One process of a fleet that shares its policies, asking for decisions without a pause. Tells of every change, and in the end whether
 * each decision was by one document as a whole: in document `n` the limit `a` is `10 n` and `b` one more, and so is the action's.
 *
 * Arguments: the limiter's options as JSON, and how many versions it is to publish by `ifVersion`, against all others. It begins at
 * the message 'go', and ends at the next.
 */

import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'

import { RateLimiter } from 'distributed-rate-limiter'

const [given, target] = process.argv.slice(2)
const limiter = new RateLimiter(JSON.parse(given))
const documentOf = (n) => ({
  limits: [
    { name: 'a', limit: 10 * n, window: '1h' },
    { name: 'b', limit: 10 * n + 1, window: '1d' },
  ],
  actions: { upload: { limit: 10 * n + 2, window: '1h' } },
})

const torn = []
let decisions = 0
limiter.on('policies', () => process.send({ version: limiter.sharedPolicies().version, at: Date.now() }))
limiter.on('policiesInvalid', (error) => process.send({ invalid: error.message }))
await limiter.ready({ timeout: '30s' })
process.send('ready')
await once(process, 'message')

let goes = true
process.once('message', () => (goes = false))

/** What is told of the limits, and what is decided by them. */
async function look() {
  const { document } = limiter.sharedPolicies()
  const told = limiter.policies().map(({ limit }) => limit)
  if (document !== null) {
    const written = [...document.limits, document.actions.upload].map(({ limit }) => limit)
    if (String(told) !== String(written)) torn.push({ told, written })
  }
  const { limits } = await limiter.check('key')
  decisions += 1
  const [a, b] = limits.map(({ limit }) => limit)
  if (b !== a + 1) torn.push({ a, b })
}

async function publish() {
  const won = []
  for (let n = 1; ; n += 1) {
    const { version } = limiter.sharedPolicies()
    if (version >= Number(target)) return won
    try {
      const published = await limiter.publishPolicies(documentOf(n * 1_000 + (process.pid % 1_000)), {
        ifVersion: version,
      })
      won.push(published.version)
      // Otherwise somebody else's was overwritten that nobody has read.
      if (published.version !== version + 1) torn.push({ version, published: published.version })
    } catch (error) {
      if (error.code !== 'ERR_RATE_LIMIT_POLICIES_CONFLICT') throw error
    }
  }
}

const winning = Number(target) > 0 ? publish() : []
while (goes) {
  await Promise.all(Array.from({ length: 4 }, look))
  // Refusals that are known here are promises that exist already: nobody else would ever have a turn.
  await turn()
}
process.send({ torn, decisions, won: await winning, stats: limiter.stats().policies })
await limiter.close()
process.disconnect()
