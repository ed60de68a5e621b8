/** The documentation holds: its links lead somewhere, its samples run, and its plots are what the limiter decides. */

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { plots } from '../docs/plots/plot.mjs'
import { anchors, links } from './support/markdown.mjs'
import { describeSamples } from './support/samples.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
const files = ['README.md', ...docs.sort().map((name) => join('docs', name))]

const read = (path) => readFileSync(path, 'utf8')

/** Why a link leads nowhere; nothing where it leads somewhere, or out of the repository. */
function broken(from, target) {
  if (/^[a-z][a-z\d+.-]*:/i.test(target)) return undefined
  const [path, anchor] = target.split('#')
  const file = path === '' ? from : resolve(dirname(from), decodeURI(path))
  if (relative(root, file).startsWith('..')) return 'it leads out of the repository'
  if (!existsSync(file)) return 'there is no such file'
  if (anchor === undefined) return undefined
  if (!file.endsWith('.md')) return 'only Markdown has anchors'
  return anchors(read(file)).has(decodeURIComponent(anchor)) ? undefined : 'it has no such heading'
}

describe('links', () => {
  for (const name of files) {
    test(name, () => {
      const file = join(root, name)
      const all = links(read(file))
      assert.ok(all.length > 0, 'no link was found')
      const wrong = all
        .map(({ target, line }) => ({ target, line, why: broken(file, target) }))
        .filter(({ why }) => why)
      assert.deepEqual(wrong, [])
    })
  }
})

test('docs/security.md says where things are tested', () => {
  const named = read(join(root, 'docs', 'security.md')).match(/`(__test__|src|fuzz)\/[^`]+\.(mjs|rs)`/g)
  assert.ok(named.length > 10, named.join(' '))
  for (const path of named) assert.ok(existsSync(join(root, path.slice(1, -1))), `${path} is not there`)
})

describe('plots', () => {
  const folder = join(root, 'docs', 'plots')

  test('are what `node docs/plots/plot.mjs` draws', async () => {
    const drawn = await plots()
    const committed = readdirSync(folder).filter((name) => name.endsWith('.svg'))
    assert.deepEqual(committed.sort(), drawn.map(({ file }) => file).sort())
    for (const { file, svg } of drawn) {
      const same = read(join(folder, file)) === svg
      assert.ok(same, `${file} is another one: look at what has changed, then run \`node docs/plots/plot.mjs\``)
    }
  })

  test('are all shown', () => {
    const shown = links(read(join(root, 'docs', 'algorithms.md'))).map(({ target }) => target)
    for (const name of readdirSync(folder).filter((name) => name.endsWith('.svg'))) {
      assert.ok(shown.includes(`plots/${name}`), `docs/algorithms.md does not show ${name}`)
    }
  })
})

const SAMPLED = ['algorithms', 'dashboard', 'design', 'frameworks', 'monitoring', 'security']
for (const name of SAMPLED) describeSamples(`docs/${name}.md`)
