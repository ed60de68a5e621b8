/**
 * `npm run asan -- [test file …]`: Node tests (memory, redis and lifecycle where none is named) on an addon that is built with
 * AddressSanitizer, in a folder of its own. Needs Linux on x86-64, a nightly toolchain and a runtime of gcc or clang; where
 * one of them is missing, says so and ends well, since everything else can be tested without.
 */

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { cargoEnvironment, ensureBuilt, runCargo } from './build.mjs'
import { ensureInstalled } from './install.mjs'
import { findRedisServer } from './redis.mjs'
import { exitWith, root, run } from './run.mjs'

const TARGET = 'x86_64-unknown-linux-gnu'
const FOLDER = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'asan')
const REPORTS = join(FOLDER, 'reports')
const TESTS = ['memory', 'redis', 'lifecycle'].map((name) => join('__test__', `${name}.test.mjs`))
const MINUTES_TO_COMPILE = 45
/** A sanitized process is several times as slow, and its first call is later still. */
const MINUTES_TO_TEST = 30

/** The file of a runtime, which must be in the process before anything else is. */
function findRuntime() {
  const asked = [
    ['gcc', 'libasan.so'],
    ['clang', 'libclang_rt.asan-x86_64.so'],
  ]
  for (const [compiler, name] of asked) {
    const { stdout } = spawnSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' })
    // A compiler that does not know the file answers with its name.
    const file = stdout?.trim() ?? ''
    if (isAbsolute(file) && existsSync(file)) return realpathSync(file)
  }
  return undefined
}

/** Why there can be none, in a sentence; `undefined` where there can. */
function whyNot(runtime) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'this is not Linux on x86-64'
  const env = { ...process.env, ...cargoEnvironment() }
  if (spawnSync('cargo', ['+nightly', '--version'], { env, stdio: 'ignore' }).status !== 0) {
    return 'there is no nightly toolchain of Rust (`rustup toolchain install nightly`)'
  }
  if (!runtime) return "there is no runtime of AddressSanitizer: gcc's libasan, or clang with its compiler-rt"
  return undefined
}

/** Builds the addon; its path. */
async function build() {
  const env = {
    RUSTFLAGS: '-Zsanitizer=address',
    // Where an overflow or a broken assumption is an error too, at a speed that tests can bear.
    CARGO_PROFILE_DEV_OPT_LEVEL: '1',
    CARGO_PROFILE_DEV_DEBUG: 'line-tables-only',
  }
  // With a target that is named, what runs while compiling is not sanitized.
  const args = ['+nightly', 'build', '--target', TARGET, '--target-dir', FOLDER]
  await runCargo(args, { env, minutes: MINUTES_TO_COMPILE })
  const addon = join(FOLDER, 'addon.node')
  copyFileSync(join(FOLDER, TARGET, 'debug', 'libdistributed_rate_limiter.so'), addon)
  return addon
}

/** A redis-server that is spared the runtime, which would be handed on to it. */
function sparedRedis() {
  const file = join(FOLDER, 'redis-server')
  writeFileSync(file, `#!/bin/sh\nunset LD_PRELOAD\nexec '${findRedisServer()}' "$@"\n`)
  chmodSync(file, 0o755)
  return file
}

async function main() {
  const runtime = findRuntime()
  const reason = whyNot(runtime)
  if (reason !== undefined) return console.log(`Nothing was sanitized: ${reason}.`)
  await ensureInstalled()
  // The loader, which then takes the other addon.
  await ensureBuilt()
  const addon = await build()
  rmSync(REPORTS, { recursive: true, force: true })
  mkdirSync(REPORTS)
  const files = process.argv.length > 2 ? process.argv.slice(2) : TESTS
  const env = {
    LD_PRELOAD: runtime,
    // Node itself leaves to the end of the process what it has allocated.
    ASAN_OPTIONS: `detect_leaks=0:log_path=${join(REPORTS, 'report')}`,
    NAPI_RS_NATIVE_LIBRARY_PATH: addon,
    REDIS_SERVER: sparedRedis(),
  }
  const tests = ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files]
  const failure = await run(process.execPath, tests, { env, minutes: MINUTES_TO_TEST }).catch((error) => error)
  // Also of programs that tests have started, and whose end they did not look at.
  const reports = readdirSync(REPORTS).map((name) => readFileSync(join(REPORTS, name), 'utf8'))
  for (const report of reports) console.error(report)
  if (reports.length > 0) throw new Error(`AddressSanitizer found something in ${reports.length} processes`)
  if (failure) throw failure
  console.log('\nAddressSanitizer found nothing.')
}

await main().catch(exitWith)
