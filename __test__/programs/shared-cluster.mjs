/**
 * A cluster of Node's whose workers call on one key of shared memory, each with threads that do so as well. Prints how many were
 * allowed, and how many were asked for.
 *
 * Arguments: the options as JSON, workers, threads of each, calls of each thread.
 */

import cluster from 'node:cluster'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

import { RateLimiter } from 'distributed-rate-limiter'

const file = fileURLToPath(import.meta.url)

async function allowedOf({ options, calls }) {
  const limiter = new RateLimiter(options)
  let allowed = 0
  for (let call = 0; call < calls; call += 1) allowed += await limiter.isAllowed('key')
  await limiter.close()
  return allowed
}

async function ofThreads([options, , threads, calls]) {
  const job = { options: JSON.parse(options), calls: Number(calls) }
  const others = Array.from({ length: Number(threads) }, () => new Worker(file, { workerData: job }))
  const said = others.map(async (other) => (await once(other, 'message'))[0])
  return (await Promise.all([...said, allowedOf(job)])).reduce((sum, allowed) => sum + allowed, 0)
}

if (!isMainThread) {
  parentPort.postMessage(await allowedOf(workerData))
} else if (cluster.isPrimary) {
  const args = process.argv.slice(2)
  cluster.setupPrimary({ exec: file, args })
  const said = Array.from({ length: Number(args[1]) }, async () => (await once(cluster.fork(), 'message'))[0])
  const allowed = (await Promise.all(said)).reduce((sum, own) => sum + own, 0)
  console.log(JSON.stringify({ allowed }))
} else {
  process.send(await ofThreads(process.argv.slice(2)), () => process.disconnect())
}
