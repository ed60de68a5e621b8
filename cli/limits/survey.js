// Goes through all keys of a prefix and looks at each: what a census is made of.
'use strict'

const { expiries } = require('../session.js')
const { globbed, pattern, placeOf } = require('./names.js')
const { scan } = require('./scan.js')

/** Keys that are looked at together: a few batches of the limiter, two of which travel at a time. */
const TOGETHER = 512

/**
 * Adds all keys to `census` that `which` means: `{ prefix, match, name, action, algorithm }`. Yields after each step how far it is:
 * `{ looked, total, isWhole }`. With `order: 'time'` each key is asked how long it lives, too.
 */
async function* survey({ redis, states }, census, { prefix, match, name, action, algorithm, order }) {
  const isMatch = match === undefined ? () => true : (text) => globbed(match).test(text)
  const place = name === undefined && action === undefined ? undefined : placeOf({ name, action })
  const isMeant = (parsed) =>
    (place === undefined || placeOf(parsed) === place) &&
    (algorithm === undefined || parsed.algorithm === algorithm) &&
    isMatch(parsed.key)
  for await (const { names, ...progress } of scan(redis, { prefix, pattern: pattern(prefix, { glob: match }) })) {
    const meant = names.filter(isMeant)
    for (let at = 0; at < meant.length; at += TOGETHER) {
      const some = meant.slice(at, at + TOGETHER)
      const [seen, left] = await Promise.all([
        Promise.all(some.map((each) => states.look(each))),
        order === 'time' ? expiries(redis, some) : [],
      ])
      for (const [index, each] of some.entries()) census.add(each, { ...seen[index], expiresInMs: left[index] })
    }
    yield progress
  }
}

module.exports = { survey }
