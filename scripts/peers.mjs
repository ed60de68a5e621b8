/** What the bench compares with: packages of benchmark/ alone, in the versions that its package.json names. */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, runNpm } from './run.mjs'

const FOLDER = join(root, 'benchmark')

/** Resolves when benchmark/node_modules holds all of them. */
export async function ensurePeersInstalled() {
  if (!areInstalled()) await runNpm(['ci', '--prefix', FOLDER, '--no-audit', '--no-fund'])
}

function areInstalled() {
  // npm writes this file last, so an installation that was cut short is repeated.
  if (!existsSync(join(FOLDER, 'node_modules', '.package-lock.json'))) return false
  const manifest = (...path) => JSON.parse(readFileSync(join(FOLDER, ...path, 'package.json'), 'utf8'))
  const isThere = ([name, version]) =>
    existsSync(join(FOLDER, 'node_modules', name)) && manifest('node_modules', name).version === version
  return Object.entries(manifest().dependencies).every(isThere)
}
