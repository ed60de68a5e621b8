// Measures the limiter as an application would use it, on the Redis that is given or in memory, and leaves nothing behind.
'use strict'

const { randomBytes } = require('node:crypto')
const { createHistogram } = require('node:perf_hooks')
const { RateLimiter } = require('../../index.js')
const { INTERRUPTED, StoreError, UsageError } = require('../failure.js')
const { judge, NUMBERS, numbersOf, OUTPUT, REDIS, redisOptions, WHICH, whole } = require('../options.js')
const { scan } = require('../limits/scan.js')
const { Redis } = require('../redis/redis.js')
const { Progress } = require('../terminal/progress.js')
const { count, pad, padStart, printableJson } = require('../terminal/text.js')

const WARM_UP_MS = 300
/** In memory an answer is there at once: so many calls, and then somebody else may have a turn. */
const TURN = 1_000
/** Nanoseconds in a millisecond. */
const NANOS = 1e6
const DEFAULTS = { limit: 100, window: '1m' }

const command = {
  name: 'bench',
  arguments: [],
  summary: 'Measures the limiter on this Redis, or in memory: calls a second, latencies, refusals',
  description: [
    'Without --redis-url and REDIS_URL, or with --memory, the limiter decides in this process. On Redis the keys have a prefix of their own and are removed afterwards, also after ctrl-c.',
    'It is one process with so many calls in flight, and it shares the machine with whatever else runs there: a figure to compare with another of the same place, not a promise.',
  ],
  options: {
    seconds: { type: 'string', value: '<number>', default: '5', help: 'How long. Default: 5' },
    'in-flight': { type: 'string', value: '<calls>', default: '256', help: 'Calls that wait at a time. Default: 256' },
    keys: { type: 'string', value: '<number>', default: '10000', help: 'How many keys are asked for. Default: 10000' },
    memory: { type: 'boolean', help: 'In memory, whatever REDIS_URL says' },
    driver: { type: 'string', value: '<name>', help: 'loop or thread: who works beside the calls' },
    ...NUMBERS,
    limit: { ...NUMBERS.limit, help: 'The limit. Default: 100' },
    window: { ...NUMBERS.window, help: 'Its window. Default: 1m' },
    algorithm: WHICH.algorithm,
    ...OUTPUT,
    ...withoutPrefix(REDIS),
  },
  examples: [
    'bench',
    'bench --memory --seconds 2',
    'bench --keys 1 --limit 1000000 --algorithm token-bucket',
    'bench --in-flight 1 --json',
  ],
  run,
}

/** The keys have a prefix of their own. */
function withoutPrefix({ prefix, ...options }) {
  return options
}

async function run({ values, style, print }) {
  const plan = planOf(values)
  const { redis: where, ...measured } = plan
  const redis = where === undefined ? undefined : await Redis.open(where.urls, where)
  const prefix = `rl-bench-${randomBytes(6).toString('hex')}`
  const limiter = new RateLimiter({ ...plan.options, ...(redis && store(where, redis, prefix)) })
  let interrupted = false
  const interrupt = () => (interrupted = true)
  process.once('SIGINT', interrupt)
  try {
    if (redis) await limiter.ready({ timeout: where.timeout })
    const result = await measure(limiter, { ...measured, isOver: () => interrupted })
    await limiter.close()
    const told = { store: redis?.at ?? 'memory', ...plan.numbers, ...result }
    print(values.json ? printableJson(told, 2) : described(told, plan, style))
    return interrupted ? INTERRUPTED : undefined
  } finally {
    await limiter.close()
    if (redis) await clear(redis, prefix)
    redis?.close()
    process.off('SIGINT', interrupt)
  }
}

function planOf(values) {
  const { urls, ...options } = redisOptions({ ...values, prefix: 'rl' })
  if (values.memory && values['redis-url'] !== undefined) {
    throw new UsageError('--memory decides in this process and --redis-url in Redis: give one of them')
  }
  const window = values.window ?? (values.calendar === undefined ? DEFAULTS.window : undefined)
  // Of an algorithm the limiter itself says whether it can be measured.
  const given = { ...values, algorithm: undefined, limit: values.limit ?? String(DEFAULTS.limit), window }
  const { algorithm, driver } = values
  const numbers = { ...numbersOf(given), ...(algorithm !== undefined && { algorithm }) }
  const limiter = { ...numbers, ...(driver !== undefined && { driver }) }
  judge(limiter)
  const isInMemory = values.memory || urls.length === 0
  return {
    redis: isInMemory ? undefined : { urls, ...options },
    options: limiter,
    numbers,
    ms: seconds(values.seconds) * 1e3,
    inFlight: whole('in-flight', values['in-flight'], 1, 16_384),
    keys: whole('keys', values.keys, 1, 10_000_000),
  }
}

function seconds(text) {
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN
  if (!(number > 0 && number <= 3_600)) {
    throw new UsageError(`--seconds must be a number above 0, up to 3600, but '${text}' was given`)
  }
  return number
}

