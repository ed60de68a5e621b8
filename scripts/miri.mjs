/**
 * `npm run miri -- [part of a test's path …]`: tests of pure parts (arithmetic and slots where none is named)
 * in Miri, which finds undefined behaviour. Needs a nightly toolchain with the component; where it is missing, says so and
 * ends well.
 */

import { spawnSync } from 'node:child_process'
import { cargoEnvironment, runCargo } from './build.mjs'
import { exitWith } from './run.mjs'

/** Others take minutes and more: Miri is a thousand times as slow. */
const TESTS = ['arithmetic::', 'store::slot::']

async function main() {
  const env = { ...process.env, ...cargoEnvironment() }
  if (spawnSync('cargo', ['+nightly', 'miri', '--version'], { env, stdio: 'ignore' }).status !== 0) {
    return console.log('Nothing was interpreted: there is no Miri (`rustup +nightly component add miri`).')
  }
  const tests = process.argv.length > 2 ? process.argv.slice(2) : TESTS
  // Tests draw random numbers, which isolation would forbid.
  await runCargo(['+nightly', 'miri', 'test', '--no-default-features', '--lib', '--', ...tests], {
    env: { MIRIFLAGS: '-Zmiri-disable-isolation' },
    minutes: 120,
  })
}

await main().catch(exitWith)
