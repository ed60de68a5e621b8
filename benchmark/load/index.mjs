/** Requests from a process of its own: by wrk where it is installed, which takes little from the server's machine, else by autocannon. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { findOnPath } from '../../scripts/run.mjs'

const run = promisify(execFile)
const beside = (file) => fileURLToPath(new URL(file, import.meta.url))

/** Of these users, all of whom get their turn. */
export const USERS = 10_000

/** What makes the load, and how it is started. Neither takes a part of a second. */
export const LOADERS = {
  wrk: ({ url, connections, seconds }) => {
    const options = ['--threads', 1, '--connections', connections, '--duration', `${seconds}s`]
    return ['wrk', [...options, '--script', beside('users.lua'), url, '--', USERS]]
  },
  autocannon: ({ url, connections, seconds }) => {
    return [process.execPath, [beside('autocannon.mjs'), url, connections, seconds, USERS]]
  },
}

export const loader = findOnPath('wrk') ? 'wrk' : 'autocannon'

/**
 * Keeps as many connections busy for so long, rounded up to whole seconds.
 *
 * @returns {Promise<{ requests: number, failed: number, elapsedUs: number }>} where `failed` is of those whose answer was
 *   none of 200 to 299, or did not come
 */
export async function load({ url, connections, durationMs }, by = loader) {
  const seconds = Math.ceil(durationMs / 1e3)
  const [command, args] = LOADERS[by]({ url, connections, seconds })
  const { stdout } = await run(command, args.map(String), { timeout: (seconds + 30) * 1e3, killSignal: 'SIGKILL' })
  // Whatever else it says comes before.
  return JSON.parse(stdout.trim().split('\n').at(-1))
}
