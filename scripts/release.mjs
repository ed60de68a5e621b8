/**
 * `node scripts/release.mjs folder`: makes the packages that are published of what the release workflow has built into `folder`: one for
 * each system in `npm/`, with its addon, and the package itself, which names them as optional dependencies and has none.
 */

import { copyFileSync, readdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { check } from './addon.mjs'
import { exitWith, root, runTool } from './run.mjs'

/** The loader and its types, which napi-rs has written. */
const LOADER = ['binding.js', 'binding.d.ts']

async function prepare(folder) {
  if (!folder) throw new Error('Which folder? node scripts/release.mjs artifacts')
  const built = readdirSync(folder, { recursive: true }).map((name) => join(folder, name))
  check(built.filter((file) => file.endsWith('.node')))
  for (const file of built.filter((file) => LOADER.includes(basename(file))))
    copyFileSync(file, join(root, basename(file)))

  await napi('create-npm-dirs')
  await napi('artifacts', '--output-dir', folder)
  await napi('pre-publish', '--tag-style', 'npm', '--skip-optional-publish', '--no-gh-release')
  for (const system of readdirSync(join(root, 'npm')))
    copyFileSync(join(root, 'LICENSE'), join(root, 'npm', system, 'LICENSE'))
  // `napi artifacts` has left a copy of each here, and whoever installs the package would get all of them.
  for (const name of readdirSync(root)) if (name.endsWith('.node')) rmSync(join(root, name))
}

function napi(...args) {
  return runTool('@napi-rs/cli', 'napi', args)
}

await prepare(process.argv[2]).catch(exitWith)
