/** The raw limit: how fast Redis itself runs our script, with no Node.js process in the way. */

import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { findRedisServer, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { openContestant } from './contestants/index.mjs'
import { watchCommands } from './monitor.mjs'
import { sum } from './scenarios/sample.mjs'
import { KEYS } from './scenarios/workload.mjs'

const KEYS_A_CALL = 50
const BENCHMARK_TIMEOUT_MS = 60_000
// Script calls a second, from which the first run takes its length.
const FIRST_GUESS = 3_000

// redis-benchmark replaces this by another number of 12 digits in every call.
const RANDOM = '__rand_int__'

/**
 * Learns the script call from a server: our limiter makes one call while MONITOR listens, and what it sent is the
 * template. So the raw limit is always that of the script as it is, with the arguments as they are.
 */
export async function open(contestantId, { limit, windowMs, redisUrl, warmUpMs }) {
  const { port, pathname } = new URL(redisUrl)
  const observed = await observeScriptCall(contestantId.replace('raw-', 'ours-'), { limit, windowMs })
  // Others have theirs on the same server at the same time.
  const name = contestantId.replaceAll('-', '_')
  const command = await engineCommand(name, Array(KEYS_A_CALL).fill(`user:${RANDOM}`), observed, port)
  await assertRuns(command, port)
  let callsPerSecond = FIRST_GUESS

  async function run(durationMs) {
    const calls = Math.max(1, Math.round((callsPerSecond * durationMs) / 1e3))
    const errorsBefore = await countErrors(port)
    callsPerSecond = await runRedisBenchmark(command, calls, { port, database: pathname.slice(1) })
    const errors = (await countErrors(port)) - errorsBefore
    if (errors > 0) throw new Error(`${errors} script calls of redis-benchmark failed`)
    return { calls: calls * KEYS_A_CALL, elapsedUs: (calls / callsPerSecond) * 1e6 }
  }

  return { warmUp: () => run(warmUpMs), slice: run, close: async () => {} }
}

export function figures(slices) {
  const samples = slices.flatMap(({ samples }) => samples)
  const calls = sum(samples.map(({ calls }) => calls))
  return {
    calls,
    callsPerSecond: calls / (sum(samples.map(({ elapsedUs }) => elapsedUs)) / 1e6),
    redisUsPerCall: sum(slices.map(({ redisUs }) => redisUs)) / calls,
  }
}

/** The length of a run of requests on one key each, in bytes: '>HBBI5I5I7' and one '>H'. */
const RUN = 23

/**
 * One call of our script that decides `keys`, as a command without binary arguments: redis-benchmark cuts an argument off
 * at its first NUL. So the packed argument, the same in every call, becomes a constant of the library, which costs as much.
 *
 * @param {string} name What the library is to be called.
 * @param {string[]} keys The callers' keys.
 * @param {ScriptCall} observed A call that our limiter made, for the script and the layout of its arguments.
 */
async function engineCommand(name, keys, observed, port) {
  // lua/engine.lua: ARGV[1] ends with the one run of equal requests, whose first two bytes are its length.
  const packed = Buffer.from(observed.packed)
  packed.writeUInt16BE(keys.length, packed.length - RUN)
  const constant = Array.from(packed, (byte) => `\\${String(byte).padStart(3, '0')}`).join('')
  const library = observed.library.replace('ARGV[1]\n', `'${constant}'\n`)
  if (library === observed.library) throw new Error('the function no longer reads ARGV[1] where it did')
  await redisCommand(port, 'FUNCTION', 'LOAD', 'REPLACE', library.replaceAll(observed.name, name))
  return ['FCALL', name, String(keys.length), ...keys.map((key) => observed.storedKey.replace(observed.key, key))]
}

/**
 * @typedef {object} ScriptCall
 * @property {string} name The function's name, and the library's.
 * @property {string} library The library's text.
 * @property {string} key The caller's key that was asked for.
 * @property {string} storedKey What became of it in Redis.
 * @property {Buffer} packed ARGV[1] of the call.
 */

/** @returns {Promise<ScriptCall>} */
async function observeScriptCall(contestantId, settings) {
  const key = 'observed-by-monitor'
  // A server of its own does not know the script, so the limiter has to send the text.
  const redis = await startRedis()
  try {
    return await observeOn(redis.url, contestantId, settings, key)
  } finally {
    await redis.stop()
  }
}

async function observeOn(redisUrl, contestantId, settings, key) {
  const monitor = await watchCommands(redisUrl)
  try {
    const contestant = await openContestant(contestantId, { ...settings, redisUrl })
    await contestant.isAllowed(key)
    await contestant.close()
    const is = (command, name) => command[0]?.toString().toLowerCase() === name
    const [, , library] = await monitor.waitFor((command) => is(command, 'function'), 2_000)
    const [, name, , storedKey, packed] = await monitor.waitFor(
      (command) => is(command, 'fcall') && command[3]?.includes(key),
      2_000,
    )
    return { name: name.toString(), library: library.toString(), key, storedKey: storedKey.toString(), packed }
  } finally {
    monitor.stop()
  }
}

/** redis-benchmark does not look at replies, and a script that refuses its arguments would be very fast. */
async function assertRuns(command, port) {
  const once = command.map((argument, index) =>
    typeof argument === 'string' ? argument.replaceAll(RANDOM, String(index).padStart(12, '0')) : argument,
  )
  const reply = await redisCommand(port, ...once)
  const refused = [reply].flat().find((outcome) => outcome instanceof Error)
  if (refused !== undefined) throw refused
  // The script answers one string, and a list only where it names keys that failed.
  if (Array.isArray(reply)) throw new Error(`the script failed on a key: ${reply[2]}`)
}

async function countErrors(port) {
  const stats = await redisCommand(port, 'INFO', 'stats')
  return Number(/^total_error_replies:(\d+)/m.exec(stats)[1])
}

/**
 * Calls a second with two in flight, as our limiter has it; here over two connections, since redis-benchmark sends the next
 * two of a pipeline only when both replies are there, and Redis would wait in between.
 */
async function runRedisBenchmark(command, calls, { port, database }) {
  const place = ['-p', port, '--dbnum', database]
  const options = [...place, '-n', calls, '-c', 2, '-P', 1, '-r', KEYS, '--csv'].map(String)
  const child = spawn(findRedisBenchmark(), [...options, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: BENCHMARK_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  const output = collect(child.stdout)
  const complaint = collect(child.stderr)
  const exit = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  const code = await exit

  // "name of the test","calls a second","average latency",… — the name is our command, with whatever it holds.
  const figures = /"([\d.]+)"(?:,"[\d.]+"){6}\s*$/.exec(output())
  if (code !== 0 || figures === null) throw new Error(`redis-benchmark failed (${code}): ${complaint() || output()}`)
  return Number(figures[1])
}

function collect(stream) {
  let text = ''
  stream.setEncoding('utf8').on('data', (chunk) => (text += chunk))
  return () => text.trim()
}

/** It is installed beside the server that it comes with. */
function findRedisBenchmark() {
  return join(dirname(findRedisServer()), 'redis-benchmark')
}
