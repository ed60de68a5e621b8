/** `npm test`: everything that CI does, step by step, up to the first failure. `--long` runs more cases of the same properties. */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { build, runCargo } from './build.mjs'
import { ensureInstalled } from './install.mjs'
import { findRedisServer } from './redis.mjs'
import { exitWith, root, run, runTool } from './run.mjs'

const long = process.argv.includes('--long')
// The tests read it, those of Rust as well as those of Node.
if (long) process.env.RATE_LIMIT_LONG = '1'
const minutes = long ? 240 : 45

/** Tests that say the most of a driver: what it carries, how it fails, how it begins and ends. `--long` runs them all. */
const BY_A_THREAD = [
  'redis',
  'faults',
  'lifecycle',
  'topologies',
  'cluster',
  'arrears',
  'fleet',
  'limits',
  'client-faults',
  'adaptive',
  'adaptive-fleet',
]
if (long) BY_A_THREAD.push('chaos', 'histories', 'deny-cache', 'acquire', 'new-keys', 'clients', 'cache', 'soak')

const CLIPPY = ['clippy', '--all-targets']
const WITHOUT_NODE = '--no-default-features'
const DENY_WARNINGS = ['--', '-D', 'warnings']

const steps = [
  ['install node_modules', ensureInstalled],
  ['find or install redis-server', provideRedis],
  ['find or install chromium', provideChromium],
  ['rustfmt', checkRustFormat],
  ['clippy', () => runCargo([...CLIPPY, ...DENY_WARNINGS])],
  ['clippy, core alone', () => runCargo([...CLIPPY, WITHOUT_NODE, ...DENY_WARNINGS])],
  ['cargo test', () => runCargo(['test'], { minutes })],
  ['cargo test, core alone', () => runCargo(['test', WITHOUT_NODE], { minutes })],
  ['cargo test, simulator', testSimulator],
  ['build the addon', build],
  ['prettier', () => runTool('prettier', 'prettier', ['--check', '.'])],
  ['types, moduleResolution node16', () => checkTypes('tsconfig.json')],
  ['types, moduleResolution bundler', () => checkTypes('tsconfig.bundler.json')],
  ['types, beside those of other packages', () => checkTypes(join('peers', 'tsconfig.json'))],
  ['node tests', () => runNodeTests()],
  ['node tests, with the thread driver', () => runNodeTests(BY_A_THREAD)],
]

/** The tests of both languages start their own servers from the file that REDIS_SERVER names. */
async function provideRedis() {
  process.env.REDIS_SERVER = findRedisServer()
  console.log(process.env.REDIS_SERVER)
}

/** Loaded only now: what drives it is installed by the first step. */
async function provideChromium() {
  const { findChromium } = await import('./chromium.mjs')
  process.env.CHROMIUM = findChromium()
  console.log(process.env.CHROMIUM)
}

/** The fuzzing targets, the check of orders and the simulator are crates of their own, which are formatted all the same. */
async function checkRustFormat() {
  await runCargo(['fmt', '--check'])
  for (const crate of ['fuzz', 'loom', 'simulator']) {
    await runCargo(['fmt', '--check', '--manifest-path', join(crate, 'Cargo.toml')])
  }
}

/** In the folder of the limiter's own tests, with which it shares what both depend on. */
function testSimulator() {
  const args = ['--locked', '--manifest-path', join('simulator', 'Cargo.toml'), '--target-dir', 'target']
  return runCargo(['test', ...args], { minutes })
}

function checkTypes(config) {
  return runTool('typescript', 'tsc', ['--project', join('__test__', 'types', config)])
}

function runNodeTests(names) {
  const env = names && {
    NODE_OPTIONS: `--require=${JSON.stringify(join(root, '__test__', 'support', 'thread-driver.cjs'))}`,
  }
  const all = readdirSync(join(root, '__test__')).filter((name) => name.endsWith('.test.mjs'))
  const files = names?.map((name) => `${name}.test.mjs`) ?? all
  if (files.length === 0) throw new Error('no test files were found in __test__')
  // One file at a time: some measure latency, and would measure each other.
  const options = ['--test', '--test-concurrency=1', '--test-reporter=spec', `--test-timeout=${minutes * 60_000}`]
  const paths = files.sort().map((name) => join('__test__', name))
  return run(process.execPath, [...options, ...paths], { minutes, env })
}

async function runSteps() {
  const start = performance.now()
  for (const [index, [name, step]] of steps.entries()) {
    console.log(`\n▶ ${index + 1}/${steps.length} ${name}`)
    const stepStart = performance.now()
    try {
      await step()
    } catch (error) {
      throw new Error(`✖ ${name} failed after ${secondsSince(stepStart)}: ${error.message}`)
    }
    console.log(`✔ ${name} (${secondsSince(stepStart)})`)
  }
  console.log(`\nAll ${steps.length} steps passed in ${secondsSince(start)}.`)
}

function secondsSince(start) {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`
}

await runSteps().catch(exitWith)
