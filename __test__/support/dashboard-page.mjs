/** The dashboard's page in a real browser, as tests of it open it, and what everybody needs who uses it. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

import { dashboard } from 'distributed-rate-limiter/dashboard'
import express from 'express'

import { atEnd, serve } from './dashboard.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const DESKTOP = { viewport: { width: 1280, height: 900 } }
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }

/** How it is looked at. */
export const LOOKS = [
  ['light', { ...DESKTOP, colorScheme: 'light' }],
  ['dark', { ...DESKTOP, colorScheme: 'dark' }],
  ['on a phone', { ...PHONE, colorScheme: 'light' }],
  ['on a phone, dark', { ...PHONE, colorScheme: 'dark' }],
]

/**
 * The page of these limiters, served by Express. After the test: no request has left its origin, nothing was said in the console, no
 * script has failed, and nothing that a key says was run.
 */
export async function openPage(
  browser,
  t,
  limiters,
  { context: how = DESKTOP, expected = [], onStream = () => {}, ...options } = {},
) {
  const app = express()
  const handler = dashboard(limiters, { authorize: () => true, ...options })
  app.get('/limits/events', (req, res, next) => {
    onStream(req, res)
    next()
  })
  app.use('/limits', handler)
  const port = await serve(t, createServer(app))
  atEnd(t, () => handler.close())
  const origin = `http://127.0.0.1:${port}`
  const context = await browser.newContext(how)
  const [requests, said] = [[], []]
  context.on('request', (request) => requests.push(request.url()))
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  page.on('console', (message) => said.push(message.text()))
  page.on('pageerror', (error) => said.push(error.stack))
  page.on('dialog', (dialog) => said.push(dialog.message()))
  atEnd(t, async () => {
    const hacked = await page.evaluate(() => window.hacked)
    await context.close()
    const elsewhere = requests.filter((url) => !url.startsWith(`${origin}/limits`))
    assert.deepEqual([elsewhere, said, hacked], [[], expected, undefined])
    assert.ok(requests.length > 5)
  })
  await page.goto(`${origin}/limits`)
  await page.locator('#connection[data-state=live]').waitFor()
  return page
}

/** Nothing that axe knows of is wrong. */
export async function assertClean(page, state) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(AXE)
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  const found = violations.map(({ id, nodes }) => [
    id,
    ...nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`),
  ])
  assert.deepEqual(found, [], state)
  assert.ok(passes.length > 10, `${passes.length} rules applied`)
}

/** Nothing is wider than the screen. */
export async function assertFits(page) {
  const [content, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
  assert.ok(content <= room, `${content} px in ${room} px`)
}
