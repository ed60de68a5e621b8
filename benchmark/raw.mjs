/** The raw limit: how fast Redis itself runs our script, with no Node.js process in the way. */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { findRedisServer } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { openContestant } from './contestants/index.mjs'
import { watchCommands } from './monitor.mjs'
import { KEYS } from './scenarios/workload.mjs'

const KEYS_A_CALL = 50
const BENCHMARK_TIMEOUT_MS = 60_000

// redis-benchmark replaces this by another number of 12 digits in every call.
const RANDOM = '__rand_int__'

/**
 * Learns the script call from the server: our limiter makes one call while MONITOR listens, and what it sent is the
 * template. So the raw limit is always that of the script as it is, with the arguments as they are.
 */
export async function measureRaw(contestantId, { limit, windowMs, scriptCalls }, redisUrl) {
  const observed = await observeScriptCall(contestantId, { limit, windowMs, redisUrl })
  const command = engineCommand(Array(KEYS_A_CALL).fill(`user:${RANDOM}`), observed)
  const { port } = new URL(redisUrl)
  await assertRuns(command, port)

  const errorsBefore = await countErrors(port)
  const callsPerSecond = await runRedisBenchmark(command, scriptCalls, port)
  const errors = (await countErrors(port)) - errorsBefore
  if (errors > 0) throw new Error(`${errors} script calls of redis-benchmark failed`)
  return { calls: scriptCalls, keysPerCall: KEYS_A_CALL, decisionsPerSecond: callsPerSecond * KEYS_A_CALL }
}

/**
 * The arguments, `'EVALSHA'` first, of one call of our script that decides `keys`.
 *
 * @param {string[]} keys The callers' keys.
 * @param {ScriptCall} observed A call that our limiter made, for its digest and the layout of its arguments.
 * @returns {(string | Buffer)[]}
 */
export function engineCommand(keys, observed) {
  const ownKey = observed.keys[0].toString()
  const redisKeys = keys.map((key) => ownKey.replace(observed.key, key))
  // lua/engine.lua: ARGV[1] ends with the one run of equal requests, whose first two bytes are its length.
  const packed = Buffer.from(observed.args[0])
  packed.writeUInt16BE(keys.length, packed.length - 14)
  return ['EVALSHA', observed.sha, String(keys.length), ...redisKeys, packed]
}

/**
 * @typedef {object} ScriptCall
 * @property {string} key The caller's key that was asked for.
 * @property {string} sha The script's digest, known to the server.
 * @property {Buffer[]} keys KEYS of the call.
 * @property {Buffer[]} args ARGV of the call.
 */

/** @returns {Promise<ScriptCall>} */
async function observeScriptCall(contestantId, settings) {
  const key = 'observed-by-monitor'
  const monitor = await watchCommands(settings.redisUrl)
  try {
    const contestant = await openContestant(contestantId, settings)
    await contestant.isAllowed(key)
    await contestant.close()
    const [name, script, keyCount, ...rest] = await monitor.waitFor(
      ([name, ...args]) => /^eval(sha)?$/i.test(name) && args.some((argument) => argument.includes(key)),
      2_000,
    )
    const isText = name.toString().toLowerCase() === 'eval'
    const sha = isText ? createHash('sha1').update(script).digest('hex') : script.toString()
    return { key, sha, keys: rest.slice(0, Number(keyCount)), args: rest.slice(Number(keyCount)) }
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
  // The script names keys that failed behind the packed answers.
  if (reply.length !== 1) throw new Error(`the script failed on a key: ${reply[2]}`)
}

async function countErrors(port) {
  const stats = await redisCommand(port, 'INFO', 'stats')
  return Number(/^total_error_replies:(\d+)/m.exec(stats)[1])
}

/**
 * Calls a second with two in flight, as our limiter has it; here over two connections, since redis-benchmark sends the next
 * two of a pipeline only when both replies are there, and Redis would wait in between.
 */
async function runRedisBenchmark(command, calls, port) {
  // The last argument goes through standard input, where it may hold any byte.
  const last = command.at(-1)
  const args = command.slice(0, -1).map((argument) => argumentText(argument))
  const options = ['-p', port, '-n', calls, '-c', 2, '-P', 1, '-r', KEYS, '--csv', '-x'].map(String)
  const child = spawn(findRedisBenchmark(), [...options, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: BENCHMARK_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  const output = collect(child.stdout)
  const complaint = collect(child.stderr)
  const exit = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  child.stdin.on('error', () => {}) // it ended early; its exit code says so
  child.stdin.end(last)
  const code = await exit

  // "name of the test","calls a second","average latency",… — the name is our command, with whatever it holds.
  const figures = /"([\d.]+)"(?:,"[\d.]+"){6}\s*$/.exec(output())
  if (code !== 0 || figures === null) throw new Error(`redis-benchmark failed (${code}): ${complaint() || output()}`)
  return Number(figures[1])
}

/** What a program can be given as an argument: no NUL, and no bytes that are not UTF-8. */
function argumentText(argument) {
  const text = argument.toString()
  if (text.includes('\0') || !Buffer.from(text).equals(Buffer.from(argument))) {
    throw new Error('only the last argument of the script call may be binary')
  }
  return text
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
