/**
 * One flood in a process of its own: `bounded` and `unbounded` for pace and memory, `random`, `sums` and `fnv` for pace with
 * chosen keys, `steady` for who is refused.
 */

import { RateLimiter } from '../../index.mjs'
import { settledOutsideOfHeap } from './rss.mjs'

const [kind, count] = [process.argv[2], Number(process.argv[3])]
const WINDOW_MS = 60_000
const LIMIT = 5
const HONEST_KEYS = 100
/** Made-up keys come again after so many others. */
const APART = 1_000

const options = { limit: LIMIT, window: WINDOW_MS }
/** More than the machine has, so that every key has a state of its own. */
const WITHOUT_BOUND = { maxMemory: '256gb' }

const bit = (index, place) => (index >> place) & 1

/** Keys that all have one sum under hashes that multiply by 31 and add: `Aa` and `BB` are the same to them. */
const sums = () => (index) =>
  `user:${Array.from({ length: 20 }, (_, place) => (bit(index, place) ? 'Aa' : 'BB')).join('')}`

/** Keys that have one FNV-1a in 32 bits: of 20 pairs of blocks either one leads to the same value. (Joux, "Multicollisions".) */
function fnv() {
  const step = (hash, text) => {
    for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
    return hash >>> 0
  }
  const pairs = []
  for (let hash = step(0x811c9dc5, 'user:'); pairs.length < 20;) {
    const seen = new Map()
    for (let turn = 0; ; turn += 1) {
      const block = turn.toString(36).padStart(6, '0')
      const next = step(hash, block)
      if (seen.has(next)) {
        pairs.push([seen.get(next), block])
        hash = next
        break
      }
      seen.set(next, block)
    }
  }
  return (index) => `user:${pairs.map((pair, place) => pair[bit(index, place)]).join('')}`
}

/** As long as either, and of letters that nobody has chosen. */
const random = (length) => () => {
  let key = 'user:'
  while (key.length < length) key += Math.random().toString(36).slice(2)
  return key.slice(0, length)
}

async function pace() {
  const limiter = new RateLimiter({ ...options, ...(kind === 'unbounded' ? WITHOUT_BOUND : {}) })
  const name = { sums, fnv, 'random-45': () => random(45), 'random-125': () => random(125) }[kind]?.()
  // What it costs to make such names is not the store's. Ten million at once would be too many.
  const names = name && Array.from({ length: count }, (_, index) => name(index))
  for (let index = 0; index < 10_000; index += 1) limiter.isAllowedSync(`warm-${index}`)
  const before = await settledOutsideOfHeap()
  const started = performance.now()
  for (let index = 0; index < count; index += 1) limiter.isAllowedSync(names ? names[index] : `flood-${index}`)
  const perSecond = count / ((performance.now() - started) / 1_000)
  return { perSecond, grownBytes: (await settledOutsideOfHeap()) - before, keys: limiter.stats().keys }
}

/**
 * So many made-up keys come in a window, each so many times, while honest keys call so often in it. The calls' own timestamps are
 * the clock, so the flood is as fast on every machine.
 */
function steady(keysAWindow, times, honestCalls) {
  const limiter = new RateLimiter({ ...options, clock: 'timestamps' })
  const start = Date.UTC(2026, 0, 1)
  const every = Math.floor(keysAWindow / (honestCalls * HONEST_KEYS))
  let [honest, refused, looks, resets] = [0, 0, 0, 0]
  const limited = []
  for (let index = 0; index < 2 * keysAWindow; index += 1) {
    const timestamp = start + Math.floor((index * WINDOW_MS) / keysAWindow)
    for (let time = 0; time < times; time += 1) {
      limiter.isAllowedSync(`flood-${Math.max(0, index - time * APART)}`, { timestamp })
    }
    if (index % every > 0) continue
    const turn = index / every
    honest += 1
    if (!limiter.isAllowedSync(`honest-${turn % HONEST_KEYS}`, { timestamp })) refused += 1
    // Whoever has spent its limit in a window must not have a unit more in it, wherever it stands.
    while (limited.length > 0 && limited[0].since + WINDOW_MS <= timestamp) limited.shift()
    for (let look = 0; look < 20 && look < limited.length; look += 1) {
      const one = limited[(turn * 7 + look * 13) % limited.length]
      looks += 1
      if (limiter.isAllowedSync(one.key, { timestamp })) one.spent += 1
      if (one.spent > LIMIT) resets += 1
    }
    const one = { key: `limited-${turn}`, since: timestamp, spent: 0 }
    for (let call = 0; call < 2 * LIMIT; call += 1) if (limiter.isAllowedSync(one.key, { timestamp })) one.spent += 1
    limited.push(one)
  }
  return { keysAWindow, times, honestCalls, honest, refused, looks, resets }
}

console.log(JSON.stringify(kind === 'steady' ? steady(count, ...process.argv.slice(4).map(Number)) : await pace()))
