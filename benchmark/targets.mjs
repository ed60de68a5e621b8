/** What this project promises of its own speed, line by line as it was promised, and whether this run kept it. */

import { bestPeer, ratio } from './comparison.mjs'

const BOTH = ['ours-sliding-window', 'ours-token-bucket']
const LEASES = ['ours-lease-sliding-window', 'ours-lease-token-bucket']

/** The best of all peers in the figure that is compared. */
const BEST_PEER = () => true
const oneOf =
  (...ids) =>
  ({ id }) =>
    ids.includes(id)

/** More is better: ours over theirs. */
const rate = { field: 'callsPerSecond', best: Math.max }
/** Less is better: ours over theirs. */
const cost = (field) => ({ field, best: Math.min })
/** Less is better, told as how many times faster: theirs over ours. */
const speed = { field: 'nsPerCall', best: Math.min, inverse: true }

/**
 * `name` and `bound` are the words of the promise. A check compares each of `ours` (both main algorithms where nothing else is
 * said) with the best of `peers` in one scenario, or with whom it stands `beside`; all checks of a line have to be kept. One
 * without a bound is told and keeps nothing.
 */
const LINES = [
  {
    name: 'memory, awaited `isAllowed`, 10,000 keys',
    bound: "allowed 2.7 ×, denied 9 × rate-limiter-flexible's memory limiter, in the same loop",
    checks: [
      { says: 'allowed', scenario: 'memory-allowed', peers: oneOf('rlf-memory'), ...speed, atLeast: 2.7 },
      { says: 'denied', scenario: 'memory-denied', peers: oneOf('rlf-memory'), ...speed, atLeast: 9 },
    ],
  },
  {
    name: 'Redis, 10,000 keys, 256 in flight',
    bound:
      '3 × best peer, both main algorithms; ≥ 85 % of what `redis-benchmark` gets from the same script; ' +
      "≤ 1/8 of the best peer's CPU a call",
    checks: [
      { says: 'calls/s', scenario: 'redis-256', peers: BEST_PEER, ...rate, atLeast: 3 },
      {
        says: 'of redis-benchmark',
        scenario: 'redis-256',
        beside: (id) => id.replace('ours-', 'raw-'),
        ...rate,
        atLeast: 0.85,
      },
      { says: 'CPU a call', scenario: 'redis-256', peers: BEST_PEER, ...cost('cpuUsPerCall'), atMost: 1 / 8 },
    ],
  },
  {
    name: 'Redis, hot key, 1,024 in flight, exact',
    bound: '10 × best peer',
    checks: [{ says: 'calls/s', scenario: 'redis-hot', peers: BEST_PEER, ...rate, atLeast: 10 }],
  },
  {
    name: 'Redis, blocked key',
    bound: '20 × rate-limiter-flexible without, and 3 × with, its in-memory block',
    checks: [
      {
        says: 'without',
        scenario: 'redis-blocked',
        peers: oneOf('rlf-ioredis', 'rlf-ioredis-auto', 'rlf-node-redis', 'rlf-glide'),
        ...rate,
        atLeast: 20,
      },
      { says: 'with', scenario: 'redis-blocked', peers: oneOf('rlf-ioredis-block'), ...rate, atLeast: 3 },
    ],
  },
  {
    name: 'leases, 4 processes, hot key',
    bound: '40 × best peer, zero over',
    checks: [
      { says: 'calls/s', scenario: 'leases', ours: LEASES, peers: BEST_PEER, ...rate, atLeast: 40 },
      { says: 'over', scenario: 'leases', ours: LEASES, field: 'over', atMost: 0 },
    ],
  },
  {
    name: 'multi-limit of 3',
    bound: '6 × the union of 3',
    checks: [{ says: 'calls/s', scenario: 'redis-three', peers: BEST_PEER, ...rate, atLeast: 6 }],
  },
  {
    name: 'one in flight',
    bound: 'p50 ≤ 0.9 × and CPU a call ≤ 0.7 × the best peer',
    checks: [
      { says: 'p50', scenario: 'redis-1', peers: BEST_PEER, ...cost('p50Us'), atMost: 0.9 },
      { says: 'CPU a call', scenario: 'redis-1', peers: BEST_PEER, ...cost('cpuUsPerCall'), atMost: 0.7 },
    ],
  },
  {
    name: '5,000 calls/s, evenly spaced, 4 processes',
    bound: 'CPU of the node processes ≤ 0.7 × the best peer',
    checks: [
      { says: 'CPU', scenario: 'redis-paced', peers: BEST_PEER, ...cost('cpuUsPerCall'), atMost: 0.7 },
      // No promise, but what the limiters themselves take.
      {
        says: 'less what it is with no limiter',
        scenario: 'redis-paced',
        peers: BEST_PEER,
        ...cost('cpuUsPerCall'),
        less: 'none',
      },
    ],
  },
  {
    name: 'shared memory, 2 processes',
    bound: "100 × rate-limiter-flexible's cluster limiter",
    checks: [{ says: 'calls/s', scenario: 'shared', peers: BEST_PEER, ...rate, atLeast: 100 }],
  },
  {
    name: 'Fastify end to end with Redis',
    bound: '≥ 85 % of the rate with no limiter at all, at 100 connections',
    checks: [
      {
        says: 'requests/s',
        scenario: 'http-fastify',
        ours: ['fastify-ours'],
        beside: () => 'fastify-none',
        ...rate,
        atLeast: 0.85,
      },
    ],
  },
  {
    name: 'Redis bytes a key',
    bound: '≤ 1/5 of a sorted-set log at limit 100',
    checks: [{ says: 'window full', bytes: 'fullBytes', atMost: 1 / 5 }],
  },
]

