/** What a key takes in Redis and in a process: measured once, since bytes are the same in every round. */

import { runInChild } from './child.mjs'
import { findContestant } from './contestants/index.mjs'

const CHILD = new URL('./footprint/bytes.mjs', import.meta.url)
/** What grows with the calls of a window is called over one; a counter is as long at any time, and has an hour. */
const LOGS = ['ours-sliding-window', 'sorted-set-log']
const COUNTERS = ['ours-token-bucket', 'rlf-ioredis', 'rate-limit-redis']
const IN_MEMORY = ['ours-sliding-window', 'ours-token-bucket', 'rlf-memory']
const SIZES = { windowMs: 6_400, keys: 1_000_000 }
const QUICK = { windowMs: 1_600, keys: 50_000 }

/** Those whose "bytes/contestant" `only` lets through, each with what is measured of it. */
export function planBytes(only) {
  const ids = [...new Set([...LOGS, ...COUNTERS, ...IN_MEMORY])]
  return ids.filter((id) => only === null || only.test(`bytes/${id}`)).map(findContestant)
}

/** Of each contestant `fullBytes`, `halfBytes` and `memoryBytes`, as far as it has them, or an `error`. */
export async function measureBytes(contestants, { quick, redis, flush, progress, signal }) {
  const { windowMs, keys } = quick ? QUICK : SIZES
  await flush()
  const inRedis = async ({ id }, index) => {
    const job = { contestantId: id, redisUrl: `${redis.url}/${index}`, isLog: LOGS.includes(id), spreadMs: windowMs }
    return job.isLog || COUNTERS.includes(id) ? runInChild(CHILD, job, { signal }) : {}
  }
  const inMemory = async ({ id }) => {
    const job = { contestantId: id, keys }
    return IN_MEMORY.includes(id) ? runInChild(CHILD, job, { signal, execArgv: ['--expose-gc'] }) : {}
  }
  progress.begin('bytes')
  // In Redis all at once: what is waited for is the window.
  const stored = await Promise.all(contestants.map((one, index) => inRedis(one, index).catch(failed)))
  const measured = []
  for (const [index, one] of contestants.entries()) {
    const figures = { ...stored[index], ...(await inMemory(one).catch(failed)) }
    signal.throwIfAborted()
    measured.push({ ...one, ...figures })
    progress.end(`bytes, ${one.id}`, figures.error ?? JSON.stringify(figures))
  }
  return measured
}

const failed = (error) => ({ error: error.message })
