// What a command works with: the Redis that is meant and the states in it, closed when the command ends.
'use strict'

const { UsageError } = require('./failure.js')
const { redisOptions, secretOf } = require('./options.js')
const { ALGORITHMS, isNameOf, namesOf, pattern } = require('./limits/names.js')
const { scan } = require('./limits/scan.js')
const { States } = require('./limits/states.js')
const { Redis } = require('./redis/redis.js')
const { Progress } = require('./terminal/progress.js')

/** Opens the Redis that the options name: `{ redis, states, close }`. */
async function open(values) {
  const { urls, ...options } = redisOptions(values)
  if (urls.length === 0) {
    throw new UsageError('it must be said which Redis: set REDIS_URL, or give --redis-url redis://localhost:6379')
  }
  const redis = await Redis.open(urls, options)
  const states = new States(redis, options)
  const close = async () => {
    await states.close()
    redis.close()
  }
  return { redis, states, close }
}

/** Does `work` with them. */
async function withRedis(values, work) {
  const session = await open(values)
  try {
    return await work(session)
  } finally {
    await session.close()
  }
}

/** Which limit the options name: its place is known then, and nothing has to be searched for. */
function whichOf(values) {
  const { 'limit-name': name, action, algorithm, prefix } = values
  if (algorithm !== undefined && !ALGORITHMS.includes(algorithm)) {
    throw new UsageError(`--algorithm must be one of ${ALGORITHMS.join(', ')}, but '${algorithm}' was given`)
  }
  return { isNamed: name !== undefined || action !== undefined, name, action, algorithm, prefix }
}

/** The names of a key that are in Redis: those of the limit that is named, or of all limits, for which all keys are gone through. */
async function find(key, values, { redis }) {
  const { isNamed, ...which } = whichOf(values)
  const secret = secretOf(values)
  const { owner } = values
  if (isNamed) return existing(redis, namesOf(key, { ...which, owner, secret }))
  const progress = new Progress('Looking for the key')
  const found = new Map()
  try {
    for await (const { names, looked, total } of scan(redis, {
      ...which,
      pattern: pattern(which.prefix, { key, secret }),
    })) {
      for (const name of names) {
        if (!isNameOf(name, key, secret)) continue
        if (which.algorithm !== undefined && name.algorithm !== which.algorithm) continue
        if (owner !== undefined && name.owner !== owner) continue
        found.set(name.raw.toString('latin1'), name)
      }
      progress.show(looked, total, 'keys')
    }
  } finally {
    progress.end()
  }
  return [...found.values()]
}

async function existing(redis, names) {
  const exist = await Promise.all(names.map(({ raw }) => redis.callOn(raw, 'EXISTS', raw)))
  return names.filter((_, at) => exist[at] > 0)
}

/** For how long Redis keeps each of some keys, in milliseconds; undefined for one that does not expire or is gone. */
async function expiries(redis, names) {
  const left = await Promise.all(names.map(({ raw }) => redis.callOn(raw, 'PTTL', raw)))
  return left.map((ms) => (ms >= 0 ? ms : undefined))
}

/** Adds to each key of a census's lists for how long Redis keeps it. */
async function addExpiries(redis, { top, blocked }) {
  const entries = [...top, ...blocked]
  const left = await expiries(
    redis,
    entries.map(({ name }) => name),
  )
  for (const [at, entry] of entries.entries()) entry.expiresInMs = left[at]
}

/** How a limit is called. */
const shownLimit = ({ name, action }) => (action === undefined ? name : `${name} @ ${action}`)

module.exports = { addExpiries, expiries, find, open, shownLimit, whichOf, withRedis }
