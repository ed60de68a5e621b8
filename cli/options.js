// The options of the command line: which there are, and what they say. Durations, limits and algorithms are judged by the limiter itself.
'use strict'

const { readFileSync } = require('node:fs')
const { parseArgs } = require('node:util')
const { RateLimiter } = require('../index.js')
const { toMilliseconds } = require('../lib/duration.js')
const { UsageError } = require('./failure.js')
const { CONCURRENCY } = require('./limits/names.js')

/** Those of every command that asks a Redis. */
const REDIS = {
  'redis-url': {
    type: 'string',
    multiple: true,
    value: '<url>',
    help: 'Which Redis: redis://, rediss://, unix://. Default: the environment variable REDIS_URL, where others cannot read a password. Of a cluster several may be named',
  },
  cluster: { type: 'boolean', help: 'It is a Redis Cluster. Default: it is asked' },
  prefix: { type: 'string', value: '<text>', default: 'rl', help: "The limiter's prefix. Default: rl" },
  timeout: { type: 'string', value: '<time>', default: '5s', help: 'How long an answer may take. Default: 5s' },
  ca: { type: 'string', value: '<file>', help: 'TLS: the authority that is believed, as PEM' },
  cert: { type: 'string', value: '<file>', help: "TLS: this side's certificate, as PEM" },
  key: { type: 'string', value: '<file>', help: 'TLS: its private key, as PEM' },
  'server-name': { type: 'string', value: '<name>', help: "TLS: the name in the server's certificate" },
}

/** Those that say which limit is meant. */
const WHICH = {
  'limit-name': { type: 'string', value: '<name>', help: 'The limit of this name' },
  action: { type: 'string', value: '<action>', help: 'What is counted of this action' },
  algorithm: { type: 'string', value: '<name>', help: 'Only what is counted by this algorithm' },
}

/** Those that say how one key is called in Redis. */
const WHOSE = {
  owner: { type: 'string', value: '<text>', help: "With hashTag: 'field': what the key has there, such as its tenant" },
  'hash-keys-env': {
    type: 'string',
    value: '<name>',
    help: 'With hashKeys: the environment variable that holds the secret',
  },
}

/** The numbers of a limit. */
const NUMBERS = {
  limit: { type: 'string', value: '<units>', help: 'The limit' },
  window: { type: 'string', value: '<time>', help: 'Its window, such as 1m' },
  calendar: { type: 'string', value: '<period>', help: 'In place of a window: day, week or month' },
  'time-zone': { type: 'string', value: '<name>', help: "Of the calendar, such as 'Europe/Paris'. Default: UTC" },
  'week-start': { type: 'string', value: '<day>', help: "Of the calendar's weeks: monday (default) or sunday" },
  burst: { type: 'string', value: '<units>', help: 'Its burst: units, or units/window for a windowed algorithm' },
  resolution: { type: 'string', value: '<slots>', help: 'Its resolution' },
  align: { type: 'boolean', help: 'Its windows begin at multiples of their length' },
}

const OUTPUT = {
  json: { type: 'boolean', help: 'Prints JSON' },
  help: { type: 'boolean', short: 'h', help: 'Says this' },
}

/** Reads a command's arguments: `{ values, positionals }`. */
function parse(command, args) {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { type, short, multiple = false, default: value }]) => [
      name,
      { type, multiple, ...(short && { short }), ...(value !== undefined && { default: value }) },
    ]),
  )
  let read
  try {
    read = parseArgs({ args, options, allowPositionals: true, strict: true })
  } catch (error) {
    if (!/^ERR_PARSE_ARGS/.test(error.code ?? '')) throw error
    // Node goes on to explain its own API.
    throw new UsageError(error.message.split(/\. (?:To specify|Did you)/)[0].replace(/\.$/, ''))
  }
  if (read.values.help) return read
  const { length } = command.arguments
  const most = length + (command.optional?.length ?? 0)
  if (read.positionals.length > most) {
    // Which may be a URL with a password, so it is not quoted.
    throw new UsageError(
      `${command.name} takes ${most === 0 ? 'no argument' : `only ${usageOf(command)}`}, but more was given`,
    )
  }
  if (read.positionals.length < length) throw new UsageError(`${command.name} needs ${usageOf(command)}`)
  if (read.positionals.some((text) => text === '')) throw new UsageError('a key must not be empty')
  return read
}

const usageOf = ({ arguments: names, optional = [] }) =>
  [...names.map((name) => `<${name}>`), ...optional.map((name) => `[${name}]`)].join(' ')

