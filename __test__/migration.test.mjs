/** The pages for those who come from another limiter: their samples keep their word, before and after. */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { codeBlocks, links } from './support/markdown.mjs'
import { describeSamples } from './support/samples.mjs'

const FOLDER = 'docs/migration'
const root = fileURLToPath(new URL('..', import.meta.url))

const pages = readdirSync(join(root, FOLDER)).sort()
const read = (page) => readFileSync(join(root, FOLDER, page), 'utf8')

/** What each application on the pages is limited to. */
const LIMIT = 5

/** A server has been asked once; it admits the rest of the limit, says what is left, and then refuses with a time to wait. */
async function assertAdmitsTheLimit(ask) {
  for (let left = LIMIT - 2; left >= 0; left -= 1) {
    const { status, headers } = await ask()
    assert.equal(status, 200)
    const remaining = headers['x-ratelimit-remaining'] ?? /\br=(\d+)/.exec(headers.ratelimit)?.[1]
    assert.equal(Number(remaining), left)
  }
  const { status, headers } = await ask()
  assert.equal(status, 429)
  assert.match(headers['retry-after'], /^[1-6]?\d$/)
}

for (const page of pages) {
  if (page === 'index.md') continue
  describeSamples(`${FOLDER}/${page}`, { keepTheirWord: true, assertAnswers: assertAdmitsTheLimit })
}

describe('each page', () => {
  for (const page of pages.filter((page) => page !== 'index.md')) {
    test(`${page} has samples of what was and of what comes, and says what differs`, () => {
      const text = read(page)
      const samples = codeBlocks(text, ['js']).map(({ code }) => code)
      const [after, before] = [true, false].map((ours) =>
        samples.filter((code) => code.includes('distributed-rate-limiter') === ours),
      )
      assert.ok(before.length > 0 && after.length >= before.length)
      assert.match(text, /hat differs/)
      assert.match(text, /When Redis fails/)
      assert.match(text, /ounts start anew/)
    })
  }

  test('is one of those that the index names, and the index is named by the README', () => {
    const named = links(read('index.md')).map(({ target }) => target)
    for (const page of pages.filter((page) => page !== 'index.md')) assert.ok(named.includes(page), page)
    const fromReadme = links(readFileSync(join(root, 'README.md'), 'utf8')).map(({ target }) => target)
    for (const page of pages) assert.ok(fromReadme.includes(`${FOLDER}/${page}`), page)
  })
})
