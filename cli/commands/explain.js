// Why a call on one key would be decided as it would: which limits it has, who has said so, and how each of them stands.
'use strict'

const { UsageError } = require('../failure.js')
const { explainedTable } = require('../limits/explained-table.js')
const { SOURCES, sourceOf } = require('../limits/sources.js')
const { limiterOf, NUMBERS, OUTPUT, REDIS, refuse, secretOf, WHICH, WHOSE } = require('../options.js')
const { clientOn } = require('../redis/client.js')
const { withRedis } = require('../session.js')
const { pad, printable, printableJson, time } = require('../terminal/text.js')

/** What is wrong with a call, and not with a store. */
const WRONG_CALL = /^ERR_RATE_LIMIT_(OPTION|COST|UNSUPPORTED)$/

module.exports = {
  name: 'explain',
  arguments: [],
  optional: ['key'],
  summary: 'Says which limits a call on a key has, who has said so, and what the call would be told',
  description: [
    'The limits of your application are not in Redis, so say where they are: --policies names its file, --shared takes what its fleet shares, --limit and --window are the numbers of one limit, with --action of that action. A file that leaves the limit to the application needs both.',
    'A key of several fields is given by --field, once for each. It is a limiter that answers, as in your application, by a look that takes nothing; what limits give way under load is known to each process alone.',
  ],
  options: {
    ...SOURCES,
    action: { ...WHICH.action, help: 'A call of this action' },
    cost: { type: 'string', value: '<units>', help: 'A call of so many units. Default: 1' },
    field: { type: 'string', multiple: true, value: '<name=value>', help: 'A field of the key' },
    algorithm: { ...WHICH.algorithm, help: 'The algorithm of the limit' },
    ...NUMBERS,
    'hash-tag': { type: 'string', value: '<true|field>', help: "The limiter's hashTag" },
    'hash-keys-env': WHOSE['hash-keys-env'],
    ...OUTPUT,
    ...REDIS,
  },
  examples: [
    'explain alice --policies limits.yaml --action upload',
    'explain alice --shared --name api --json',
    'explain --field address=192.0.2.1 --field account=alice --policies limits.yaml',
    'explain alice --limit 100 --window 1m --cost 5',
  ],
  run,
}

async function run({ values, positionals: [text], stdout, style, print }) {
  const key = keyOf(text, values.field)
  const source = sourceOf(values)
  const secret = secretOf(values)
  return withRedis(values, async ({ redis }) => {
    const { options, policies } = await source(redis)
    const explanation = await explained(key, values, { ...options, ...ownOf(values, secret, redis) })
    const ahead = await redis.ahead()
    const shown = { key, redis: redis.at, policies, ...inRedis(explanation, Date.now() + ahead) }
    if (values.json) return print(printableJson(shown, 2))
    print(inWords(shown, values, { style, width: stdout.columns ?? Infinity }))
  })
}

/** The key as a limiter takes it: a text, or its fields. */
function keyOf(text, fields) {
  if ((text === undefined) === (fields === undefined)) {
    throw new UsageError('explain needs a <key>, or each of its fields by --field name=value')
  }
  if (fields === undefined) return text
  const each = fields.map((field) => {
    const at = field.indexOf('=')
    if (at < 1) throw new UsageError(`--field must be name=value, but '${field}' was given`)
    return [field.slice(0, at), field.slice(at + 1)]
  })
  return Object.fromEntries(each)
}

/** What is the tool's own of a limiter. */
function ownOf({ prefix, timeout, 'hash-tag': tag }, secret, redis) {
  return {
    ...{ prefix, timeout, redisClient: clientOn(redis), onStoreError: 'throw' },
    ...(secret !== undefined && { hashKeys: secret }),
    ...(tag !== undefined && { hashTag: tag === 'true' ? true : tag }),
  }
}

async function explained(key, { action, cost }, options) {
  const limiter = limiterOf(options)
  try {
    const units = /^\d+$/.test(cost ?? '') ? Number(cost) : cost
    return await limiter.explain(key, {
      ...(action !== undefined && { action }),
      ...(cost !== undefined && { cost: units }),
    })
  } catch (error) {
    if (error.code === 'ERR_RATE_LIMIT_KEY') throw new UsageError(`${error.message}; fields are given by --field`)
    if (!WRONG_CALL.test(error.code)) throw error
    return refuse(error)
  } finally {
    await limiter.close()
  }
}

/** What it says of the fleet and of Redis. Who has asked and what load it is under is this process's own affair. */
function inRedis({ allowed, retryAfterMs, reason, from, pattern, limits }, now) {
  const each = limits.map((limit) =>
    limit.resetAt === undefined ? limit : { ...limit, fullInMs: Math.max(0, Math.ceil(limit.resetAt - now)) },
  )
  return { allowed, retryAfterMs, reason, from, pattern, limits: each }
}

const LABEL = 14

function inWords(shown, { action }, { style, width }) {
  const { key, redis, policies, allowed, retryAfterMs, from, limits } = shown
  const row = (label, text) => `  ${style.dim(pad(label, LABEL))}${text}`
  const words =
    typeof key === 'string'
      ? key
      : Object.entries(key)
          .map((pair) => pair.join(' = '))
          .join(', ')
  const isListed = from.endsWith('-list')
  const verdict = allowed
    ? style.green('is allowed')
    : style.red(isListed ? 'is refused' : `is refused, for ${time(retryAfterMs)} more`)
  return [
    `${style.bold(printable(words))} in ${redis}`,
    '',
    row('a call now', verdict),
    row('by', `${reasonOf(shown, action)}, ${placeOf(policies)}`),
    // Whoever is on a list is not counted, whatever the limits are.
    ...(isListed ? [] : ['', ...explainedTable(limits, { style, width })]),
  ]
}

/** Who has said which limits it has. */
function reasonOf({ from, pattern, limits: [{ action }] }, asked) {
  const quoted = (text) => `'${printable(text)}'`
  if (from === 'action') return `the limit of the action ${quoted(action)}`
  if (from === 'override') return `the override of ${quoted(pattern)}`
  if (from === 'allow-list') return `the list of those who are never counted, as ${quoted(pattern)}`
  if (from === 'deny-list') return `the list of those who are always refused, as ${quoted(pattern)}`
  return asked === undefined ? 'the default' : `the default, since the action ${quoted(asked)} has no limit of its own`
}

function placeOf({ file, shared, version } = {}) {
  if (file !== undefined) return `in ${printable(file)}`
  return shared === undefined ? 'as given here' : `in version ${version} of the policies ${shared}`
}
