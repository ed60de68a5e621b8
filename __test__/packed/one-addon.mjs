/** However often and by whom the package is loaded, it is one addon: `require`, `import`, and a worker thread. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import * as imported from 'distributed-rate-limiter'

const require = createRequire(import.meta.url)
const required = require('distributed-rate-limiter')
assert.equal(require('distributed-rate-limiter'), required)
assert.equal(imported.RateLimiter, required.RateLimiter)

const worker = new Worker(
  `const { RateLimiter } = require('distributed-rate-limiter')
   const limiter = new RateLimiter({ limit: 1, window: '1h' })
   require('node:worker_threads').parentPort.postMessage([limiter.isAllowedSync('a'), limiter.isAllowedSync('a')])`,
  { eval: true },
)
const [answers] = await once(worker, 'message')
assert.deepEqual(answers, [true, false])
await worker.terminate()

const limiter = new imported.RateLimiter({ limit: 1, window: '1h' })
assert.deepEqual([limiter.isAllowedSync('a'), limiter.isAllowedSync('a')], [true, false])
if (process.platform === 'linux') {
  const mapped = readFileSync('/proc/self/maps', 'utf8').match(/\/\S+\.node$/gm)
  assert.equal(new Set(mapped).size, 1)
}
console.log('one')
