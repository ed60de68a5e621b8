/**
 * Takes the pictures of the dashboard in docs/dashboard/: real limiters on a real Redis under made-up traffic for some minutes.
 *
 *     node scripts/screenshots.mjs [--seconds 200] [--into folder]
 */

import { mkdirSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { RateLimiter } from 'distributed-rate-limiter'
import { dashboard } from 'distributed-rate-limiter/dashboard'

import { startChromium } from './chromium.mjs'
import { startRedis } from './redis.mjs'
import { exitWith, root } from './run.mjs'

const PICTURES = [
  { file: 'desktop-light', colorScheme: 'light', viewport: { width: 1280, height: 960 }, fullPage: true },
  { file: 'desktop-dark', colorScheme: 'dark', viewport: { width: 1280, height: 960 }, fullPage: true },
  { file: 'phone', colorScheme: 'light', viewport: { width: 360, height: 780 }, deviceScaleFactor: 2, fullPage: false },
]

const { values: given } = parseArgs({
  options: { seconds: { type: 'string', default: '200' }, into: { type: 'string', default: 'docs/dashboard' } },
})

/** Callers as services have them: few call often, most seldom, and somebody tries what can be done with a name. */
function caller() {
  const rank = Math.floor(400 ** Math.random())
  return rank === 7 ? '<img src=x onerror=alert(1)>' : `user:${1_000 + ((rank * 7_919) % 9_000)}`
}

/** Calls in waves until the signal says so. */
async function load({ api, login }, signal) {
  for (let tick = 0; !signal.aborted; tick += 1) {
    const seconds = tick / 20
    const wave = 18 + 7 * Math.sin(seconds / 17) + 4 * Math.sin(seconds / 5.3) + 2 * Math.random()
    const rush = seconds % 90 > 55 && seconds % 90 < 70 ? 12 : 0
    const calls = Array.from({ length: Math.round(wave) }, () => {
      const action = Math.random() < 0.12 ? { action: Math.random() < 0.6 ? 'search' : 'upload' } : undefined
      return api.check(caller(), action)
    })
    for (let call = 0; call < rush; call += 1) calls.push(api.check('user:2583'))
    if (tick % 4 === 0) calls.push(login.check({ address: `203.0.113.${1 + (tick % 9)}`, account: caller() }))
    await Promise.all(calls)
    await sleep(50)
  }
}

/** A load that is too much for some seconds of each minute and a half. */
function pressed() {
  const seconds = (Date.now() / 1_000) % 90
  return seconds > 60 && seconds < 66 ? 1.1 : 0.4
}

async function takePictures(into) {
  const redis = await startRedis()
  const api = new RateLimiter({
    limit: 100,
    window: '10s',
    redisUrl: redis.url,
    candidate: { limit: 80, window: '10s' },
    adaptive: { signals: [pressed], priorities: ['low', 'normal', 'high'] },
    actions: { search: { limit: 20, window: '10s' }, upload: { limit: 5, window: '1m', algorithm: 'token-bucket' } },
  })
  const login = new RateLimiter({
    limits: [
      { name: 'address', by: 'address', limit: 30, window: '1m' },
      { name: 'account', by: 'account', limit: 5, window: '1m' },
    ],
  })
  const page = dashboard({ api, login }, { authorize: () => true, admin: true })
  const server = createServer(page).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}/`
  const browser = await startChromium()
  const stop = new AbortController()
  try {
    await api.ready()
    const loading = load({ api, login }, stop.signal)
    const watching = await browser.newPage()
    await watching.goto(url)
    await sleep(Number(given.seconds) * 1_000)
    mkdirSync(into, { recursive: true })
    for (const { file, fullPage, ...options } of PICTURES) {
      const context = await browser.newContext(options)
      const seen = await context.newPage()
      await seen.goto(url)
      await seen
        .getByRole('button', { name: /^Look up user/ })
        .first()
        .click()
      await seen.locator('.verdict').waitFor()
      await seen.mouse.move(0, 0)
      await seen.evaluate(() => {
        document.activeElement.blur()
        scrollTo(0, 0)
      })
      await sleep(2_500)
      const path = join(into, `${file}.png`)
      await seen.screenshot({ path, fullPage })
      console.log(`${path}: ${Math.round(statSync(path).size / 1_024)} KiB`)
      await context.close()
    }
    stop.abort()
    await loading
  } finally {
    await browser.close()
    page.close()
    server.close()
    await Promise.all([api.close(), login.close()])
    await redis.stop()
  }
}

await takePictures(resolve(root, given.into)).catch(exitWith)
