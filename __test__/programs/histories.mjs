/**
 * One of the processes that play histories: it calls its limiter on many keys at once, and notes of each call when it was
 * invoked, when it returned, and what it was told.
 *
 * Argument: JSON of `{ seed, redisUrl, onStoreError, store }`; `store` names a client that is broken on purpose. A message
 * `{ first, keys, calls, spreadMs }` has it play a round, `{ first, keys, audit: true }` read every key; it answers each with
 * its notes. Moments are those of `process.hrtime`, which on one machine is one monotonic clock for all processes.
 */

import { setTimeout as timer } from 'node:timers/promises'

import { RateLimiter } from 'distributed-rate-limiter'

import { optionsOf } from '../histories/broken.mjs'
import { KINDS, NAMES } from '../histories/model.mjs'
import { drawCall, randomOf } from '../histories/random.mjs'

const { seed, redisUrl, onStoreError, store } = JSON.parse(process.argv[2])

const LONG = { window: '1d' }
const [FIXED, SLIDING, SLOTS, BUCKET, SEVERAL] = NAMES
// What is known to be refused may be so for a moment after another process has freed it: that is no order of calls.
const common = { ...optionsOf(store, redisUrl), onStoreError, timeout: '2s', denyCache: false }
const single = new RateLimiter({
  ...common,
  ...LONG,
  limit: 1,
  actions: {
    [FIXED]: { ...LONG, limit: KINDS[FIXED][0], algorithm: 'fixed-window' },
    [SLIDING]: { ...LONG, limit: KINDS[SLIDING][0], algorithm: 'sliding-window' },
    [SLOTS]: { ...LONG, limit: KINDS[SLOTS][0], algorithm: 'sliding-window', resolution: 2 },
    // A unit comes back in a year and a quarter.
    [BUCKET]: { window: '3650d', limit: KINDS[BUCKET][0], algorithm: 'token-bucket' },
  },
})
const several = new RateLimiter({
  ...common,
  limits: [
    { ...LONG, name: 'fixed', limit: KINDS[SEVERAL][0], algorithm: 'fixed-window' },
    { ...LONG, name: 'sliding', limit: KINDS[SEVERAL][1], algorithm: 'sliding-window' },
  ],
})

/** Makes the call; resolves with what the limiter answers. */
function make({ verb, cost, upTo }, index) {
  const kind = NAMES[index % NAMES.length]
  const [limiter, options] = kind === SEVERAL ? [several, {}] : [single, { action: kind }]
  const key = `history-${index}`
  switch (verb) {
    case 'check':
      return limiter.check(key, upTo ? { ...options, upTo: cost } : { ...options, cost })
    case 'isAllowed':
    case 'peek':
      return limiter[verb](key, { ...options, cost })
    case 'refund':
    case 'penalty':
      return limiter[verb](key, cost, options)
    case 'block':
      return limiter.block(key, '1d', options)
    default:
      return limiter[verb](key, options)
  }
}

/** What of an answer can be compared; nothing where the store did not give it. */
function toldBy(answer) {
  if (typeof answer === 'boolean') return { allowed: answer }
  if (answer === undefined) return {}
  const { allowed, granted, remaining, limits, source } = answer
  if (source === 'fallback') return undefined
  return {
    allowed,
    granted,
    remaining,
    each: limits?.map((part) => ({ allowed: part.allowed, remaining: part.remaining })),
  }
}

const now = () => Number(process.hrtime.bigint())

async function play(index, call) {
  const invoked = now()
  const told = await make(call, index).then(toldBy, (error) => {
    if (error.code?.startsWith('ERR_RATE_LIMIT_STORE_')) return undefined
    throw error
  })
  return { index, call, invoked, returned: now(), told }
}

/** As many calls as there are, one after the other, each after a moment. */
async function playKey(index, calls, spreadMs) {
  const random = randomOf(seed * 1_000_003 + index)
  const notes = []
  for (let turn = 0; turn < calls; turn += 1) {
    await timer(random.below(spreadMs / calls))
    const note = await play(index, drawCall(random, { isAllowed: onStoreError === 'throw' }))
    notes.push(note)
    // A history of nothing but calls that are perhaps done would be explained by anything.
    if (!note.told && random.below(5) > 0) await ready()
  }
  return notes
}

/** Reads the key until the store answers: what was done in the end, was done by now. */
async function auditKey(index) {
  for (;;) {
    const note = await play(index, { verb: 'peek', cost: 1 })
    if (note.told) return [note]
    await timer(20)
  }
}

const ready = () => Promise.all([single, several].map((limiter) => limiter.ready({ timeout: '30s' })))

process.on('message', async ({ first, keys, calls, spreadMs, audit }) => {
  await ready()
  const indices = Array.from({ length: keys }, (_, index) => first + index)
  const notes = await Promise.all(indices.map((index) => (audit ? auditKey(index) : playKey(index, calls, spreadMs))))
  process.send(notes.flat())
})
process.on('disconnect', () => process.exit(0))

await ready()
process.send('ready')
