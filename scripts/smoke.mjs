/** Smoke test of `npm start`: a user gets as many answers as the limit allows, then 429 with a `Retry-After` that is true. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './redis.mjs'
import { exitWith, root } from './run.mjs'

// On a fresh clone the start includes installing and compiling.
const START_TIMEOUT_MS = 20 * 60_000
const STOP_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 10_000

/** Runs `npm start` with these settings on a free port, gives its URL to `use`, and ends it as an operator does, by SIGTERM. */
async function withServer(settings, use) {
  const port = await freePort()
  const defaults = { LIMIT: undefined, WINDOW: undefined, REDIS_URL: undefined }
  const env = { ...process.env, ...defaults, ...settings, PORT: `${port}` }
  // A process group of its own, so that nothing which npm started can be left behind.
  const child = spawn('npm', ['start'], { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'], detached: true })
  const killGroup = () => {
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
  process.on('exit', killGroup)
  try {
    await until(START_TIMEOUT_MS, 'no server listened after npm start', () => {
      assert.ok(isRunning(child), 'npm start ended before its server listened')
      return accepts(port)
    })
    await use(`http://127.0.0.1:${port}/`)
    child.kill('SIGTERM')
    await until(STOP_TIMEOUT_MS, 'npm start and its server did not end after SIGTERM', async () => {
      return !isRunning(child) && !(await accepts(port))
    })
  } finally {
    killGroup()
    process.off('exit', killGroup)
  }
}

/** Resolves once `condition` holds; rejects when it does not within `timeoutMs`. */
async function until(timeoutMs, complaint, condition) {
  const deadline = Date.now() + timeoutMs
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `${complaint} within ${timeoutMs} ms`)
    await sleep(50)
  }
}

function isRunning(child) {
  return child.exitCode === null && child.signalCode === null
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

function get(url, user) {
  return fetch(url, { headers: { 'x-user-id': user }, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) })
}

/** Takes all that the limit allows `user`, checks the refusal that follows, and gives its `Retry-After` in seconds. */
async function exhaust(url, user, limit) {
  for (let taken = 1; taken <= limit; taken++) {
    const response = await get(url, user)
    assert.equal(response.status, 200, `request ${taken} of ${limit}`)
    assert.match(response.headers.get('ratelimit'), new RegExp(`^"default";r=${limit - taken};t=\\d+$`))
    await response.body.cancel()
  }
  const refusal = await get(url, user)
  assert.equal(refusal.status, 429, `the request after ${limit}`)
  assert.equal((await refusal.json()).status, 429)
  const retryAfter = refusal.headers.get('retry-after')
  assert.match(retryAfter, /^[1-9]\d*$/)
  return Number(retryAfter)
}

async function smoke() {
  await withServer({}, async (url) => {
    const retryAfter = await exhaust(url, 'alice', 100)
    assert.ok(retryAfter <= 60, `Retry-After of ${retryAfter} s is longer than the window`)
    assert.equal((await get(url, 'bob')).status, 200, "another user's limit is untouched")
  })
  await withServer({ LIMIT: '5', WINDOW: '3s' }, async (url) => {
    await sleep(1000 * (await exhaust(url, 'alice', 5)))
    assert.equal((await get(url, 'alice')).status, 200, 'after waiting as long as Retry-After says')
  })
  console.log('\nnpm start: the limit holds, and Retry-After is true.')
}

// The servers' group does not hear what a terminal sends to ours, and `exit` ends it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))

await smoke().catch(exitWith)
