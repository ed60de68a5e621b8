// What is counted of one key: under every limit, what is used, what is left, and whether it is blocked.
'use strict'

const { UsageError } = require('../failure.js')
const { judge, NUMBERS, numbersOf, OUTPUT, REDIS, secretOf, WHICH, WHOSE } = require('../options.js')
const { CALENDAR, CONCURRENCY, namesOf } = require('../limits/names.js')
const { optionsOf } = require('../limits/states.js')
const { expiries, find, shownLimit, whichOf, withRedis } = require('../session.js')
const { bar } = require('../terminal/progress.js')
const { bytes, count, counted, pad, printable, printableJson, time } = require('../terminal/text.js')

const command = {
  name: 'inspect',
  arguments: ['key'],
  summary: 'Says what is counted of a key, and whether it is blocked',
  description: [
    'The numbers of a limit are in your application and not in Redis. With --limit and --window, or --calendar, the answer is exactly what a call would be told now. Without them it is what can be known from Redis alone: the units that are stored, of which some may have come back, when a bucket is full, and whether the key is blocked.',
    'Where --limit-name, --action or --limit is given, the key is looked up by its name. Otherwise all keys of the prefix are gone through, by SCAN. Nothing is changed.',
  ],
  options: { ...WHICH, ...NUMBERS, ...WHOSE, ...OUTPUT, ...REDIS },
  examples: [
    'inspect alice',
    'inspect alice --limit 100 --window 1m',
    'inspect 192.0.2.1 --limit-name address --json',
    'inspect alice --action download --limit 10 --window 1h',
    'inspect alice --limit 10000 --calendar month --time-zone Europe/Paris',
    'inspect alice --algorithm concurrency --limit 4',
  ],
  run,
}

async function run({ values, positionals: [key], style, print }) {
  const numbers = numbersOf(values)
  if (numbers !== undefined) {
    // Whoever says the numbers means one limit.
    values['limit-name'] ??= 'default'
    if (values.calendar !== undefined) values.algorithm = algorithmOfCalendar(values)
    judge(optionsOf(values.algorithm, numbers))
  }
  return withRedis(values, async (session) => {
    const names = meant(await find(key, values, session), numbers, key)
    // A key of which nothing is stored has all of its limit, where it is known which that is.
    if (names.length === 0 && numbers !== undefined && values.algorithm !== undefined) {
      names.push(namesOf(key, { ...whichOf(values), owner: values.owner, secret: secretOf(values) })[0])
    }
    if (names.length > 1 && numbers !== undefined) throw new UsageError(ambiguous(key, names))
    const limits = await Promise.all(names.map((name) => inspected(name, numbers, session)))
    limits.sort((one, other) => (one.redisKey < other.redisKey ? -1 : 1))
    if (values.json) return print(printableJson({ key, redis: session.redis.at, limits }, 2))
    print(limits.length === 0 ? nothing(key, values, session) : described(key, limits, { style, at: session.redis.at }))
  })
}

/** What counts by a calendar is called so in Redis, and a fixed window by the application. */
function algorithmOfCalendar({ algorithm = 'fixed-window' }) {
  return algorithm === 'fixed-window' ? CALENDAR : algorithm
}

/** Those that numbers can be of: windows of a length are not kept as those of a calendar are. */
function meant(names, numbers, key) {
  if (numbers === undefined || names.length === 0) return names
  const kind = kindOf(numbers)
  const fitting = names.filter(({ algorithm }) => (KINDS[algorithm] ?? LENGTH) === kind)
  if (fitting.length > 0) return fitting
  const [{ algorithm }] = names
  throw new UsageError(
    `these are not the numbers of a limit by which ${printable(key)} is counted: that is ${algorithm}, with ${KINDS[algorithm] ?? LENGTH}`,
  )
}

const LENGTH = '--limit and --window'
const KINDS = { [CALENDAR]: '--limit and --calendar', [CONCURRENCY]: '--limit alone and --algorithm concurrency' }

function kindOf({ window }) {
  if (window === undefined) return KINDS[CONCURRENCY]
  return typeof window === 'object' ? KINDS[CALENDAR] : LENGTH
}

/** The numbers that were given are those of one limit. */
function ambiguous(key, names) {
  const algorithms = names.map(({ algorithm }) => algorithm).join(', ')
  return `${printable(key)} is counted by that name under ${algorithms}: say by --algorithm whose numbers these are`
}

