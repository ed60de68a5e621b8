/** Node programs run as processes of their own: bounded in time, never left behind, their output kept for the failure message. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { settles } from './wait.mjs'

const running = new Set()
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** The path of a program in `__test__/programs`. */
export const program = (name) => fileURLToPath(new URL(`../programs/${name}`, import.meta.url))

/**
 * Starts `file`. What `env` leaves undefined the program does not see. A program that runs longer than `within` is
 * killed, and `end` then says so.
 */
export function start(file, { args = [], nodeArgs = [], env = {}, cwd, within = 10_000 } = {}) {
  const child = spawn(process.execPath, [...nodeArgs, file, ...args.map(String)], {
    cwd,
    // The test runner marks its own children by this variable: a program of ours is none of them.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  running.add(child)
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (text) => (said[stream] += text))
  }
  let late = false
  const guard = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, within)
  const ended = once(child, 'close').then(([code, signal]) => {
    clearTimeout(guard)
    running.delete(child)
    return { code, signal, late, within, ...said }
  })
  return {
    pid: child.pid,
    said,
    pid: child.pid,
    /** How it ended: `{ code, signal, late, stdout, stderr }`. */
    ended,
    send: (message) => child.send(message),
    /** Has every message, also of those that come at once. */
    listen: (listener) => void child.on('message', listener),
    signal: (name) => child.kill(name),
    stop: (signal = 'SIGTERM') => {
      child.kill(signal)
      return ended
    },
    /** The next message that the program sends; fails when it ends without one. */
    message: () =>
      settles(Promise.race([nextMessage(child), ended.then(diedSilently)]), `a message from ${file}`, within),
  }
}

async function nextMessage(child) {
  const [message] = await once(child, 'message')
  return message
}

function diedSilently(end) {
  throw new Error(`the program ended before it said what was waited for: ${describe(end)}`)
}

/** What a program that was started answers to a message: whatever it sends next. */
export function ask(started, message) {
  const answer = started.message()
  started.send(message)
  return answer
}

/** Runs `file` to its end. */
export const run = (file, options) => start(file, options).ended

/** How a program ended, in words and with all that it printed. */
export function describe({ code, signal, late, within, stdout, stderr }) {
  const how = late
    ? `was still running after ${within} ms`
    : signal
      ? `was ended by ${signal}`
      : `ended with code ${code}`
  return `it ${how}\n--- stdout\n${stdout}\n--- stderr\n${stderr}`
}

/** It printed no error and no stack. Names such as `onStoreError` are none. */
export function assertQuiet(end, what) {
  assert.doesNotMatch(end.stderr, /Error(?: \[\w+\])?: |^ +at /m, `${what} complained: ${describe(end)}`)
}

/** It came to its end by itself, with `code`. */
export function assertEnded(end, what, code = 0) {
  assert.ok(!end.late && end.signal === null && end.code === code, `${what}: ${describe(end)}`)
}
