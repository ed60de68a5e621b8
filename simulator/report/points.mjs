/** The worlds of a report. */

export const MODES = ['strict', 'merged', 'known', 'leased']
export const ALGORITHMS = ['sliding-window', 'token-bucket']

/** Of each scale: what its calls are spread over. Limits are units a second. */
const SCALES = [
  { id: '100,000/s', rate: 1e5, gateways: 10, keys: 1e4, nodes: 4 },
  { id: '1,000,000/s', rate: 1e6, gateways: 100, keys: 1e6, nodes: 32 },
  { id: '5,000,000/s', rate: 5e6, gateways: 250, keys: 1e7, nodes: 64 },
  { id: '10,000,000/s', rate: 1e7, gateways: 1000, keys: 1e8, nodes: 64 },
]

/** What callers are like: who is asked for how often, and what they may. */
const CALLERS = [
  { who: 'few far over their limits', exponent: 1, limit: 100 },
  {
    who: 'few very busy, within high limits',
    exponent: 1,
    limit: 100_000_000,
    windowUs: 10_000_000,
    leaseMax: 10_000,
    leaseUs: 200_000,
  },
  { who: 'all alike', exponent: 0, limit: 100 },
]

/** Nodes that are never too slow: what calls cost is counted, and how many nodes that takes is what is asked. */
const SPEED = 1_000

/** Measured while so many calls come: the rest is more of the same. Where nobody is refused there is no window to wait for. */
function lengths(rate, limit, exponent, calls) {
  const isFar = exponent === 0 || limit > rate
  return { warmS: isFar ? 0.5 : 1, seconds: Math.min(1, calls / rate) }
}

export function scalePoints(long) {
  const calls = long ? 10e6 : 5e5
  return SCALES.flatMap(({ id, ...scale }) =>
    CALLERS.flatMap(({ who, ...callers }) => {
      const { rate } = scale
      const length = lengths(rate, callers.limit, callers.exponent, calls)
      return MODES.map((mode) => ({ id, who, world: { ...scale, ...callers, mode, speed: SPEED, ...length } }))
    }),
  )
}

/** How long a call takes by how busy the nodes are: all keys alike, so that all nodes are. */
export function latencyPoints(long) {
  const nodes = 8
  const most = (nodes * 1e9) / 20_578
  return [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95].map((part) => {
    const rate = Math.round(most * part)
    const world = { rate, gateways: 100, keys: 1e6, exponent: 0, limit: 100, nodes, mode: 'known', warmS: 0.5 }
    return { part, world: { ...world, seconds: long ? 5 : 0.5 } }
  })
}

/** How calls come that ask for more than the limit. */
const SHAPES = [
  { shape: 'steady', over: 1.2, words: 'steady, 1.2 times the limit', bound: 0.02 },
  { shape: 'steady', over: 2, words: 'steady, twice the limit', bound: 0.02 },
  { shape: 'steady', over: 5, words: 'steady, five times the limit', bound: 0.02 },
  {
    shape: 'wandering',
    over: 2,
    periodUs: 100_000,
    oneIn: 16,
    words: 'all at one process at a time, for 100 ms',
    bound: 0.1,
  },
  {
    shape: 'wandering',
    over: 2,
    periodUs: 1_000_000,
    oneIn: 8,
    words: 'all at two processes at a time, for 1 s',
    bound: 0.1,
  },
  {
    shape: 'together',
    over: 2,
    periodUs: 1_000_000,
    oneIn: 4,
    words: 'everywhere, for a quarter of each second',
    bound: 0.1,
  },
  {
    shape: 'together',
    over: 2,
    periodUs: 100_000,
    oneIn: 4,
    words: 'everywhere, for a quarter of each 100 ms',
    bound: 0.1,
  },
]

/** 16 processes, one key, leases of a fiftieth of the window; and the same without leases, which is what the slots take. */
export function usePoints(long) {
  const windowUs = 10_000_000
  const limits = long ? [1_000, 10_000, 100_000] : [1_000, 10_000]
  return ALGORITHMS.flatMap((algorithm) =>
    limits.flatMap((limit) =>
      SHAPES.flatMap(({ over, words, bound, ...shape }) =>
        ['known', 'leased'].map((mode) => ({
          words,
          bound,
          world: {
            ...{
              algorithm,
              limit,
              ...shape,
              mode,
              windowUs,
              leaseUs: windowUs / 50,
              leaseMax: 1_000,
              gateways: 16,
              keys: 1,
            },
            ...{ rate: (limit * over * 1e6) / windowUs, warmS: 70, seconds: long ? 500 : 110, nodes: 1 },
          },
        })),
      ),
    ),
  )
}
