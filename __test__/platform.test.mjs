/** Where there is no addon for a system, there is a sentence that says what to do. */

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { assertEnded, program, run } from './support/child.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)
const { napi } = require('../package.json')

/** What loading the library comes to on a system that calls itself so. */
async function on(system) {
  const end = await run(program('one-decision.mjs'), {
    nodeArgs: ['--require', program('other-system.cjs')],
    env: { SIMULATED_SYSTEM: JSON.stringify(system) },
  })
  assertEnded(end, 'the program')
  return end.stdout
}

describe('a system without its addon', { timeout: 60_000 }, () => {
  for (const [platform, arch, name] of [
    ['linux', 'arm64', /linux-arm64-(gnu|musl)/],
    ['darwin', 'arm64', /darwin-arm64/],
    ['win32', 'x64', /win32-x64-msvc/],
  ]) {
    test(`${platform} ${arch}: the package that is missing, and how to get it`, async () => {
      const said = await on({ platform, arch })
      assert.match(said, /^ERR_RATE_LIMIT_PLATFORM Error: /)
      assert.match(said, new RegExp(`the one for ${name.source} is not installed`))
      assert.match(said, new RegExp(`package distributed-rate-limiter-${name.source} is still missing`))
      assert.match(said, /npm\/cli\/issues\/4828.*delete node_modules and package-lock\.json/)
    })
  }

  for (const [platform, arch] of [
    ['freebsd', 'x64'],
    ['linux', 's390x'],
    ['win32', 'arm64'],
    ['sunos', 'x64'],
  ]) {
    test(`${platform} ${arch}: which systems there are, and that it can be built`, async () => {
      const said = await on({ platform, arch })
      assert.match(said, /^ERR_RATE_LIMIT_PLATFORM Error: /)
      assert.match(said, new RegExp(`there is none for ${platform}-${arch}`))
      assert.match(said, /only for .*linux-x64-gnu.*build it from source/)
    })
  }

  test('one that the system refuses to load: the reason, and what it needs', async (t) => {
    // The package with a file in the addon's place that is none: what an older glibc makes of it is told the same way.
    const folder = mkdtempSync(join(realpathSync(tmpdir()), 'rate-limiter-platform-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const installed = join(folder, 'node_modules', 'distributed-rate-limiter')
    mkdirSync(installed, { recursive: true })
    for (const name of ['index.js', 'lib', 'package.json']) symlinkSync(join(root, name), join(installed, name))
    writeFileSync(join(installed, 'binding.js'), 'module.exports = require("./broken.node")')
    writeFileSync(join(installed, 'broken.node'), 'not an addon')
    const script = join(folder, 'script.cjs')
    writeFileSync(
      script,
      `try { require('distributed-rate-limiter') } catch ({ code, message }) { console.log(code + ' ' + message) }`,
    )
    const end = await run(script, { nodeArgs: ['--preserve-symlinks'] })
    assertEnded(end, 'the program')
    assert.match(end.stdout, /^ERR_RATE_LIMIT_PLATFORM .* is installed, but does not load: .*broken\.node/)
    if (process.platform === 'linux') assert.match(end.stdout, /It needs glibc 2\.28 or later|Install/)
  })
})

test('the systems that errors name are those that are released', () => {
  const { BUILT } = require('../lib/platform.js')
  const released = napi.targets.map((triple) => {
    const [arch, , system, abi] = triple.split('-')
    const name = { x86_64: 'x64', aarch64: 'arm64' }[arch]
    if (system === 'darwin') return `darwin-${name}`
    return `${system === 'windows' ? 'win32' : system}-${name}-${abi}`
  })
  assert.deepEqual([...BUILT], released.sort())
})

test('the documents name these systems', () => {
  const { BUILT } = require('../lib/platform.js')
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  for (const system of BUILT) assert.ok(readme.includes(`\`${system}\``), `README.md does not name ${system}`)
})
