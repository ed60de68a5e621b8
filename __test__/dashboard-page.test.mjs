/** The dashboard's page in a real browser: what it shows of real limiters, what it does, and that everybody can use it. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startChromium } from '../scripts/chromium.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { assertClean, assertFits, DESKTOP, LOOKS, openPage } from './support/dashboard-page.mjs'
import { atEnd, NASTY } from './support/dashboard.mjs'
import { until } from './support/wait.mjs'

const FIELDS = [
  { name: 'address', by: 'address', limit: 30, window: '1h' },
  { name: 'account', by: 'account', limit: 2, window: '1h' },
]

describe('the page', { timeout: 300_000 }, () => {
  let browser
  let redis
  before(async () => {
    redis = await startRedis()
    browser = await startChromium()
  })
  after(async () => {
    await browser?.close()
    await redis?.stop()
  })

  function limiterOf(t, options) {
    const limiter = new RateLimiter({ limit: 5, window: '1h', ...options })
    atEnd(t, () => limiter.close())
    return limiter
  }

  /** Several limits by fields of the key, in memory. */
  const byFields = (t) => limiterOf(t, { limit: undefined, window: undefined, limits: FIELDS })

  /** A limiter on Redis that nobody else has used. */
  async function onRedis(t, options) {
    const limiter = limiterOf(t, { redisUrl: redis.url, prefix: t.name.slice(0, 40), timeout: '5s', ...options })
    await limiter.ready()
    return limiter
  }

  const open = (...given) => openPage(browser, ...given)
  const textOf = (page, id) => page.locator(`#${id}`).textContent()
  const denied = (page, text) => page.getByRole('button', { name: `Look up ${text}`, exact: true })
  const verdict = (page) => page.locator('.verdict strong').textContent()

  async function lookUp(page, key) {
    await page.getByLabel('Key', { exact: true }).fill(key)
    await page.getByRole('button', { name: 'Look up', exact: true }).click()
    await page.locator('.verdict').waitFor()
  }

  /** Presses a button and answers the question that it asks. */
  async function press(page, name, answer) {
    await page.locator('#lookup-admin').getByRole('button', { name, exact: true }).click()
    await page.getByRole('dialog').getByRole('button', { name: answer, exact: true }).click()
  }

  async function exhaust(limiter, key, options) {
    for (let call = 0; call < 6; call += 1) await limiter.check(key, options)
  }

  test('shows what is decided while it is decided', async (t) => {
    const limiter = await onRedis(t, { actions: { upload: { limit: 2, window: '1m' } } })
    const page = await open(t, limiter)
    assert.equal(await textOf(page, 'circuit'), 'Closed')
    assert.equal(await page.getByText('Nobody was denied yet.').isVisible(), true)
    await page.waitForFunction(() => document.querySelector('#allowed').textContent === '0')

    await exhaust(limiter, 'alice', { action: 'upload' })
    for (let user = 0; user < 200; user += 1) await limiter.check(`user:${user}`)
    await page.waitForFunction(() => parseFloat(document.querySelector('#allowed').textContent) > 5)
    await page.waitForFunction(() => parseFloat(document.querySelector('#denied').textContent) > 0)
    await page.waitForFunction(() => /\d ms$/.test(document.querySelector('#p99').textContent))
    await denied(page, 'alice').waitFor()
    const row = (name) => page.getByRole('row', { name }).innerText()
    assert.match(await row(/^default/), /Sliding window · 5 in 1 h[\s\S]*\b202\t4$/)
    assert.match(await row(/^upload/), /Sliding window · 2 in 1 min[\s\S]*\b2\t4$/)
    assert.match(await row(/^Redis/), /%/)
    await page.locator('#decisions-chart path.line.allowed').waitFor()
    assert.match(await page.locator('#decisions-chart').getAttribute('aria-label'), /\d allowed and .* denied/)
    await page.getByText('Decisions as a table').click()
    assert.equal(await page.getByRole('table', { name: 'Decisions a second, by half minutes' }).isVisible(), true)
  })

  test('keys, names and titles are text, whatever they say', async (t) => {
    const [limiter, other] = [limiterOf(t, { limit: 1 }), limiterOf(t)]
    for (const key of [...NASTY, `${NASTY[6]}2`]) await exhaust(limiter, key)
    const page = await open(t, { [NASTY[0]]: limiter, [NASTY[1]]: other }, { title: NASTY[2], admin: true })
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), NASTY[2])
    await denied(page, NASTY[0]).waitFor()
    assert.equal(await page.locator('img, main script, #denied-keys-table svg').count(), 0)
    assert.equal(await denied(page, '\\u{202e}reversed\\u{2066} and\\u{0} cut').count(), 1)
    const shown = await page.locator('button.key').allTextContents()
    // Of the two long ones only the beginning is known, by which nobody can be looked up.
    assert.equal(shown.length, NASTY.length - 1)
    assert.equal(await page.locator('th .cut').count(), 2)
    for (const key of shown) assert.ok(key.length < 200, key)
    for (const key of [NASTY[0], NASTY[2]]) {
      await denied(page, key).click()
      await page.waitForFunction((key) => document.querySelector('.verdict bdi')?.textContent === key, key)
      assert.equal(await verdict(page), 'Would be refused')
    }
    await press(page, 'Reset', 'Reset')
    await page.getByText('Would be allowed').waitFor()
    assert.equal((await limiter.peek(NASTY[2])).remaining, 1)
  })

  test('looks a key up; blocks, unblocks and resets it, and not before that is confirmed', async (t) => {
    const limiter = await onRedis(t)
    const page = await open(t, limiter, { admin: true })
    await exhaust(limiter, 'mallory')
    await lookUp(page, 'alice')
    assert.equal(await verdict(page), 'Would be allowed')
    assert.match(await page.locator('#lookup-answer').innerText(), /Left\s+5 of 5/)

    await press(page, 'Block', 'Cancel')
    await page.keyboard.press('Tab')
    assert.equal((await limiter.peek('alice')).allowed, true, 'nothing was confirmed')
    await page.getByRole('combobox', { name: 'Block for' }).selectOption('10 minutes')
    // What is blocked is what was looked up, whatever stands in the box by now.
    await page.getByLabel('Key', { exact: true }).fill('bob')
    await press(page, 'Block', 'Block for 10 minutes')
    await page.getByText('Blocked.').waitFor()
    assert.equal(await verdict(page), 'Would be refused')
    const { retryAfterMs } = await limiter.peek('alice')
    assert.ok(retryAfterMs > 590_000 && retryAfterMs <= 600_000, `${retryAfterMs}`)
    assert.equal((await limiter.peek('bob')).allowed, true)

    await press(page, 'Unblock', 'Unblock')
    await page.getByText('Unblocked.').waitFor()
    assert.equal((await limiter.peek('alice')).allowed, true)

    await lookUp(page, 'mallory')
    await page.getByText('Would be refused').waitFor()
    await press(page, 'Reset', 'Reset')
    await page.getByText('Would be allowed').waitFor()
    assert.equal((await limiter.peek('mallory')).remaining, 5)
  })

  test('of several limiters each has a place, and keys of several fields have a box a field', async (t) => {
    const [api, login] = [limiterOf(t, { actions: { post: { limit: 3, window: '1h' } } }), byFields(t)]
    await exhaust(login, { address: '203.0.113.7', account: 'eve,address' })
    await exhaust(login, { address: '203.0.113.8', account: 'x,address=192.0.2.1' })
    await api.check('alice', { action: 'post' })
    const page = await open(t, { api, login })
    await page.getByRole('combobox', { name: 'Action' }).selectOption('post')
    await lookUp(page, 'alice')
    assert.match(await page.locator('#lookup-answer').innerText(), /Left\s+2 of 3/)

    await page.getByRole('navigation', { name: 'Limiters' }).getByRole('link', { name: 'login' }).click()
    await page.getByRole('textbox', { name: 'account' }).waitFor()
    assert.equal(await page.locator('.verdict').count(), 0)
    await denied(page, 'address=203.0.113.7,account=eve,address').click()
    await page.locator('.verdict').waitFor()
    assert.equal(await page.getByRole('textbox', { name: 'account' }).inputValue(), 'eve,address')
    assert.match(await page.locator('#lookup-answer').innerText(), /Decided by\s+account[\s\S]*28 of 30/)
    // An account that is named so that somebody else's address would be looked up, and blocked.
    await denied(page, 'address=203.0.113.8,account=x,address=192.0.2.1').click()
    await page.getByText('cannot be told apart').waitFor()
  })

  test('without `admin` there is nothing to press', async (t) => {
    const page = await open(t, limiterOf(t))
    await lookUp(page, 'alice')
    assert.equal(await page.getByRole('button', { name: /Block|Unblock|Reset/ }).count(), 0)
  })

  test('says why a key cannot be looked up', async (t) => {
    const limiter = limiterOf(t, { limit: 'configured', window: undefined })
    // The browser says it in its console.
    const expected = ['Failed to load resource: the server responded with a status of 400 (Bad Request)']
    const page = await open(t, limiter, { expected })
    await page.getByLabel('Key', { exact: true }).fill('alice')
    await page.getByRole('button', { name: 'Look up', exact: true }).click()
    await page.locator('#lookup-answer .wrong').getByText(/limit/).waitFor()
  })

  test('shows that Redis is away, and reads it out', async (t) => {
    const server = await startRedis()
    atEnd(t, () => server.stop())
    const limiter = limiterOf(t, { redisUrl: server.url })
    await limiter.ready()
    const page = await open(t, limiter)
    await page.getByText('the store decides').waitFor()
    await server.kill()
    await until(async () => {
      await limiter.check('alice')
      return limiter.stats().circuit === 'open'
    }, 'the circuit is open')
    await page.waitForFunction(() =>
      /^The circuit is (open|half-open)/.test(document.querySelector('#announcer').textContent),
    )
    await page.getByText('calls are decided here', { exact: true }).waitFor()
    await page.getByRole('row', { name: /^Fallback/ }).waitFor()
  })

  test('says that the limiter was closed, and stays as it was', async (t) => {
    const limiter = limiterOf(t)
    await exhaust(limiter, 'alice')
    const page = await open(t, limiter)
    await denied(page, 'alice').waitFor()
    await limiter.close()
    await page.locator('#notice').getByText('The process has closed this limiter.').waitFor()
    assert.equal(await denied(page, 'alice').isVisible(), true)
  })

  test('a button stays focused while its table changes', async (t) => {
    const limiter = limiterOf(t, { limit: 1 })
    await exhaust(limiter, 'bob')
    for (let times = 0; times < 2; times += 1) await exhaust(limiter, 'alice')
    const page = await open(t, limiter)
    await denied(page, 'bob').focus()
    for (let times = 0; times < 2; times += 1) await exhaust(limiter, 'bob')
    await page.waitForFunction(() => document.querySelector('button.key').textContent === 'bob')
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'bob', 'its row has moved')
  })

  test('by the keyboard alone: to the box, look up, block, think better of it, then do it', async (t) => {
    const limiter = limiterOf(t)
    const page = await open(t, limiter, { admin: true })
    const press = async (...keys) => {
      for (const key of keys) await page.keyboard.press(key)
    }
    const focused = () =>
      page.evaluate(() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
        return [document.activeElement.textContent.trim(), outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2]
      })
    await press('Tab')
    assert.deepEqual(await focused(), ['Skip to looking a key up', true])
    await press('Enter', 'Tab')
    assert.equal(await page.evaluate(() => document.activeElement.name), 'key')
    await page.keyboard.type('alice')
    await press('Enter')
    await page.locator('.verdict').waitFor()
    await press('Tab')
    assert.deepEqual(await focused(), ['Look up', true])
    await press('Tab', 'ArrowDown', 'Tab')
    assert.deepEqual(await focused(), ['Block', true])
    await press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Block for 10 minutes?' })
    await dialog.waitFor()
    assert.deepEqual(await focused(), ['Cancel', true], 'the harmless answer is the first')
    await press('Escape')
    assert.deepEqual(await focused(), ['Block', true], 'it goes back to where it came from')
    assert.equal((await limiter.peek('alice')).allowed, true)
    // Whoever thinks better of it at once is asked by another question, which the end of the first does not answer.
    await page.evaluate(() => {
      document.activeElement.click()
      document.getElementById('confirm').close()
      document.activeElement.click()
    })
    await dialog.waitFor()
    await press('Tab', 'Enter')
    await page.getByText('Blocked.').waitFor()
    assert.equal((await limiter.peek('alice')).allowed, false)
  })

  for (const [what, context] of LOOKS) {
    test(`axe finds nothing: ${what}`, async (t) => {
      const [api, login] = [await onRedis(t, { actions: { post: { limit: 2, window: '1h' } } }), byFields(t)]
      for (const key of [...NASTY, ...Array.from({ length: 15 }, (_, index) => `user:${index}`)])
        await exhaust(api, key)
      await exhaust(api, 'alice', { action: 'post' })
      await exhaust(login, { address: '203.0.113.7', account: 'eve' })
      const page = await open(t, { api, login }, { context, admin: true })
      await page.locator('#decisions-chart path').first().waitFor({ state: 'attached' })
      await page.getByText('Decisions as a table').click()
      await page.getByText('Latency as a table').click()
      await page.getByRole('button', { name: /^Show all/ }).click()
      await denied(page, 'user:3').click()
      await page.locator('.verdict').waitFor()
      await assertClean(page, 'an answer')
      await assertFits(page)
      await page.locator('#lookup-admin').getByRole('button', { name: 'Block', exact: true }).click()
      await assertClean(page, 'a question')
      await page.keyboard.press('Escape')
      await page.getByRole('link', { name: 'login' }).click()
      await denied(page, 'address=203.0.113.7,account=eve').click()
      await page.locator('.verdict').waitFor()
      await assertClean(page, 'fields')
      await assertFits(page)
      await Promise.all([api.close(), login.close()])
      await page.locator('#notice').waitFor()
      await assertClean(page, 'closed')
    })
  }

  test('moves nothing for those who want no motion', async (t) => {
    const moving = (page) => page.evaluate(() => document.getAnimations().length)
    assert.ok((await moving(await open(t, limiterOf(t)))) > 0)
    const context = { ...DESKTOP, reducedMotion: 'reduce' }
    assert.equal(await moving(await open(t, limiterOf(t), { context })), 0)
  })

  test('a tab that is closed ends its stream', async (t) => {
    const limiter = limiterOf(t)
    let streams = 0
    const onStream = (req, res) => {
      streams += 1
      res.once('close', () => (streams -= 1))
    }
    const page = await open(t, limiter, { onStream })
    assert.equal(streams, 1)
    await page.goto('about:blank')
    await until(() => streams === 0, 'the stream ended')
  })
})
