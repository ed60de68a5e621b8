/**
 * The child process that measures what a key takes: in Redis, where its window is full, and half full; in this process, after
 * one call of each of very many.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { redisCommands } from '../../scripts/resp.mjs'
import { answer } from '../child.mjs'
import { openContestant } from '../contestants/index.mjs'
import { median } from '../statistics.mjs'
import { settledRss } from './rss.mjs'

const LIMIT = 100
const KEYS = 100
/** Names of one length, so that none is longer in Redis for it. */
const names = (prefix) => Array.from({ length: KEYS }, (_, index) => `${prefix}:${String(index).padStart(5, '0')}`)
const CHUNK = 10_000
/** Each over twice as long as the one before. */
const ATTEMPTS = 5
const LONG_MS = 3_600_000

await answer((job) => (job.redisUrl ? measureRedis(job) : measureMemory(job)))

/** After as many calls as the limit, evenly over so long, on some keys, and half as many on others. */
async function measureRedis({ contestantId, redisUrl, isLog, spreadMs }, attempts = ATTEMPTS) {
  const contestant = await openContestant(contestantId, {
    limit: LIMIT,
    windowMs: isLog ? spreadMs : LONG_MS,
    redisUrl,
  })
  const tookMs = await fill(contestant, spreadMs)
  await contestant.close()
  if (!isLog || tookMs <= spreadMs) {
    return { fullBytes: await stored(redisUrl, 'full'), halfBytes: await stored(redisUrl, 'half') }
  }
  // The machine was too busy: what came first has left its window before all was there.
  if (attempts === 1) throw new Error(`calls of ${spreadMs} ms took ${Math.round(tookMs)} ms`)
  await onDatabase(redisUrl, ['FLUSHDB'])
  return measureRedis({ contestantId, redisUrl, isLog, spreadMs: 2 * spreadMs }, attempts - 1)
}

/** Resolves with how long it took from the first call to the last answer. */
async function fill(contestant, spreadMs) {
  const [full, half] = [names('full'), names('half')]
  const start = performance.now()
  for (let call = 0; call < LIMIT; call++) {
    await sleep(start + (call * spreadMs) / LIMIT - performance.now())
    const called = call % 2 === 0 ? [...full, ...half] : full
    const admitted = await Promise.all(called.map((key) => contestant.isAllowed(key)))
    if (admitted.includes(false)) throw new Error('a call was refused that is within the limit')
  }
  return performance.now() - start
}

/** The median key by MEMORY USAGE, its name included. */
async function stored(redisUrl, prefix) {
  const [keys] = await onDatabase(redisUrl, ['KEYS', `*${prefix}:*`])
  if (keys.length !== KEYS) throw new Error(`${keys.length} keys are in Redis instead of ${KEYS}`)
  return median(await onDatabase(redisUrl, ...keys.map((key) => ['MEMORY', 'USAGE', key])))
}

async function onDatabase(redisUrl, ...commands) {
  const { port, pathname } = new URL(redisUrl)
  const [, ...replies] = await redisCommands(port, [['SELECT', pathname.slice(1)], ...commands])
  return replies
}

async function measureMemory({ contestantId, keys }) {
  const contestant = await openContestant(contestantId, { limit: LIMIT, windowMs: LONG_MS, maxMemory: '16gb' })
  const call = async (from) => {
    // Made anew, so that JavaScript keeps none of them but those that the limiter does.
    const chunk = Array.from({ length: CHUNK }, (_, index) => `k${String(from + index).padStart(9, '0')}`)
    return contestant.countAllowed(chunk)
  }
  // The same work on few keys first: what V8 needs to make all these calls is no key's.
  for (let again = 0; again < LIMIT; again++) await call(0)
  const before = await settledRss()
  for (let from = CHUNK; from < CHUNK + keys; from += CHUNK) await call(from)
  const bytes = ((await settledRss()) - before) / keys
  await contestant.close()
  return { memoryBytes: bytes }
}
