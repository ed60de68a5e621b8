/** A time of day that a test sets for processes of its own, by a small library that is compiled and loaded into them. For Linux. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = fileURLToPath(new URL('../chaos/clock.c', import.meta.url))

/**
 * Makes one, which `after(cleanup)` takes away: `{ env, moveTo }`. Processes that are started with `env` have it, and `moveTo(seconds)`
 * sets it so much later than it is.
 */
export function movedClock(after) {
  const folder = mkdtempSync(join(tmpdir(), 'rate-limiter-clock-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const [library, file] = [join(folder, 'clock.so'), join(folder, 'seconds')]
  execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, SOURCE])
  writeFileSync(file, new Uint8Array(8))
  // A sanitizer that is loaded so as well must be the first.
  const libraries = [process.env.LD_PRELOAD, library].filter(Boolean).join(' ')
  return { env: { LD_PRELOAD: libraries, MOVED_CLOCK_FILE: file }, moveTo: (seconds) => move(file, seconds) }
}

/** Sets the clock of this process, which was started with such an `env`, and of the others that have it. */
export const moveOwnTo = (seconds) => move(process.env.MOVED_CLOCK_FILE, seconds)

function move(file, seconds) {
  writeFileSync(file, new Uint8Array(new BigInt64Array([BigInt(seconds)]).buffer), { flag: 'r+' })
}
