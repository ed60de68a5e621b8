// All keys of a prefix, by SCAN: a few hundred a step, so that nobody else waits for long.
'use strict'

const { parseName } = require('./names.js')

const COUNT = 500

/**
 * Names in lists, as they are found: `{ names, looked, total, isWhole }`. `looked` of about `total` keys of all masters have been
 * gone through, which is undefined where the user may not ask how many there are. A key may come twice, if Redis moves it meanwhile.
 */
async function* scan(redis, { prefix, pattern, count = COUNT }) {
  const masters = await redis.masters()
  const total = await sizeOf(masters)
  let looked = 0
  for (const [index, master] of masters.entries()) {
    let cursor = '0'
    do {
      const [next, found] = await master.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', count)
      cursor = String(next)
      looked += count
      const names = found.map((raw) => parseName(raw, prefix)).filter(Boolean)
      const isWhole = cursor === '0' && index === masters.length - 1
      yield { names, looked: total === undefined ? looked : Math.min(looked, total), total, isWhole }
    } while (cursor !== '0')
  }
}

async function sizeOf(masters) {
  try {
    const sizes = await Promise.all(masters.map((master) => master.call('DBSIZE')))
    return sizes.reduce((sum, size) => sum + size, 0)
  } catch (error) {
    if (error.kind === 'NOPERM') return undefined
    throw error
  }
}

module.exports = { scan }
