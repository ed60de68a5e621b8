// What reset, block and unblock have in common: they change a key under all limits that count it, or under one.
'use strict'

const { UsageError } = require('./failure.js')
const { OUTPUT, REDIS, secretOf, WHICH, WHOSE } = require('./options.js')
const { namesOf } = require('./limits/names.js')
const { find, shownLimit, whichOf, withRedis } = require('./session.js')
const { printable, printableJson } = require('./terminal/text.js')

const OPTIONS = { ...WHICH, ...WHOSE, ...OUTPUT, ...REDIS }

const WHERE =
  'It is done under every limit that counts the key, for which all keys of the prefix are gone through by SCAN; or under the one that --limit-name and --action name.'
const TOLD =
  'Processes that know a refusal of the key, or hold units that were leased of it, are told at once, as if your application had done it.'

/**
 * Changes a key: `change(states, name)` for each of its names, and `done(limits)` is what to say then. `mayBeNew` where the key need not
 * be stored yet.
 */
async function changeKey({ values, positionals: [key], print }, { change, done, mayBeNew = false }) {
  return withRedis(values, async (session) => {
    const names = await find(key, values, session)
    if (names.length === 0 && mayBeNew) names.push(newName(key, values))
    for (const name of names) await change(session.states, name)
    const limits = names.map(({ raw, name, action, algorithm, owner }) => ({
      ...{ name, action, algorithm, owner },
      redisKey: raw.toString(),
    }))
    if (values.json) return print(printableJson({ key, redis: session.redis.at, limits }, 2))
    const shown = limits.map(({ name, action, owner }) => {
      const limit = shownLimit({ name, action: action && printable(action) })
      return owner === undefined ? limit : `${limit} of ${printable(owner)}`
    })
    print(
      limits.length === 0
        ? `Nothing is counted of ${printable(key)}: there was nothing to do.`
        : done(printable(key), shown.join(', ')),
    )
  })
}

/** The name of a key of which nothing is stored: only who knows its limit and algorithm knows it. */
function newName(key, values) {
  const { isNamed, ...which } = whichOf(values)
  if (!isNamed || which.algorithm === undefined) {
    throw new UsageError(
      `nothing is counted of ${printable(key)} yet, so it must be said under which limit: --limit-name (default, where it has no name) and --algorithm`,
    )
  }
  return namesOf(key, { ...which, owner: values.owner, secret: secretOf(values) })[0]
}

module.exports = { changeKey, OPTIONS, TOLD, WHERE }
