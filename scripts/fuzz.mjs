/**
 * `npm run fuzz -- [--seconds N] [target …]`: the targets of fuzz/, each for so long (60 s). Needs a nightly toolchain; where there
 * is none, says so and ends well, since everything else can be tested without.
 */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cargoEnvironment, runCargo } from './build.mjs'
import { exitWith, root } from './run.mjs'

const FOLDER = join(root, 'fuzz')
/** Beside its time a target needs to be compiled, once for all of them. */
const MINUTES_TO_COMPILE = 45

/** The targets, by their files. */
function fuzzTargets() {
  const files = readdirSync(join(FOLDER, 'fuzz_targets')).filter((name) => name.endsWith('.rs'))
  return files.map((name) => name.slice(0, -'.rs'.length)).sort()
}

/** Makes sure that there is cargo-fuzz. Why there cannot be, in a sentence; `undefined` where there is. */
async function whyNotFuzz() {
  if (process.platform === 'win32') return 'cargo-fuzz does not run on Windows'
  if (!succeeds('--version')) return 'there is no nightly toolchain of Rust (`rustup toolchain install nightly`)'
  if (succeeds('fuzz', '--version')) return undefined
  try {
    await runCargo(['install', 'cargo-fuzz', '--locked'], { minutes: MINUTES_TO_COMPILE })
    return undefined
  } catch (error) {
    return `cargo-fuzz could not be installed: ${error.message}`
  }
}

function succeeds(...args) {
  const env = { ...process.env, ...cargoEnvironment() }
  return spawnSync('cargo', ['+nightly', ...args], { env, stdio: 'ignore' }).status === 0
}

/** Runs each of `targets` for `seconds`; rejects with the first that finds something. */
async function fuzz({ seconds, targets }) {
  const cargo = (args, minutes) => runCargo(['+nightly', 'fuzz', ...args], { minutes })
  await cargo(['build'], MINUTES_TO_COMPILE)
  for (const target of targets) {
    console.log(`\n▷ ${target}, ${seconds} s`)
    // What is new goes into the first folder; the seeds are read only.
    const [corpus, seeds] = ['corpus', 'seeds'].map((name) => join(FOLDER, name, target))
    mkdirSync(corpus, { recursive: true })
    const folders = [corpus, seeds].filter(existsSync)
    const limits = [`-max_total_time=${seconds}`, '-timeout=10', '-rss_limit_mb=2048', '-print_final_stats=1']
    await cargo(['run', target, ...folders, '--', ...limits], MINUTES_TO_COMPILE + seconds / 60)
  }
}

function readArguments() {
  const options = { seconds: { type: 'string', default: '60' } }
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  const known = fuzzTargets()
  const seconds = Number(values.seconds)
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new Error(`--seconds must be a whole number from 1, not ${values.seconds}`)
  }
  const unknown = positionals.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new Error(`there is no target ${unknown}: they are ${known.join(', ')}`)
  return { seconds, targets: positionals.length === 0 ? known : positionals }
}

async function main() {
  const wanted = readArguments()
  const reason = await whyNotFuzz()
  if (reason === undefined) await fuzz(wanted)
  else console.log(`Nothing was fuzzed: ${reason}.`)
}

await main().catch(exitWith)
