/**
 * A process of a fleet that shares its policies: `trial-member.mjs <options>`. Tells of every change; a message `{ key, calls }` has it make these calls
 * one after the other, and it reports `{ allowed, sources, shadow }`: how many were, and what was counted up to then.
 */

import { RateLimiter } from 'distributed-rate-limiter'

const limiter = new RateLimiter(JSON.parse(process.argv[2]))
limiter.on('policies', () => process.send({ version: limiter.sharedPolicies().version }))
limiter.on('policiesInvalid', (error) => process.send({ invalid: error.message }))
await limiter.ready({ timeout: '30s' })
process.on('message', async ({ key, calls }) => {
  if (key === undefined) {
    await limiter.close()
    process.disconnect()
    return
  }
  let allowed = 0
  for (let call = 0; call < calls; call += 1) allowed += Number(await limiter.isAllowed(key))
  const { sources, shadow } = limiter.stats()
  process.send({ allowed, sources, shadow })
})
process.send({ ready: true })