/**
 * Every line, whatever was measured. Of each of its checks what was `reached`: of each contestant of ours the multiple, and of
 * which peer. A line is `kept` when all of it was measured and kept, and `null` when some of it was not measured and the rest
 * was kept.
 */
export function judgeTargets({ scenarios, bytes = [] }) {
  return LINES.map(({ name, bound, checks }) => {
    const judged = checks.map((check) => judge(check, { scenarios, bytes }))
    const verdicts = judged.flatMap(({ reached }) => reached.map(({ kept }) => kept))
    const kept = verdicts.includes(false) ? false : verdicts.includes(null) ? null : true
    return { name, bound, kept, checks: judged }
  })
}

function judge({ says, ours = BOTH, atLeast, atMost, ...check }, measured) {
  const reached = ours.map((id) => {
    const { value, peer } = measuredOf(check, id, measured)
    return { id, peer, value, kept: value === null ? null : isKept(value, { atLeast, atMost }) }
  })
  return { says, ...(atLeast !== undefined && { atLeast }), ...(atMost !== undefined && { atMost }), reached }
}

const NOT_MEASURED = { value: null, peer: null }

function measuredOf({ scenario: scenarioId, bytes: field, peers, beside, less, ...figure }, id, { scenarios, bytes }) {
  if (field !== undefined) return bytesOf(field, id, bytes)
  const scenario = scenarios.find((candidate) => candidate.id === scenarioId)
  const ours = scenario?.contestants.find((contestant) => contestant.id === id)
  if (!ours?.medians) return NOT_MEASURED
  // What is no comparison is judged by its worst round.
  if (!peers && !beside) return { value: Math.max(...ours.rounds.map((round) => round[figure.field])), peer: null }
  const find = (id) => scenario.contestants.find((contestant) => contestant.id === id && contestant.medians)
  const theirs = beside
    ? find(beside(id))
    : bestPeer({ contestants: scenario.contestants.filter(peers) }, figure.field, figure.best)
  if (!theirs || (less && !find(less))) return NOT_MEASURED
  const [above, below] = figure.inverse ? [theirs, ours] : [ours, theirs]
  const value = ratio(above, below, figure.field, { less: less && find(less) })
  return { value, peer: theirs.id }
}

function bytesOf(field, id, bytes) {
  const of = (id) => bytes.find((one) => one.id === id)?.[field]
  const [ours, log] = [of(id), of('sorted-set-log')]
  return ours && log ? { value: ours / log, peer: 'sorted-set-log' } : NOT_MEASURED
}

function isKept(value, { atLeast = -Infinity, atMost = Infinity }) {
  return value >= atLeast && value <= atMost
}
