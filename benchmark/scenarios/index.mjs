/** What is measured: the table of scenarios, and which contestants meet in each. */

import { CONTESTANTS } from '../contestants/index.mjs'
import { measureRaw } from '../raw.mjs'
import { measureInFlight } from './in-flight.mjs'
import { measureLoop } from './loop.mjs'

const perMinute = (limit) => ({ limit, windowMs: 60_000 })
const perHour = (limit) => ({ limit, windowMs: 3_600_000 })
const perDay = (limit) => ({ limit, windowMs: 86_400_000 })

/** What most of those on Redis have in common. */
const IN_FLIGHT = { store: 'redis', measure: measureInFlight, quick: { warmUpCalls: 10_000, calls: 30_000 } }
const MANY = { warmUpCalls: 50_000, calls: 200_000 }

/** A `quick` block replaces the sizes above it when only a short run is asked for. */
export const SCENARIOS = [
  {
    id: 'memory-allowed',
    title: 'Memory, each call awaited, all allowed',
    store: 'memory',
    measure: measureLoop,
    settings: { ...perMinute(1_000_000), admits: true, warmUpLaps: 20, laps: 100 },
    quick: { warmUpLaps: 5, laps: 10 },
  },
  {
    id: 'memory-denied',
    title: 'Memory, each call awaited, all denied',
    store: 'memory',
    measure: measureLoop,
    settings: { ...perHour(1), admits: false, warmUpLaps: 20, laps: 100 },
    quick: { warmUpLaps: 5, laps: 10 },
  },
  {
    id: 'redis-256',
    title: 'Redis, 256 calls in flight',
    ...IN_FLIGHT,
    settings: { ...perMinute(100), inFlight: 256, ...MANY },
  },
  {
    id: 'redis-hot',
    title: 'Redis, 1,024 calls in flight on one key, all allowed',
    ...IN_FLIGHT,
    settings: { ...perMinute(100_000_000), inFlight: 1_024, spread: 'hot', ...MANY },
  },
  {
    id: 'redis-zipf',
    title: 'Redis, 256 calls in flight, few keys much and many little, all allowed',
    ...IN_FLIGHT,
    settings: { ...perMinute(1_000_000), inFlight: 256, spread: 'zipf', ...MANY },
  },
  {
    id: 'redis-blocked',
    title: 'Redis, 256 calls in flight on one key, all denied',
    ...IN_FLIGHT,
    peers: ['rlf-ioredis', 'rlf-ioredis-block', 'rlf-node-redis', 'rate-limit-redis'],
    settings: { ...perHour(1), knowsRefusals: true, inFlight: 256, spread: 'hot', ...MANY },
  },
  {
    id: 'redis-three',
    title: 'Redis, 256 calls in flight, three limits a call',
    ...IN_FLIGHT,
    peers: ['rlf-union'],
    settings: {
      ...perMinute(100),
      others: [perHour(1_000), perDay(5_000)],
      inFlight: 256,
      warmUpCalls: 25_000,
      calls: 100_000,
    },
    quick: { warmUpCalls: 5_000, calls: 15_000 },
  },
  {
    id: 'redis-1',
    title: 'Redis, 1 call in flight',
    ...IN_FLIGHT,
    settings: { ...perMinute(100), inFlight: 1, warmUpCalls: 5_000, calls: 20_000 },
    quick: { warmUpCalls: 1_000, calls: 3_000 },
  },
  {
    id: 'redis-raw',
    title: 'The raw limit: redis-benchmark runs our script, 50 keys a call',
    store: 'redis',
    peers: [],
    measure: measureRaw,
    settings: { ...perMinute(100), scriptCalls: 20_000 },
    quick: { scriptCalls: 2_000 },
  },
]

export function findScenario(id) {
  return SCENARIOS.find((scenario) => scenario.id === id)
}

export function settingsOf(scenario, { quick }) {
  return { ...scenario.settings, ...(quick && scenario.quick) }
}

/** Ours, and those that the scenario names, or else all that are for its store and not `special`. */
export function contestantsOf({ store, peers }) {
  const isPeer = ({ id, special }) => (peers ? peers.includes(id) : !special)
  return CONTESTANTS.filter(
    (contestant) => contestant.stores.includes(store) && (contestant.ours || isPeer(contestant)),
  )
}
