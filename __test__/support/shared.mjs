/** Files of shared memory that tests make, which are gone with them. */

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Where this user's files lie, as docs/design.md has it. */
export const FOLDER = join(
  existsSync('/dev/shm') ? '/dev/shm' : '/tmp',
  `distributed-rate-limiter-${process.geteuid()}`,
)

let made = 0

/** A name that no other test has; `t` or the end of the process takes its file away. */
export function sharedName(t) {
  made += 1
  const name = `test-${process.pid}-${made}`
  const remove = () => rmSync(join(FOLDER, name), { recursive: true, force: true })
  if (t === undefined) process.once('exit', remove)
  else t.after(remove)
  return name
}
