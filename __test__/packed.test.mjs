/** The packed file: it installs without a compiler, works from every kind of module, and tools find nothing wrong with it. */

import assert from 'node:assert/strict'
import { cpSync, readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { publint } from 'publint'

import { inspect } from '../scripts/addon.mjs'
import { freePort } from '../scripts/redis.mjs'
import { assertEnded, run } from './support/child.mjs'
import { get, startServer } from './support/http.mjs'
import { command, emptyFolder, npm, pack, pathWithoutTools } from './support/packed.mjs'

const fixtures = fileURLToPath(new URL('packed', import.meta.url))
const require = createRequire(import.meta.url)
const { devDependencies } = require('../package.json')

/** What a user of these has, at the versions that everything else here is tested with. */
const BESIDE = ['express', 'fastify', 'typescript', '@types/node'].map((name) => `${name}@${devDependencies[name]}`)
const APPS = [
  'express.cjs',
  'express.mjs',
  'node16/express.cjs',
  'node16/express.mjs',
  'bundler/express.mjs',
  'fastify.cjs',
  'fastify.mjs',
  'node16/fastify.cjs',
  'node16/fastify.mjs',
  'bundler/fastify.mjs',
]

/** Those of Nest that are no development dependencies: two versions of its packages cannot stand beside each other in one folder. */
const OLDER_NESTS = [10, 11]

const partition = (list, isFirst) => [list.filter(isFirst), list.filter((each) => !isFirst(each))]

/** No script runs, and there is nothing to compile with. */
async function install(folder, what) {
  const quietly = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
  await command(process.execPath, [npm(), 'install', ...quietly, ...what], {
    cwd: folder,
    env: { PATH: pathWithoutTools() },
  })
}

describe('the packed file', { timeout: 300_000 }, () => {
  let file
  let folder
  let installed
  before(async () => {
    file = await pack()
    folder = emptyFolder()
    cpSync(fixtures, folder, { recursive: true })
    await install(folder, [file, ...BESIDE, '@types/express@^5'])
    installed = join(folder, 'node_modules', 'distributed-rate-limiter')
  })

  test('carries this system its addon: small, stripped, and content with an old glibc', () => {
    const addons = readdirSync(installed).filter((name) => name.endsWith('.node'))
    assert.equal(addons.length, 1, addons.join(' '))
    const { bytes, glibc, wrong } = inspect(readFileSync(join(installed, addons[0])))
    console.log(`${addons[0]}: ${bytes} bytes, glibc ${glibc}`)
    assert.deepEqual(wrong, [])
    if (addons[0].endsWith('-gnu.node')) assert.match(glibc, /^2\.\d+$/, 'it was read')
  })

  test('has nothing that runs when it is installed', () => {
    const { scripts, gypfile } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
    for (const name of ['preinstall', 'install', 'postinstall']) assert.equal(scripts[name], undefined)
    assert.equal(gypfile, undefined)
    assert.ok(!readdirSync(installed).includes('binding.gyp'))
  })

  test('has what it is read by, and nothing of what it is made from', () => {
    const names = readdirSync(installed)
    for (const name of ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'docs'])
      assert.ok(names.includes(name), name)
    for (const name of ['src', 'target', '__test__', 'scripts', 'node_modules', 'Cargo.toml']) {
      assert.ok(!names.includes(name), `${name} is in it`)
    }
  })

  test('every file that package.json names is in it', () => {
    const { exports, bin = {} } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
    const leaves = (value) => (typeof value === 'string' ? [value] : Object.values(value).flatMap(leaves))
    const named = leaves([exports, bin])
    assert.ok(named.length > 4)
    for (const path of named) readFileSync(join(installed, path))
  })

  test('publint finds nothing', async () => {
    const { messages } = await publint({ pack: { tarball: readFileSync(file) }, level: 'suggestion', strict: true })
    assert.deepEqual(messages, [])
  })

  test('@arethetypeswrong/cli finds nothing', async () => {
    const cli = join(dirname(require.resolve('@arethetypeswrong/cli/package.json')), 'dist', 'index.js')
    // How TypeScript 7 and later resolve; what they dropped (node10) does not know of subpaths.
    // Rules for Prometheus are a file to be found, and no module.
    const [modules, files] = partition(
      Object.keys(require('../package.json').exports),
      (path) => !path.endsWith('.yml'),
    )
    const options = ['--profile', 'node16', '--no-emoji', '--no-color', '--exclude-entrypoints', ...files]
    const said = await command(process.execPath, [cli, file, ...options])
    for (const path of modules) {
      assert.ok(said.includes(`"${join('distributed-rate-limiter', path)}"`), `${path} was looked at`)
    }
  })

  test('one process has one addon', async () => {
    const end = await run(join(folder, 'one-addon.mjs'), { cwd: folder, within: 20_000 })
    assertEnded(end, 'one-addon.mjs')
    assert.equal(end.stdout, 'one\n')
  })

  describe('guards an app', () => {
    before(async () => {
      const { bin } = JSON.parse(readFileSync(join(folder, 'node_modules', 'typescript', 'package.json'), 'utf8'))
      const tsc = join(folder, 'node_modules', 'typescript', bin.tsc)
      for (const config of ['tsconfig.node16.json', 'tsconfig.bundler.json']) {
        await command(process.execPath, [tsc, '--project', config], { cwd: folder })
      }
    })

    for (const app of APPS) {
      test(app, async (t) => {
        const port = await freePort()
        const server = await startServer(join(folder, app), { port, cwd: folder })
        t.after(() => server.stop('SIGKILL'))
        const answers = []
        for (let call = 0; call < 5; call += 1) answers.push(await get(port))
        assert.deepEqual(
          answers.map(({ status }) => status),
          [200, 200, 200, 429, 429],
        )
        assert.match(answers[3].headers['retry-after'], /^\d+$/)
      })
    }
  })

  for (const version of OLDER_NESTS) {
    describe(`guards an app of Nest ${version}`, () => {
      let itsFolder
      before(async () => {
        itsFolder = emptyFolder()
        cpSync(join(fixtures, 'nest.mjs'), join(itsFolder, 'nest.mjs'))
        const packages = ['common', 'core', 'platform-express', 'platform-fastify']
        const nest = packages.map((name) => `@nestjs/${name}@${version}`)
        await install(itsFolder, [file, ...nest, 'reflect-metadata@^0.2', 'rxjs@^7'])
      })

      for (const platform of ['express', 'fastify']) {
        test(`on ${platform}`, async (t) => {
          const port = await freePort()
          const env = { PLATFORM: platform }
          const server = await startServer(join(itsFolder, 'nest.mjs'), { port, cwd: itsFolder, env })
          t.after(() => server.stop('SIGKILL'))
          const answers = []
          for (const path of ['/', '/', '/free', '/', '/', '/free']) answers.push(await get(port, path))
          assert.deepEqual(
            answers.map(({ status }) => status),
            [200, 200, 200, 200, 429, 200],
          )
          const { headers, body } = answers[4]
          assert.match(headers['content-type'], /^application\/problem\+json/)
          assert.match(headers['retry-after'], /^\d+$/)
          assert.equal(headers['x-filtered'], 'yes', 'it is an exception of this version')
          assert.deepEqual(JSON.parse(body)['violated-policies'], ['default'])
          assert.equal(answers[2].headers.ratelimit, undefined)
          assert.equal(server.said.stderr, '')
        })
      }
    })
  }
})
