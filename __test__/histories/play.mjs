/** Has processes play histories on a real Redis, with faults, and gathers what each of them noted. */

import { startRedis } from '../../scripts/redis.mjs'
import { program, start } from '../support/child.mjs'
import { startProxy } from '../support/proxy.mjs'
import { sleep } from '../support/wait.mjs'
import { FAULTS } from './faults.mjs'
import { linearise } from './linearise.mjs'
import { KINDS, NAMES } from './model.mjs'

const CALLS_A_PROCESS = 4
const SPREAD_MS = 240
const WITHIN_MS = 600_000

/** What was answered must outlast SIGKILL: Redis answers after it has written its file. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always']

/**
 * Plays `rounds`, each of so many histories, that is `keys`, on which every process calls four times.
 *
 * @param given.processes how many call
 * @param given.store a client that is broken on purpose; see `broken.mjs`
 * @param given.faults those that are played in turn, one a round
 * @returns `{ histories, faults }`: by key, each with its `index`, its `limits` and its `calls`; and how often each fault was played
 */
export async function playHistories({ rounds, keys = 250, processes = 8, store, faults = FAULTS }) {
  const redis = await startRedis({ args: DURABLE })
  const proxies = await Promise.all([startProxy(redis.port), startProxy(redis.port)])
  const players = Array.from({ length: processes }, (_, index) => {
    const redisUrl = proxies[index % proxies.length].url
    // Two and two: some are told errors, others are answered by the fallback, behind either proxy.
    // Under 'local' Redis is told on its return of what it has missed, which nobody here has asked for.
    const onStoreError = index % 4 < 2 ? 'deny' : 'throw'
    const args = [JSON.stringify({ seed: index + 1, redisUrl, onStoreError, store })]
    return start(program('histories.mjs'), { args, within: WITHIN_MS })
  })
  try {
    await Promise.all(players.map((player) => player.message()))
    const stage = { redis, proxies }
    const played = {}
    const histories = new Map()
    for (let round = 0; round < rounds; round += 1) {
      const { name, play } = faults[round % faults.length]
      played[name] = (played[name] ?? 0) + 1
      const which = { first: round * keys, keys }
      const notes = Promise.all(
        players.map((player) => tellOf(player, { ...which, calls: CALLS_A_PROCESS, spreadMs: SPREAD_MS })),
      )
      await sleep(SPREAD_MS / 4)
      await play(stage)
      note(histories, await notes)
      note(histories, [await tellOf(players[round % processes], { ...which, audit: true })])
    }
    return { histories: [...histories.values()], faults: played }
  } finally {
    await Promise.all(players.map((player) => player.stop('SIGKILL')))
    await Promise.all(proxies.map((proxy) => proxy.stop()))
    await redis.stop()
  }
}

function tellOf(player, message) {
  player.send(message)
  return player.message()
}

function note(histories, notesOfProcesses) {
  for (const [process, notes] of notesOfProcesses.entries()) {
    for (const { index, ...made } of notes) {
      if (!histories.has(index)) {
        const kind = NAMES[index % NAMES.length]
        histories.set(index, { index, kind, limits: KINDS[kind], calls: [] })
      }
      histories.get(index).calls.push({ process, ...made })
    }
  }
}

/** Checks each of them: those that no order explains, and how many calls there were, and how many that were perhaps done. */
export function checkAll(histories) {
  const refused = histories.filter(({ limits, calls }) => linearise(limits, calls) === undefined)
  const calls = histories.flatMap((history) => history.calls)
  return { refused, calls: calls.length, perhaps: calls.filter(({ told }) => !told).length }
}

/** A history in words, for whoever has to find out what is wrong with it. */
export function describeHistory({ index, kind, calls }) {
  const begin = Math.min(...calls.map(({ invoked }) => invoked))
  const at = (moment) => ((moment - begin) / 1_000).toFixed(0).padStart(7)
  const lines = calls
    .toSorted((a, b) => a.invoked - b.invoked)
    .map(({ process, call, invoked, returned, told }) => {
      const { verb, cost = '', upTo } = call
      const asked = `${verb} ${upTo ? 'up to ' : ''}${cost}`
      return `  ${at(invoked)} to ${at(returned)} µs, process ${process}: ${asked.padEnd(14)} ${told ? JSON.stringify(told) : 'perhaps done'}`
    })
  return [`history ${index}, ${kind}:`, ...lines].join('\n')
}
