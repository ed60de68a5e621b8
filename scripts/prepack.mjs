/** Ahead of `npm pack`: builds the addon where it is missing or old, and packs none that is not fit to be released. */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { check } from './addon.mjs'
import { ensureBuilt } from './build.mjs'
import { exitWith, root } from './run.mjs'

try {
  await ensureBuilt()
  const addons = readdirSync(root).filter((name) => name.endsWith('.node'))
  check(addons.map((name) => join(root, name)))
} catch (error) {
  exitWith(error)
}