/** Which Redis is meant: `{ urls, cluster, timeout, tls }`, where `timeout` is in milliseconds. Without one `urls` is empty. */
function redisOptions(values, env = process.env) {
  const urls = values['redis-url'] ?? (env.REDIS_URL ? [env.REDIS_URL] : [])
  const file = (name) => (values[name] === undefined ? undefined : contents(name, values[name]))
  const certificates = { ca: file('ca'), cert: file('cert'), key: file('key'), serverName: values['server-name'] }
  const given = Object.fromEntries(Object.entries(certificates).filter(([, value]) => value !== undefined))
  const timeout = milliseconds('timeout', values.timeout, 60_000)
  if (values.prefix === '' || values.prefix.length > 128) throw new UsageError('--prefix must be 1 to 128 characters')
  return { urls, cluster: values.cluster, timeout, tls: given }
}

function contents(name, path) {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new UsageError(`the file of --${name} cannot be read: ${error.message}`)
  }
}

/** A length of time for the tool itself, in milliseconds. */
function milliseconds(name, text, most) {
  const ms = toMilliseconds(text)
  if (!(ms >= 1 && ms <= most))
    throw new UsageError(`--${name} must be a time such as 500ms, 5s or 1m, but '${text}' was given`)
  return ms
}

/** A whole number within a range. */
function whole(name, text, least, most) {
  const number = /^\d+$/.test(text) ? Number(text) : NaN
  if (!(number >= least && number <= most)) {
    throw new UsageError(`--${name} must be a whole number from ${least} to ${most}, but '${text}' was given`)
  }
  return number
}

/** A number where it is one; of anything else the limiter says what was given. */
const number = (text) => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : text)

/** The numbers of a limit as the limiter takes them; undefined where none were given. */
function numbersOf(values) {
  if (Object.keys(NUMBERS).every((name) => values[name] === undefined)) return undefined
  const { limit, burst, resolution, align, algorithm } = values
  const window = windowOf(values)
  if (limit === undefined || (window === undefined && algorithm !== CONCURRENCY)) {
    throw new UsageError(
      'the numbers of a limit are at least --limit and --window, or --calendar in its place: give both, or none',
    )
  }
  if (
    algorithm === CONCURRENCY &&
    Object.keys(NUMBERS).some((name) => name !== 'limit' && values[name] !== undefined)
  ) {
    throw new UsageError('what is under way at once has a --limit and nothing else: leave the rest out')
  }
  const [units, over] = burst?.split('/') ?? []
  return {
    limit: number(limit),
    ...(window !== undefined && { window }),
    ...(burst !== undefined && { burst: over === undefined ? number(units) : { extra: number(units), window: over } }),
    ...(resolution !== undefined && { resolution: number(resolution) }),
    ...(align && { align }),
  }
}

/** A length, or the periods of a calendar. */
function windowOf({ window, calendar, 'time-zone': timeZone, 'week-start': weekStart }) {
  if (calendar === undefined) {
    if (timeZone === undefined && weekStart === undefined) return window
    throw new UsageError('--time-zone and --week-start are of a --calendar: give that too, or leave them out')
  }
  if (window !== undefined) throw new UsageError('a --calendar stands in place of a --window: give one of them')
  return { calendar, ...(timeZone !== undefined && { timeZone }), ...(weekStart !== undefined && { weekStart }) }
}

/** What an option of the constructor is called on the command line, where it has another name. */
const SAID = {
  duration: 'the duration',
  'window.calendar': '--calendar',
  'window.timeZone': '--time-zone',
  'window.weekStart': '--week-start',
}

const dashed = (name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** What the limiter refuses, whose options are here those of the command line. */
function refuse(error) {
  if (!/^ERR_RATE_LIMIT_/.test(error.code ?? '')) throw error
  throw new UsageError(
    error.message.replace(/`(\w+)((?:\.\w+)*)`/g, (_, name, field) => SAID[name + field] ?? SAID[name] ?? dashed(name)),
  )
}

/** A limiter, or a sentence about which option it cannot be made of. */
function limiterOf(options) {
  try {
    return new RateLimiter(options)
  } catch (error) {
    return refuse(error)
  }
}

/** Has the limiter judge what it will be asked. */
function judge(options, call) {
  const limiter = limiterOf(options)
  return call?.(limiter).catch(refuse)
}

/** The secret of `hashKeys`, which is in the environment, since a command line can be read by others. */
function secretOf(values, env = process.env) {
  const name = values['hash-keys-env']
  if (name === undefined) return undefined
  const secret = env[name]
  if (!secret) throw new UsageError(`--hash-keys-env names ${name}, which is not set in the environment`)
  judge({ limit: 1, window: '1s', hashKeys: secret })
  return secret
}

module.exports = {
  judge,
  limiterOf,
  milliseconds,
  NUMBERS,
  numbersOf,
  OUTPUT,
  parse,
  REDIS,
  redisOptions,
  refuse,
  secretOf,
  WHICH,
  WHOSE,
  whole,
}
