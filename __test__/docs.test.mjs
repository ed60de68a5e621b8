/**
 * The documentation holds: its links lead somewhere, its samples run, what it lists is all there is, and its plots are what the
 * limiter decides. The site that is made of it has a test of its own.
 */

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { STATUS_CODES } from 'node:http'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { markdownIn } from '../docs/.vitepress/pages.mjs'
import { plots } from '../docs/plots/plot.mjs'
import { get } from './support/http.mjs'
import { anchors, codeBlocks, links } from './support/markdown.mjs'
import { describeSamples, hasSamples, withServed } from './support/samples.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const docs = markdownIn('docs').sort()
const files = [...readdirSync(root).filter((name) => name.endsWith('.md')), ...docs]

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
  test('are found', () => {
    const count = files.flatMap((name) => links(read(join(root, name)))).length
    assert.ok(count > 200, `only ${count}`)
  })
  for (const name of files) {
    test(name, () => {
      const file = join(root, name)
      const wrong = links(read(file))
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

/** The names of an interface's members in index.d.ts. */
function membersOf(name) {
  const [, body] = new RegExp(`^export (?:interface|declare class) ${name}\\b[^\\n]*\\{\\n(.*?)^\\}`, 'ms').exec(
    read(join(root, 'index.d.ts')),
  )
  const members = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[?(:]/gm)].map(([, member]) => member)
  return new Set(members.filter((member) => member !== 'constructor'))
}

/** What the first cells of the table below a heading name in code: `a(b)` is `a`. */
function listedBelow(page, heading) {
  const [, section] = read(join(root, page)).split(new RegExp(`^## ${heading}$`, 'm'))
  const rows = section.split(/^## /m)[0].matchAll(/^\| (`[^|]*?) *\|/gm)
  return new Set([...rows].flatMap(([, cell]) => [...cell.matchAll(/`(\w+)/g)].map(([, name]) => name)))
}

describe('docs/reference.md lists what index.d.ts declares, no more and no less', () => {
  const LISTS = {
    Options: ['CommonOptions', 'LimitOptions'],
    Methods: ['RateLimiter'],
    'Options of a call': ['CallOptions'],
    Events: ['RateLimiterEvents'],
    Decisions: ['Decision'],
  }
  // They belong to one form of the options each, which has no interface of its own.
  const FORMS = { Options: ['limits', 'newKeys', 'shadow', 'candidate'] }
  for (const [heading, interfaces] of Object.entries(LISTS)) {
    test(heading, () => {
      const declared = [...interfaces.flatMap((name) => [...membersOf(name)]), ...(FORMS[heading] ?? [])]
      assert.ok(declared.length > 3, declared.join(' '))
      assert.deepEqual([...listedBelow('docs/reference.md', heading)].sort(), [...new Set(declared)].sort())
    })
  }
})

describe('docs/errors.md', () => {
  const page = read(join(root, 'docs', 'errors.md'))
  const headings = [...page.matchAll(/^## (ERR_\w+)$/gm)].map(([, code]) => code)
  const folders = ['src', 'lib', 'middleware', 'monitoring'].filter((name) => existsSync(join(root, name)))

  test('has a heading and a row for every code in the source, and for no other', () => {
    const codes = new Set()
    for (const folder of folders) {
      for (const name of readdirSync(join(root, folder), { recursive: true })) {
        if (!/\.(rs|js|mjs|cjs)$/.test(name)) continue
        for (const [code] of read(join(root, folder, name)).matchAll(/\bERR_RATE_LIMIT(?:_[A-Z]+)+\b/g)) codes.add(code)
      }
    }
    assert.ok(codes.size > 15, [...codes].join(' '))
    assert.deepEqual([...headings].sort(), [...codes].sort())
    const rows = [...page.matchAll(/^\| \[`(ERR_\w+)`\]/gm)].map(([, code]) => code)
    assert.deepEqual(rows, headings, 'the table has them in the order of the headings')
  })

  test('says what to do about each', () => {
    const sections = page.split(/^## /m).filter((section) => section.startsWith('ERR_'))
    for (const section of sections) assert.match(section, /\*\*What to do\b/, section.split('\n')[0])
  })
})

test('docs/getting-started.md shows a denial as its Express app and its Fastify app tell it', async () => {
  const page = read(join(root, 'docs', 'getting-started.md'))
  const [{ code: shown }] = codeBlocks(page, ['http'])
  const [head, body] = shown.split('\n\n')
  const [status, ...lines] = head.split('\n')
  const expected = Object.fromEntries(lines.map((line) => line.toLowerCase().split(': ')))
  const apps = codeBlocks(page, ['js']).filter(({ code }) => /\.listen\(/.test(code))
  assert.equal(apps.length, 2)
  for (const app of apps) {
    await withServed(app, async (port) => {
      let answer
      for (let call = 1; call <= 6; call += 1) answer = await get(port)
      const { headers } = answer
      assert.equal(`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`, status)
      assert.equal(answer.body.trim(), body.trim())
      for (const [name, value] of Object.entries(expected)) {
        assert.equal(headers[name].replace('; charset=utf-8', ''), value, `${app.heading}: ${name}`)
      }
    })
  }
})

// Those of migration/ have a test of their own, which looks at what they say as well.
const isSampled = (name) => hasSamples(name) && !name.startsWith('docs/migration/')
for (const name of docs.filter(isSampled)) describeSamples(name)
