/** The documentation as a site: it is built, leads nowhere else, and is searched and read in a real browser. */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { listed, markdownIn } from '../docs/.vitepress/pages.mjs'
import { startChromium } from '../scripts/chromium.mjs'
import { docs } from '../scripts/docs.mjs'
import { ids, references, Site } from './support/site.mjs'

// A project's page of a code host stands below a path, where a link from the root would lead out of it.
const BASE = '/distributed-rate-limiter/'
const WITHIN_MS = 30_000

const folder = mkdtempSync(join(tmpdir(), 'rate-limiter-site-'))
const site = new Site(folder, { base: BASE })

before(async () => {
  const start = performance.now()
  // VitePress itself fails at a link to a page that is not there.
  await docs('build', ['--outDir', folder], { env: { DOCS_BASE: BASE }, minutes: 10 })
  console.log(`the site was built in ${((performance.now() - start) / 1000).toFixed(1)} s`)
})
after(() => rmSync(folder, { recursive: true, force: true }))

const pages = () => site.files.filter((file) => file.endsWith('.html'))
const isExternal = (target) => /^[a-z][a-z\d+.-]*:|^\/\//i.test(target)

/** Why `target`, referred to by `page`, is not there; nothing where it is, or where it is somewhere else. */
function broken(page, target) {
  if (isExternal(target)) return undefined
  const url = new URL(target, `http://site${BASE}${page.replace(/(index)?\.html$/, '')}`)
  const file = site.fileAt(url.pathname)
  if (file === undefined) return 'no such file'
  if (url.hash === '' || url.hash === '#') return undefined
  return ids(site.read(file)).has(decodeURIComponent(url.hash.slice(1))) ? undefined : 'no such anchor'
}

describe('what was built', () => {
  test('every page of docs/ is in the sidebar', () => {
    const pages = markdownIn('docs').filter((file) => file !== 'docs/index.md')
    const missing = pages.filter((file) => !listed().includes(file))
    assert.deepEqual(missing, [], 'give it a place in docs/.vitepress/pages.mjs')
  })

  test('no link, image or script leads to what is not there', () => {
    let count = 0
    for (const page of pages()) {
      const wrong = references(site.read(page))
        .map(({ tag, target }) => ({ page, tag, target, why: broken(page, target) }))
        .filter(({ why }) => (count++, why))
      assert.deepEqual(wrong, [])
    }
    assert.ok(count > 1_000, `only ${count} links were found`)
  })

  test('nothing is loaded from elsewhere', () => {
    for (const page of pages()) {
      const loaded = references(site.read(page)).filter(({ tag }) => tag !== 'a')
      assert.ok(loaded.length > 0, page)
      const foreign = loaded.filter(({ target }) => isExternal(target) && !target.startsWith('data:'))
      assert.deepEqual(foreign, [], page)
    }
    for (const file of site.files.filter((name) => name.endsWith('.css'))) {
      assert.doesNotMatch(site.read(file), /@import|url\(["']?(https?:)?\/\/|@font-face/, file)
    }
  })
})

describe('in a browser', { timeout: 10 * WITHIN_MS }, () => {
  let browser
  let origin
  let page
  let asked

  before(async () => {
    origin = await site.serve()
    browser = await startChromium()
  })
  after(async () => {
    await browser?.close()
    await site.close()
  })

  /** A new page, whose requests, and errors, are noted. */
  async function open(path, options) {
    page = await browser.newPage(options)
    page.setDefaultTimeout(WITHIN_MS)
    asked = { urls: [], failures: [] }
    const { urls, failures } = asked
    page.on('request', (request) => urls.push(request.url()))
    page.on('response', (response) => response.status() >= 400 && failures.push(response.url()))
    page.on('pageerror', (error) => failures.push(error.stack))
    // What could not be loaded is noted above, with its address; of a plain text the browser also asks for an icon.
    const isNoted = (message) => message.text().startsWith('Failed to load resource')
    page.on('console', (message) => message.type() === 'error' && !isNoted(message) && failures.push(message.text()))
    await page.goto(`${origin}${BASE}${path}`, { waitUntil: 'networkidle' })
    return page
  }

  /** It asked nobody else, and nothing went wrong. */
  async function close() {
    await page.waitForLoadState('networkidle')
    assert.ok(asked.urls.length > 3, asked.urls.join(' '))
    const foreign = asked.urls.filter((url) => !url.startsWith(`${origin}${BASE}`) && !url.startsWith('data:'))
    assert.deepEqual(foreign, [])
    assert.deepEqual(asked.failures, [])
    await page.close()
  }

  /** Types `words` into the search, and gives the titles of what was found. */
  async function search(words) {
    const input = page.locator('.VPLocalSearchBox input')
    // A page that is shown may not listen yet; the key opens the search, however often it is pressed.
    const isOpen = () =>
      input.waitFor({ timeout: 1_000 }).then(
        () => true,
        () => false,
      )
    do await page.keyboard.press('Control+k')
    while (!(await isOpen()))
    await input.fill(words)
    await page.locator('.VPLocalSearchBox .result').first().waitFor()
    return page.locator('.VPLocalSearchBox .result .titles').allInnerTexts()
  }

  test('the search finds a code, and opens its heading', async () => {
    await open('')
    const [first] = await search('ERR_RATE_LIMIT_OVERLOADED')
    assert.match(first, /ERR_RATE_LIMIT_OVERLOADED/)
    await page.locator('.VPLocalSearchBox .result').first().click()
    await page.waitForURL(`${origin}${BASE}errors#err_rate_limit_overloaded`)
    await page.getByRole('heading', { name: 'ERR_RATE_LIMIT_OVERLOADED', level: 2 }).waitFor()
    await close()
  })

  test('the search finds words by the keyboard alone, also those that are not typed to the end', async () => {
    await open('errors')
    const titles = await search('token buck')
    assert.ok(
      titles.some((title) => /token-bucket/.test(title)),
      titles.join('\n'),
    )
    await page.keyboard.press('Enter')
    await page.locator('.VPLocalSearchBox').waitFor({ state: 'detached' })
    await page.waitForURL((url) => !url.pathname.endsWith('/errors'))
    await close()
  })

  test('a link within the site and one to a file of the repository lead there', async () => {
    await open('algorithms')
    await page.locator('.vp-doc a[href$=".mjs.txt"]').first().click()
    await page.waitForURL(/\.mjs\.txt$/)
    assert.match(await page.locator('body').innerText(), /import /)
    await page.goBack({ waitUntil: 'networkidle' })
    await page.locator('.VPSidebar').getByRole('link', { name: 'Errors', exact: true }).click()
    await page.waitForURL(`${origin}${BASE}errors`)
    await close()
  })

  for (const colorScheme of ['light', 'dark']) {
    for (const path of ['', 'errors']) {
      test(`axe finds nothing serious: /${path}, ${colorScheme}`, async () => {
        await open(path, { colorScheme })
        await page.addScriptTag({ content: readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8') })
        const { violations, passes } = await page.evaluate(() => globalThis.axe.run())
        assert.ok(passes.length > 10)
        const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
        const told = serious.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html).slice(0, 5) }))
        assert.deepEqual(told, [])
        await close()
      })
    }
  }
})