/** What the limiter itself is told of the Redis. */
function store({ urls, tls }, { isCluster }, prefix) {
  return {
    redisUrl: isCluster ? urls : urls[0],
    prefix,
    ...(isCluster && { cluster: true }),
    ...(Object.keys(tls).length > 0 && { tls }),
  }
}

/** Asks as long as it takes; the first moments are not counted. */
async function measure(limiter, { ms, inFlight, keys, isOver }) {
  const names = Array.from({ length: Math.min(keys, 100_000) }, (_, number) => `key:${number}`)
  const nameOf = (number) => names[number] ?? `key:${number}`
  const progress = new Progress('Measuring')
  const times = createHistogram()
  const told = { calls: 0, allowed: 0, denied: 0, failed: 0 }
  const began = performance.now()
  const [from, until] = [began + WARM_UP_MS, began + WARM_UP_MS + ms]
  let [asked, first, cpu, before] = [0]
  let last = from
  const caller = async () => {
    for (let turn = 1; !isOver(); turn += 1) {
      const start = performance.now()
      // On a machine that is busy elsewhere the time may be over before the first: one is measured all the same.
      if (start >= until && told.calls > 0) return
      // Multiplied by a prime, so that neighbours in time are none among the keys.
      const answer = await limiter.isAllowed(nameOf((asked++ * 7_919) % keys)).catch(() => undefined)
      if (start >= from) {
        if (first === undefined) [first, cpu, before] = [start, process.cpuUsage(), limiter.stats()]
        last = performance.now()
        times.record(Math.max(1, Math.round((last - start) * NANOS)))
        told.calls += 1
        told[answer === undefined ? 'failed' : answer ? 'allowed' : 'denied'] += 1
      }
      if (turn % TURN === 0) {
        progress.show(Math.round(start - began), WARM_UP_MS + ms, 'ms')
        await new Promise(setImmediate)
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: inFlight }, caller))
  } finally {
    progress.end()
  }
  if (told.calls === 0) throw new StoreError('nothing was measured: it was ended too early')
  const spent = process.cpuUsage(cpu)
  const { sources, storeErrors } = limiter.stats()
  const since = Object.entries(sources).map(([name, number]) => [name, number - before.sources[name]])
  return {
    seconds: (last - first) / 1e3,
    ...{ inFlight, keys, ...told },
    callsPerSecond: (told.calls / (last - first)) * 1e3,
    latencyMs: {
      p50: times.percentile(50) / NANOS,
      p99: times.percentile(99) / NANOS,
      p999: times.percentile(99.9) / NANOS,
      max: times.max / NANOS,
    },
    cpuMicrosPerCall: (spent.user + spent.system) / told.calls,
    sources: Object.fromEntries(since.filter(([, number]) => number > 0)),
    storeErrors: storeErrors - before.storeErrors,
  }
}

/** Removes what was counted, and nothing else. */
async function clear(redis, prefix) {
  const progress = new Progress('Removing the keys')
  try {
    for await (const { names, looked, total } of scan(redis, { prefix, pattern: `${prefix}:*`, count: 1_000 })) {
      await Promise.all(names.map(({ raw }) => redis.callOn(raw, 'UNLINK', raw)))
      progress.show(looked, total, 'keys')
    }
  } finally {
    progress.end()
  }
}

function described(told, { inFlight, keys }, style) {
  const { limit, window, algorithm = 'sliding-window', latencyMs, sources, storeErrors, failed } = told
  const row = (label, text, more = '') => `  ${pad(label, 12)}${padStart(text, 14)}${more && `  ${style.dim(more)}`}`
  const share = (number) => `${((number / told.calls) * 100).toFixed(1)} %`
  const ms = (number) => `${number < 1 ? number.toFixed(4) : number.toFixed(2)} ms`
  return [
    `${style.bold(told.store)}, ${algorithm}, ${count(limit)} in ${window}, ${count(keys)} keys, ${count(inFlight)} in flight, ${told.seconds.toFixed(1)} s`,
    '',
    row('calls/s', style.bold(count(Math.round(told.callsPerSecond)))),
    row('p50', ms(latencyMs.p50)),
    row('p99', ms(latencyMs.p99)),
    row('p99.9', ms(latencyMs.p999)),
    row('longest', ms(latencyMs.max)),
    row('allowed', count(told.allowed), share(told.allowed)),
    row('denied', count(told.denied), share(told.denied)),
    ...(failed > 0 ? [style.red(row('failed', count(failed), share(failed)))] : []),
    row('CPU a call', `${told.cpuMicrosPerCall.toFixed(2)} µs`, 'of this process'),
    ...Object.entries(sources).map(([name, number], at) => row(at === 0 ? 'decided by' : '', count(number), name)),
    ...(storeErrors > 0
      ? [style.red(row('not by Redis', count(storeErrors), 'late or failed: the fallback decided'))]
      : []),
  ]
}

module.exports = command
