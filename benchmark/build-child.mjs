/** One build at work, in a process of its own: so long whenever it is told, or so many calls and no more. */

import { createRequire } from 'node:module'
import { join } from 'node:path'

const [folder, job] = process.argv.slice(2)
const { keys: count, limit, calls } = JSON.parse(job)
const { RateLimiter } = createRequire(import.meta.url)(join(folder, 'index.js'))

const limiter = new RateLimiter({ limit, window: '1h', algorithm: 'token-bucket' })
const keys = Array.from({ length: count }, (_, index) => `user:${index}`)

/** So many calls, one awaited after the other. */
async function call(calls) {
  for (let made = 0, key = 0; made < calls; made += 1) {
    await limiter.isAllowed(keys[key])
    key = key + 1 === keys.length ? 0 : key + 1
  }
}

/** Nanoseconds of CPU a call, within so many milliseconds: whoever else wants the processor costs no calls then. */
async function slice(ms) {
  const start = performance.now()
  const before = process.cpuUsage()
  let made = 0
  while (performance.now() < start + ms) {
    await call(10_000)
    made += 10_000
  }
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1e3) / made
}

if (calls !== undefined) {
  await call(calls)
} else {
  await slice(300)
  process.on('message', (ms) => slice(ms).then((figure) => process.send(figure)))
  process.send('ready')
}
