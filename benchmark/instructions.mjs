/** How many instructions Redis spends on a decision, counted by callgrind: the same to a few in a hundred on any day. */

import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RateLimiter } from '../index.mjs'
import { installByApt, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { exitWith, findOnPath } from '../scripts/run.mjs'
import { describeMachine, machineLine } from './machine.mjs'
import { readOptions } from './options.mjs'
import { writeResults } from './report/index.mjs'
import { toMarkdown, toText } from './report/table.mjs'
import { median } from './statistics.mjs'

const ONE = { limit: 1_000_000, window: '1h' }
const THREE = ['1m', '1h', '1d'].map((window) => ({ name: window, limit: 1_000_000, window }))
const KINDS = [
  ...['sliding-window', 'sliding-counter', 'fixed-window', 'token-bucket', 'leaky-bucket'].map((algorithm) => ({
    name: algorithm,
    options: { ...ONE, algorithm },
  })),
  { name: 'sliding-window, three limits', options: { limits: THREE } },
  { name: 'token-bucket, three limits', options: { limits: THREE, algorithm: 'token-bucket' } },
]
const WIDTHS = [1, 50]
const KEYS = 500
// The difference of a long and a short run is without what starting a server and the first call of each key cost.
const SHORT = { 1: 1_000, 50: 5_000 }
const LONG = { 1: 3_000, 50: 15_000 }
/** A whole count has so many. */
const ROUNDS = 3
const TIMEOUT_MS = 30_000

/** The instructions of a server from its start to its end, with so many decisions of which `width` are asked for at once. */
async function countRun(folder, options, width, decisions) {
  const file = join(folder, 'callgrind.out')
  const redis = await startRedis({ under: ['valgrind', '--tool=callgrind', `--callgrind-out-file=${file}`] })
  try {
    await decide(redis.url, options, width, decisions)
    redis.process.ref()
    const ended = once(redis.process, 'exit')
    // The server hangs up instead of answering.
    await redisCommand(redis.port, 'SHUTDOWN', 'NOSAVE').catch(() => {})
    await ended
    return Number(/^(?:summary|totals): (\d+)/m.exec(readFileSync(file, 'utf8'))[1])
  } finally {
    await redis.stop()
  }
}

async function decide(redisUrl, options, width, decisions) {
  const limiter = new RateLimiter({ ...options, redisUrl, onStoreError: 'throw', timeout: TIMEOUT_MS })
  await limiter.ready({ timeout: TIMEOUT_MS })
  for (let made = 0; made < decisions; made += width) {
    await Promise.all(Array.from({ length: width }, (_, index) => limiter.isAllowed(`user:${(made + index) % KEYS}`)))
  }
  await limiter.close()
}

async function countDecision(folder, options, width) {
  const short = await countRun(folder, options, width, SHORT[width])
  const long = await countRun(folder, options, width, LONG[width])
  return (long - short) / (LONG[width] - SHORT[width])
}

async function main() {
  const argv = process.argv.slice(2)
  const { rounds, only } = readOptions([`--rounds=${ROUNDS}`, ...argv])
  const kinds = KINDS.filter(({ name }) => only === null || only.test(name))
  if (!findOnPath('valgrind') && !installByApt('valgrind')) throw new Error('valgrind was not found: install it')
  const folder = mkdtempSync(join(tmpdir(), 'rate-limiter-instructions-'))
  try {
    const medians = []
    for (const { name, options } of kinds) {
      const counted = {}
      for (const width of WIDTHS) {
        const each = []
        for (let round = 0; round < rounds; round++) each.push(await countDecision(folder, options, width))
        counted[width] = Math.round(median(each))
        console.log(`${name}, ${width} at once: ${counted[width]} instructions a decision`)
      }
      medians.push({ name, counted })
    }
    await report(medians, { rounds, isWhole: kinds.length === KINDS.length && rounds >= ROUNDS })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function report(medians, { rounds, isWhole }) {
  const redis = await startRedis()
  const machine = await describeMachine(redis.port)
  await redis.stop()
  const table = {
    title: 'Instructions of Redis for a decision',
    header: ['algorithm', ...WIDTHS.map((width) => (width === 1 ? 'alone' : `${width} in a call`))],
    rows: medians.map(({ name, counted }) => [name, ...WIDTHS.map((width) => counted[width].toLocaleString('en'))]),
    note: `Counted by callgrind over a server's whole work, medians of ${rounds} rounds. ${machineLine(machine)}.`,
  }
  console.log(`\n${toText(table)}`)
  const results = { date: new Date().toISOString(), rounds, machine, medians }
  const written = writeResults('instructions', { json: results, markdown: toMarkdown(table) }, { isWhole })
  console.log(`Written: ${written.join(', ')}`)
}

await main().catch(exitWith)
