/** What is measured: the table of scenarios, who meets in each, and how each is measured. */

import * as raw from '../raw.mjs'
import * as http from './http.mjs'
import * as inFlight from './in-flight.mjs'
import * as leases from './leases.mjs'
import * as loop from './loop.mjs'
import * as paced from './paced.mjs'

const OURS = ['ours-sliding-window', 'ours-token-bucket']
/** On Redis, each at its best; two also as their documentation begins, since to pipeline by itself costs a lone call. */
const PEERS = [
  'rlf-ioredis',
  'rlf-ioredis-block',
  'rlf-node-redis',
  'rlf-glide',
  'rate-limit-redis',
  'rate-limit-redis-auto',
]

const perMinute = (limit) => ({ limit, windowMs: 60_000 })
const perHour = (limit) => ({ limit, windowMs: 3_600_000 })
const perDay = (limit) => ({ limit, windowMs: 86_400_000 })
const OUT_OF_REACH = perMinute(100_000_000)

/** How long a round is: `slices` of a contestant, between which all others have theirs. */
const TIMES = { warmUpMs: 600, sliceMs: 350, slices: 4 }
const LONGER = { warmUpMs: 1_000, sliceMs: 1_000, slices: 3 }
/** Instead of these where only a short run is asked for. */
const QUICK = { warmUpMs: 100, sliceMs: 100, slices: 1 }

/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} title
 * @property {object} kind How it is measured: a module with `open`, which runs in the contestant's processes, `figures`, which
 *   makes a round's figures of its slices, and where the processes are not simply asked for a slice `conduct`, and
 *   `check` where something is to be found out after each.
 * @property {string[]} contestants
 * @property {boolean} [onRedis]
 * @property {number} [processes] Of each contestant; 1 by default.
 * @property {string} [baseline] With whom the others are compared, where that is not the best peer.
 * @property {object} settings What `open` gets.
 * @property {object} [quick] Replaces some of them in a short run.
 */

/** A load takes a whole second at least. */
const NO_WARM_UP = { warmUpMs: 0 }

/** @type {Scenario[]} */
export const SCENARIOS = [
  {
    id: 'memory-allowed',
    title: 'Memory, each call awaited, all allowed',
    kind: loop,
    contestants: [...OURS, 'rlf-memory'],
    settings: { ...perMinute(1_000_000), admits: true, ...TIMES },
  },
  {
    id: 'memory-denied',
    title: 'Memory, each call awaited, all denied',
    kind: loop,
    contestants: [...OURS, 'rlf-memory'],
    settings: { ...perHour(1), admits: false, ...TIMES },
  },
  {
    id: 'redis-256',
    title: 'Redis, 10,000 keys, 256 calls in flight',
    kind: inFlight,
    onRedis: true,
    contestants: [...OURS, 'ours-thread', ...PEERS, 'raw-sliding-window', 'raw-token-bucket'],
    settings: { ...perMinute(100), inFlight: 256, ...TIMES },
  },
  {
    id: 'redis-hot',
    title: 'Redis, one key, 1,024 calls in flight, all allowed',
    kind: inFlight,
    onRedis: true,
    contestants: [...OURS, 'ours-thread', ...PEERS],
    settings: { ...OUT_OF_REACH, inFlight: 1_024, spread: 'hot', ...TIMES },
  },
  {
    id: 'redis-zipf',
    title: 'Redis, few keys much and many little, 256 calls in flight, all allowed',
    kind: inFlight,
    onRedis: true,
    contestants: [...OURS, ...PEERS],
    settings: { ...OUT_OF_REACH, inFlight: 256, spread: 'zipf', ...TIMES },
  },
  {
    id: 'redis-blocked',
    title: 'Redis, one key, 256 calls in flight, all denied',
    kind: inFlight,
    onRedis: true,
    contestants: [...OURS, ...PEERS, 'rlf-ioredis-auto'],
    settings: { ...perHour(1), knowsRefusals: true, inFlight: 256, spread: 'hot', ...TIMES },
  },
  {
    id: 'redis-three',
    title: 'Redis, three limits a call, 256 calls in flight',
    kind: inFlight,
    onRedis: true,
    contestants: [...OURS, 'rlf-ioredis', 'rlf-ioredis-block', 'rlf-node-redis', 'rlf-glide'],
    settings: { ...perMinute(100), others: [perHour(1_000), perDay(5_000)], inFlight: 256, ...TIMES },
  },
  {
    id: 'redis-1',
    title: 'Redis, one call in flight',
    kind: inFlight,
    onRedis: true,
    contestants: [...OURS, 'ours-thread', ...PEERS],
    settings: { ...perMinute(100), inFlight: 1, ...TIMES },
  },
  {
    id: 'redis-4-even',
    title: 'Redis, 4 processes, 10,000 keys, 256 calls in flight in each',
    kind: inFlight,
    onRedis: true,
    processes: 4,
    contestants: [...OURS, 'ours-thread', ...PEERS],
    settings: { ...perMinute(100), inFlight: 256, ...TIMES },
  },
  {
    id: 'redis-4-hot',
    title: 'Redis, 4 processes, one key, 256 calls in flight in each, all allowed',
    kind: inFlight,
    onRedis: true,
    processes: 4,
    contestants: [...OURS, ...PEERS],
    settings: { ...OUT_OF_REACH, inFlight: 256, spread: 'hot', ...TIMES },
  },
  {
    id: 'leases',
    title: 'Redis, 4 processes, one key, leases of up to 10,000 units for 200 ms',
    kind: leases,
    onRedis: true,
    processes: 4,
    contestants: ['ours-lease-sliding-window', 'ours-lease-token-bucket', ...OURS, ...PEERS],
    settings: {
      ...OUT_OF_REACH,
      inFlight: 256,
      // A second limiter on which all processes press, long enough for its window to pass.
      checked: { limit: 2_000, windowMs: 250, inFlight: 64, durationMs: 700 },
      ...TIMES,
    },
  },
  {
    id: 'redis-paced',
    title: 'Redis, 4 processes, 5,000 calls/s evenly spaced',
    kind: paced,
    onRedis: true,
    processes: 4,
    contestants: [...OURS, 'ours-thread', ...PEERS, 'none'],
    settings: { ...perMinute(100), perSecond: 5_000, ...LONGER },
  },
  {
    id: 'http-express',
    title: 'Express end to end, 100 connections',
    kind: http,
    onRedis: true,
    contestants: ['express-none', 'express-ours', 'express-rate-limit'],
    baseline: 'express-none',
    settings: { ...OUT_OF_REACH, connections: 100, ...LONGER },
    quick: NO_WARM_UP,
  },
  {
    id: 'http-fastify',
    title: 'Fastify end to end, 100 connections',
    kind: http,
    onRedis: true,
    contestants: ['fastify-none', 'fastify-ours', 'fastify-rate-limit'],
    baseline: 'fastify-none',
    settings: { ...OUT_OF_REACH, connections: 100, ...LONGER },
    quick: NO_WARM_UP,
  },
]

export function findScenario(id) {
  return SCENARIOS.find((scenario) => scenario.id === id)
}

export function settingsOf(scenario, { quick }) {
  return { ...scenario.settings, ...(quick && { ...QUICK, ...scenario.quick }) }
}

/** Of a contestant in a scenario: redis-benchmark stands beside limiters, and is measured in its own way. */
export function kindOf(scenario, { id }) {
  return id.startsWith('raw-') ? raw : scenario.kind
}
