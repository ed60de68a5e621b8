/** One point of the simulator beside real processes on a real Redis of this machine: what is admitted, and what Redis is asked. */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { startRedis } from '../../scripts/redis.mjs'
import { simulate } from './run.mjs'

const PROCESSES = 4
const WINDOW_MS = 2_000
const PERIOD_MS = 10
const LOAD = { keys: 50, exponent: 1, callsATick: 20, periodMs: PERIOD_MS, seconds: 8 }
const LIMIT = 400
const LEASE_MS = WINDOW_MS / 50

/** What there is no option for cannot be compared: calls of one batch are always merged. */
const REAL_MODES = { merged: { denyCache: false }, known: {}, leased: { lease: { max: 1_000, ttl: LEASE_MS } } }

/** Both, for each algorithm and mode. */
export async function compare(file, algorithms, tell = () => {}) {
  const rows = []
  for (const algorithm of algorithms) {
    for (const [mode, options] of Object.entries(REAL_MODES)) {
      const real = await run({ ...options, algorithm })
      const row = { algorithm, mode, real, simulated: await imagine(file, algorithm, mode, real) }
      rows.push(row)
      tell(row)
    }
  }
  return rows
}

/** The same load, at the pace that the real processes found time for. */
async function imagine(file, algorithm, mode, { seconds }) {
  const { keys, exponent, callsATick } = LOAD
  const periodUs = Math.round((seconds * 1e6 * PERIOD_MS) / (LOAD.seconds * 1_000))
  const report = await simulate(file, {
    ...{
      algorithm,
      mode,
      keys,
      exponent,
      seconds,
      gateways: PROCESSES,
      nodes: 1,
      limit: LIMIT,
      windowUs: WINDOW_MS * 1_000,
    },
    ...{ rate: (callsATick * PROCESSES * 1e6) / periodUs, shape: 'ticking', periodUs },
    ...{ leaseUs: LEASE_MS * 1_000, warmS: 0, wayUs: 30, wakeUs: 50 },
  })
  const { calls, admitted, over, operationsADecision, scriptCallsADecision } = report
  return { calls, admitted, over, operationsADecision, scriptCallsADecision }
}

async function run(options) {
  const redis = await startRedis()
  const children = []
  let monitor
  try {
    const all = {
      limit: LIMIT,
      window: WINDOW_MS,
      timeout: '10s',
      onStoreError: 'throw',
      redisUrl: redis.url,
      ...options,
    }
    const path = fileURLToPath(new URL('./process.mjs', import.meta.url))
    for (let index = 0; index < PROCESSES; index += 1)
      children.push(fork(path, [JSON.stringify(all), JSON.stringify(LOAD)]))
    await Promise.all(children.map((child) => message(child)))
    monitor = await watchScripts(redis.port)
    const reports = children.map((child) => message(child))
    for (const child of children) child.send('go')
    const told = await Promise.all(reports)
    const sum = (name) => told.reduce((all, report) => all + report[name], 0)
    if (sum('others') > 0) throw new Error(`${sum('others')} calls were decided by nobody whom this is about`)
    return {
      calls: sum('calls'),
      admitted: sum('admitted'),
      seconds: sum('seconds') / PROCESSES,
      operationsADecision: monitor.keys / sum('calls'),
      scriptCallsADecision: monitor.calls / sum('calls'),
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
    monitor?.stop()
    await redis.stop()
  }
}

/** The next message; a process that ends without one has failed. */
async function message(child) {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`a process of the comparison ended with ${code}`)
  })
  ended.catch(() => {})
  const [said] = await Promise.race([once(child, 'message'), ended])
  return said
}

/** Counts the calls of the script that Redis is sent from now on, and the keys in them. */
async function watchScripts(port) {
  const socket = connect(port, '127.0.0.1')
  const seen = { calls: 0, keys: 0, stop: () => socket.destroy() }
  const lines = createInterface({ input: socket })
  const began = once(lines, 'line')
  socket.write('MONITOR\r\n')
  await began
  lines.on('line', (line) => {
    const keys = /^\S+ \[[^\]]*\] "(?:FCALL|EVALSHA|EVAL)" "(?:[^"\\]|\\.)*" "(\d+)"/i.exec(line)?.[1]
    // A script without keys is not about any: instances announce themselves by one.
    if (keys !== undefined && keys !== '0') {
      seen.calls += 1
      seen.keys += Number(keys)
    }
  })
  return seen
}
