// The policies that a fleet shares: shows them, publishes others, and tells of each change.
'use strict'

const { RateLimiter } = require('../../index.js')
const { contents, policiesKey } = require('../limits/documents.js')
const { INTERRUPTED, StoreError, UsageError } = require('../failure.js')
const { OUTPUT, REDIS, redisOptions, whole } = require('../options.js')
const { clientOn } = require('../redis/client.js')
const { withRedis } = require('../session.js')
const { printable, printableJson } = require('../terminal/text.js')

const DEEDS = { get, set, watch }

module.exports = {
  name: 'policies',
  arguments: ['get|set|watch'],
  optional: ['file'],
  summary: 'Shows the policies that a fleet shares, publishes those of a file, or tells of each change',
  description: [
    'They are those of limiters with policies: { shared: name }, or of the name default with policies: \'shared\'. "get" prints the document that is stored; "set" publishes a file of JSON, after the checks of a limiter; "watch" prints a line for what is stored and for each change.',
    'What is wrong with a document is said, and nothing is stored.',
  ],
  options: {
    name: { type: 'string', value: '<name>', default: 'default', help: 'Which policies. Default: default' },
    'if-version': {
      type: 'string',
      value: '<number>',
      help: 'With set: only if this is the present version, 0 for none',
    },
    count: { type: 'string', value: '<times>', help: 'With watch: ends after so many lines' },
    ...OUTPUT,
    ...REDIS,
  },
  examples: ['policies get', 'policies set limits.json --name api --if-version 7', 'policies watch --json'],
  async run(given) {
    const [deed, file] = given.positionals
    if (!Object.hasOwn(DEEDS, deed)) throw new UsageError('policies needs one of the words get, set and watch')
    if ((deed === 'set') !== (file !== undefined)) {
      throw new UsageError(deed === 'set' ? 'policies set needs a <file>' : `policies ${deed} takes no file`)
    }
    return DEEDS[deed](given)
  },
}

async function get(given) {
  return withLimiter(given, async ({ redis, key }) => {
    const fields = await redis.callOn(key, 'HMGET', key, 'version', 'document', 'at')
    const [version, document, at] = fields.map((field) => (field === null ? undefined : field.toString()))
    const { name, json } = given.values
    if (version === undefined || document === undefined) {
      throw new StoreError(`No policies of the name ${name} are stored`)
    }
    if (!json) return given.print(printableJson(parsed(document, 'what is stored'), 2))
    const publishedAt = at === undefined ? null : Number(at) / 1_000
    const stored = { name, version: Number(version), publishedAt, document: parsed(document, 'what is stored') }
    given.print(printableJson(stored, 2))
  })
}

async function set(given) {
  const [, file] = given.positionals
  const { name, json } = given.values
  const expected = given.values['if-version']
  const ifVersion = expected === undefined ? undefined : whole('if-version', expected, 0, Number.MAX_SAFE_INTEGER)
  const document = parsed(contents(file), `the file ${printable(file)}`)
  return withLimiter(given, async ({ limiter }) => {
    const { version } = await limiter.publishPolicies(document, { ifVersion })
    given.print(json ? printableJson({ name, version }, 2) : `Published version ${version} of the policies ${name}.`)
  })
}

async function watch(given) {
  const { count, json, name } = given.values
  const times = count === undefined ? Infinity : whole('count', count, 1, 1e9)
  return withLimiter(given, async ({ limiter }) => {
    let lines = 0
    let end
    const over = new Promise((resolve) => (end = resolve))
    const say = (line) => {
      given.print(json ? printableJson(line) : shown(line))
      if ((lines += 1) >= times) end()
    }
    limiter.on('policies', () => say({ name, ...limiter.sharedPolicies() }))
    limiter.on('policiesInvalid', ({ message }) => say({ name, invalid: message }))
    const interrupt = () => end(INTERRUPTED)
    process.once('SIGINT', interrupt)
    // A limiter keeps no process alive.
    const alive = setInterval(() => {}, 60_000)
    try {
      await limiter.ready({ timeout: given.values.timeout })
      return await over
    } finally {
      clearInterval(alive)
      process.off('SIGINT', interrupt)
    }
  })
}

const shown = ({ version, document, publishedAt, invalid }) =>
  invalid === undefined
    ? `${new Date(publishedAt).toISOString()}  version ${version}  ${printableJson(document)}`
    : `${new Date().toISOString()}  ${printable(invalid)}`

/** Does `work` with a limiter that shares the policies which are meant, over the tool's own connections. */
function withLimiter({ values }, work) {
  const { name, prefix } = values
  return withRedis(values, async ({ redis }) => {
    const redisClient = clientOn(redis)
    const own = { prefix, redisClient, timeout: redisOptions(values).timeout, policies: { shared: name } }
    const limiter = limiterOf({ limit: 1, window: '1s', ...own })
    try {
      return await work({ limiter, redis, key: policiesKey(prefix, name) })
    } finally {
      await limiter.close()
    }
  })
}

function limiterOf(options) {
  try {
    return new RateLimiter(options)
  } catch (error) {
    throw new UsageError(error.message.replace('`policies.shared`', '--name'))
  }
}

function parsed(text, what) {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new StoreError(`${what[0].toUpperCase()}${what.slice(1)} is no JSON: ${printable(error.message)}`)
  }
}
