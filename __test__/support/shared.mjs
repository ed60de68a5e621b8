/** Files of shared memory that tests make, which are gone with them. */

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Where this user's files lie, as docs/design.md has it. */
export const FOLDER = join(
  existsSync('/dev/shm') ? '/dev/shm' : '/tmp',
  `distributed-rate-limiter-${process.geteuid()}`,
)

const names = new Set()
process.once('exit', () => names.forEach(remove))

function remove(name) {
  rmSync(join(FOLDER, name), { recursive: true, force: true })
}

/** A name that no other test has; `t` takes its file away, or the end of the process. */
export function sharedName(t) {
  const name = `test-${process.pid}-${names.size + 1}`
  names.add(name)
  t?.after(() => remove(name))
  return name
}
