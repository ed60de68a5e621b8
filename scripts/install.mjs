/** Installs what package.json asks for, when it is not there yet. */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, runNpm } from './run.mjs'

/** Resolves when node_modules holds everything that the scripts, tests and examples need. */
export async function ensureInstalled() {
  if (isInstalled()) return
  const command = existsSync(join(root, 'package-lock.json')) ? 'ci' : 'install'
  // `--include=dev`: also where NODE_ENV is `production`, since the build itself is a development dependency.
  await runNpm([command, '--include=dev', '--no-audit', '--no-fund'])
}

function isInstalled() {
  const folder = join(root, 'node_modules')
  // npm writes this file last, so an installation that was cut short is repeated.
  if (!existsSync(join(folder, '.package-lock.json'))) return false
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return Object.keys(devDependencies).every((name) => existsSync(join(folder, name)))
}
