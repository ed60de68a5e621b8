/** Somebody with the packed file, an empty folder and the README guards an Express and a Fastify app by its words alone. */

import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { freePort } from '../scripts/redis.mjs'
import { findOnPath } from '../scripts/run.mjs'
import { get, startServer } from './support/http.mjs'
import { codeBlocks } from './support/markdown.mjs'
import { command, emptyFolder, pack } from './support/packed.mjs'

const readme = readFileSync(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8')
const lines = readme.split('\n')
const ofSection = (languages) =>
  codeBlocks(readme, languages).filter(({ heading }) => heading === 'From an empty folder')

/** What is to be saved as a file: a sample beneath a line that is a file's name. */
const files = ofSection(['js']).map(({ code, line }) => ({
  code,
  name: /^`([\w-]+\.mjs)`:$/.exec(lines[line - 3])?.[1],
}))
const [install, ask] = ofSection(['sh']).map(({ code }) => code)
const [, said] = /^# ([\d ]+)$/m.exec(ask)

describe('the README, from an empty folder', { timeout: 300_000 }, () => {
  let folder
  let seconds = 0
  /** Runs lines of a shell as they stand there. */
  const shell = async (code, cwd) => {
    const start = performance.now()
    const answer = await command('sh', ['-e', '-c', code], { cwd })
    seconds += (performance.now() - start) / 1_000
    return answer
  }

  before(async () => {
    const empty = emptyFolder()
    const file = await pack()
    assert.ok(install.includes(`../${basename(file)} `), `it names ${basename(file)}`)
    copyFileSync(file, join(empty, basename(file)))
    await shell(install, empty)
    folder = join(empty, 'my-app')
  })

  test('has both frameworks', () => {
    assert.deepEqual(
      files.map(({ name }) => name),
      ['with-express.mjs', 'with-fastify.mjs'],
    )
    for (const { name } of files) assert.ok(readme.includes(`\`node ${name}\``))
    assert.match(said, /^(200 )+429/)
  })

  for (const { name, code } of files) {
    test(name, async (t) => {
      const port = await freePort()
      const here = (text) => text.replaceAll(/\b3000\b/g, String(port))
      writeFileSync(join(folder, name), here(code))
      const start = performance.now()
      const server = await startServer(join(folder, name), { port, cwd: folder })
      t.after(() => server.stop('SIGKILL'))
      seconds += (performance.now() - start) / 1_000
      if (findOnPath('curl')) {
        assert.equal((await shell(here(ask), folder)).trim(), said)
      } else {
        const answers = []
        for (const _ of said.split(' ')) answers.push((await get(port)).status)
        assert.equal(answers.join(' '), said)
      }
      console.log(`${seconds.toFixed(1)} s of commands so far`)
    })
  }
})
