/**
 * Builds the native addon into the repository's root: `distributed-rate-limiter.<platform>.node` and its loader, binding.js.
 */

import { existsSync, readdirSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { ensureInstalled } from './install.mjs'
import { exitWith, findOnPath, isExecutable, isMain, root, run, runTool } from './run.mjs'

/** What the addon is made of. */
const INPUTS = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'build', 'src', 'lua']

/** Builds it, by cargo's profile `release` or another; `more` are further arguments of `napi build`. */
export async function build({ profile = 'release', more = [] } = {}) {
  await ensureInstalled()
  const args = ['build', '--platform', '--profile', profile, '--js', 'binding.js', '--dts', 'binding.d.ts', ...more]
  await runTool('@napi-rs/cli', 'napi', args, { env: cargoEnvironment() })
}

/** Builds only when there is no addon, or when a source file is newer than it. */
export async function ensureBuilt() {
  if (isStale()) await build()
}

export function runCargo(args, { env, ...options } = {}) {
  return run('cargo', args, { ...options, env: { ...cargoEnvironment(), ...env } })
}

/** A PATH on which cargo is found: rustup puts it into a folder that terminals opened before do not know. */
export function cargoEnvironment() {
  if (findOnPath('cargo')) return {}
  const folder = join(homedir(), '.cargo', 'bin')
  const file = process.platform === 'win32' ? 'cargo.exe' : 'cargo'
  if (isExecutable(join(folder, file))) return { PATH: `${folder}${delimiter}${process.env.PATH ?? ''}` }
  throw new Error(
    'cargo was not found, and the addon is compiled from Rust. Install Rust from https://rustup.rs, on Linux and macOS by\n' +
      "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh\n" +
      'and run this again.',
  )
}

function isStale() {
  const addons = readdirSync(root).filter((name) => name.endsWith('.node'))
  if (addons.length === 0 || !existsSync(join(root, 'binding.js'))) return true
  const built = Math.max(...addons.map((name) => statSync(join(root, name)).mtimeMs))
  return INPUTS.flatMap(pathsUnder).some((path) => statSync(path).mtimeMs > built)
}

function pathsUnder(name) {
  const path = join(root, name)
  if (!existsSync(path)) return []
  if (!statSync(path).isDirectory()) return [path]
  // The folders too: theirs is the change when a file is removed.
  return [path, ...readdirSync(path, { recursive: true }).map((entry) => join(path, entry))]
}

/** `--profiling` keeps symbols and lines, for a profiler to read; everything else is for `napi build`, such as `--target`. */
async function main([...more]) {
  const index = more.indexOf('--profiling')
  if (index >= 0) more.splice(index, 1)
  await build({ profile: index >= 0 ? 'profiling' : 'release', more })
}

if (isMain(import.meta.url)) await main(process.argv.slice(2)).catch(exitWith)