/** What is known of one of its names. */
async function inspected(name, numbers, { redis, states }) {
  const [seen, [expiresInMs], length] = await Promise.all([
    states.look(name),
    expiries(redis, [name]),
    redis.callOn(name.raw, 'STRLEN', name.raw).catch((error) => {
      if (error.kind === 'WRONGTYPE') return undefined
      throw error
    }),
  ])
  const { raw, action, algorithm, owner } = name
  const known = { name: name.name, action, algorithm, owner, redisKey: raw.toString(), bytes: length, expiresInMs }
  if (seen.isForeign) return { ...known, isForeign: true }
  const stored = { blocked: seen.blockedForMs > 0, ...seen }
  if (numbers === undefined) return { ...known, ...stored }
  const { allowed, limit, remaining, retryAfterMs, fullInMs } = await decided(name, numbers, states)
  const used = stored.blocked ? undefined : limit - remaining
  return { ...known, ...stored, used, limit, remaining, allowed, retryAfterMs, fullInMs }
}

async function decided(name, numbers, states) {
  try {
    return await states.decide(name, numbers)
  } catch (error) {
    if (error.code !== 'ERR_RATE_LIMIT_STATE') throw error
    const burst = typeof numbers.burst === 'object' ? 'leave --burst out' : 'give --burst as units/window'
    throw new UsageError(
      `what is stored does not fit the numbers of the limit, which has a burst or has none: ${burst}`,
    )
  }
}

function nothing(key, values, { redis }) {
  const { isNamed, name = 'default', action } = whichOf(values)
  const under = isNamed ? ` under the limit ${shownLimit({ name, action })}` : ''
  const hint = isNamed
    ? 'Without --limit-name, --action and --limit all limits are looked through.'
    : 'Whoever has used nothing lately is not stored. Is it the right --prefix, and are keys not hashed (--hash-keys-env)?'
  return [`Nothing is counted of ${printable(key)}${under} in ${redis.at}.`, hint]
}

function described(key, limits, { style, at }) {
  const title = `${style.bold(printable(key))}, by ${counted(limits.length, 'limit')} in ${at}`
  return [title, ...limits.flatMap((limit) => ['', ...describe(limit, style)])]
}

const LABEL = 14

function describe(limit, style) {
  const { algorithm, owner, redisKey, bytes: length, expiresInMs, isForeign } = limit
  const of = owner === undefined ? '' : `, of ${printable(owner)}`
  const row = (label, text) => `  ${style.dim(pad(label, LABEL))}${text}`
  const head = `${style.cyan(shownLimit(mapped(limit)))}${of}  ${style.dim(algorithm)}`
  const kept = expiresInMs === undefined ? 'without an end' : `for ${time(expiresInMs)} more`
  const size = length === undefined ? '' : `, ${bytes(length)}`
  const stored = row(
    'stored as',
    length === 0 ? 'nothing: it is as good as new' : `${printable(redisKey)}${size}, ${kept}`,
  )
  if (isForeign)
    return [head, row('value', style.red('no state of this algorithm: another program has written it')), stored]
  return [head, ...verdict(limit, row, style), stored]
}

const mapped = ({ name, action }) => ({ name, action: action === undefined ? undefined : printable(action) })

function verdict(limit, row, style) {
  const { algorithm, blocked, blockedForMs, used, fullInMs, hasBurst, isBurstUsed } = limit
  if (blocked) return [row('blocked', style.red(`for ${time(blockedForMs)} more: every call is refused`))]
  if (limit.limit !== undefined) return exact(limit, row, style)
  const rows = []
  if (algorithm === CONCURRENCY) rows.push(row('under way', count(used)))
  else if (used !== undefined)
    rows.push(row('used', `at most ${count(used)}: with ${KINDS[algorithm] ?? LENGTH} it is exact`))
  if (hasBurst) rows.push(row('burst', isBurstUsed ? 'some of it is used' : 'all of it is there'))
  if (fullInMs !== undefined) rows.push(row('full again', soon(fullInMs)))
  return [...rows, row('blocked', 'no')]
}

function exact({ allowed, limit, remaining, used, retryAfterMs, fullInMs }, row, style) {
  const answer = allowed ? style.green('is allowed') : style.red(`is refused, for ${time(retryAfterMs)} more`)
  const share = `▕${bar(used / limit, 20)}▏`
  return [
    row('a call now', answer),
    row('used', `${count(used)} of ${count(limit)}  ${(used >= limit ? style.red : style.green)(share)}`),
    row('left', count(remaining)),
    row('full again', soon(fullInMs)),
    row('blocked', 'no'),
  ]
}

const soon = (ms) => (ms === 0 ? 'it is' : `in ${time(ms)}`)

module.exports = command
