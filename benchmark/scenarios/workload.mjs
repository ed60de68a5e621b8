/** The calls that every contestant makes: the same keys in the same order, in every round. */

export const KEYS = 10_000

// Callers above their limit exist in every real application, and a refusal is a path of its own in each library. One call in
// twenty goes to one of five busy keys, which pass 100 a minute early; all others are spread evenly over all keys.
const BUSY_KEYS = 5
const BUSY_SHARE = 1 / 20

/** Made before anything is timed: building strings is not what is compared. */
export function makeKeys(prefix) {
  return Array.from({ length: KEYS }, (_, index) => `${prefix}:${index}`)
}

/**
 * Which key each of `calls` calls asks for, as indices into {@link makeKeys}: of `hot` ones always the first, of `zipf` ones the
 * nth with a weight of 1/n.
 */
export function makeOrder(calls, spread = 'even') {
  const next = SPREADS[spread](seededRandom())
  return Uint16Array.from({ length: calls }, next)
}

const SPREADS = {
  hot: () => () => 0,

  even: (random) => () => {
    const among = random() < BUSY_SHARE ? BUSY_KEYS : KEYS
    return Math.floor(random() * among)
  },

  zipf(random) {
    let sum = 0
    const sums = Float64Array.from({ length: KEYS }, (_, index) => (sum += 1 / (index + 1)))
    return () => {
      const sought = random() * sum
      let [low, high] = [0, KEYS - 1]
      while (low < high) {
        const middle = (low + high) >> 1
        if (sums[middle] < sought) low = middle + 1
        else high = middle
      }
      return low
    }
  },
}

/** mulberry32: enough for an even spread, and the same numbers on every machine. */
function seededRandom(seed = 1) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
