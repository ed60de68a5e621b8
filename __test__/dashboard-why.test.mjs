/** What the dashboard's page says of why: a key's limits and who has said so, limits that are tried, and limits under load. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startChromium } from '../scripts/chromium.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { assertClean, assertFits, LOOKS, openPage } from './support/dashboard-page.mjs'
import { atEnd, NASTY } from './support/dashboard.mjs'

const HOUR = { window: '1h' }

describe('why, on the page', { timeout: 300_000 }, () => {
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

  const open = (...given) => openPage(browser, ...given)

  function limiterOf(t, options) {
    const limiter = new RateLimiter({ redisUrl: redis.url, prefix: `why-${Math.random()}`, timeout: '10s', ...options })
    atEnd(t, () => limiter.close())
    return limiter
  }

  /** What is said of a key, as lines. */
  async function linesOf(page, fields, action) {
    for (const [label, text] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(text)
    if (action !== undefined) await page.getByRole('combobox', { name: 'Action' }).selectOption(action)
    const shown = Object.values(fields)[0]
    await page.evaluate(() => document.querySelector('#lookup-answer').replaceChildren())
    await page.getByRole('button', { name: 'Look up', exact: true }).click()
    await page.locator('.verdict').getByText(shown).waitFor()
    const text = await page.locator('#lookup-answer').innerText()
    return text.split('\n').filter((line) => line !== '')
  }

  test('who has said which limit a key has, and which version of the fleet’s is in force', async (t) => {
    const limiter = limiterOf(t, { limit: 1, ...HOUR, policies: 'shared' })
    await limiter.ready()
    await limiter.publishPolicies({
      limit: 9,
      ...HOUR,
      overrides: { 'gold:*': { limit: 50, ...HOUR } },
      allow: ['internal:*'],
      deny: ['mallory'],
      actions: { upload: { limit: 5, window: '1d' } },
    })
    await limiter.check('alice', { action: 'upload', cost: 2 })
    const page = await open(t, limiter)
    const of = (key, action) => linesOf(page, { Key: key }, action)
    const follows = (lines, ...pairs) => {
      for (const [term, value] of pairs) assert.equal(lines[lines.indexOf(term) + 1], value, lines.join(' | '))
    }
    follows(await of('alice'), ['Limits from', 'The default'], ['Shared policies', 'version 1'], ['Left', '9 of 9'])
    const upload = await of('alice', 'upload')
    follows(upload, ['Limits from', 'The action upload'], ['Left', '3 of 5'])
    const each = upload.slice(upload.indexOf('Each limit') + 1).join(' ')
    assert.equal(each, 'default 3 of 5 left Sliding window · 5 in 1 d · action upload')
    follows(await of('gold:1', ''), ['Limits from', 'The override of gold:*'], ['Left', '50 of 50'])
    for (const [key, said, verdict] of [
      ['internal:cron', 'Never counted, as internal:*', 'Would be allowed'],
      ['mallory', 'Always refused, as mallory', 'Would be refused'],
    ]) {
      const lines = await of(key)
      follows(lines, ['Limits from', said])
      assert.ok(lines[0].startsWith(verdict))
      assert.ok(!lines.includes('Each limit') && !lines.includes('Left'), 'it is not counted')
    }
    limiter.configure('gold:1', { limit: 70, ...HOUR })
    follows(await of('gold:1'), ['Limits from', 'configure, in this process'], ['Left', '70 of 70'])
  })

  test('each of several limits, those that are tried last', async (t) => {
    const limiter = limiterOf(t, {
      limits: [
        { name: 'next', by: 'user', limit: 2, ...HOUR, shadow: true },
        { name: 'address', by: 'ip', limit: 30, ...HOUR },
        { name: 'account', by: 'user', limit: 5, ...HOUR },
      ],
    })
    const key = { ip: '192.0.2.1', user: 'eve' }
    for (let call = 0; call < 5; call += 1) await limiter.check(key)
    const page = await open(t, limiter)
    const lines = await linesOf(page, key)
    assert.ok(lines[0].startsWith('Would be refused'))
    const each = lines.slice(lines.indexOf('Each limit') + 1).join(' ')
    const wait = '(1 h|\\d+ min( \\d+ s)?)'
    const rows = [
      'address 25 of 30 left Sliding window · 30 in 1 h · by ip',
      `account 0 of 5 left, refuses for ${wait} Sliding window · 5 in 1 h · by user`,
      `next 0 of 2 left, would refuse for ${wait} Sliding window · 2 in 1 h · by user · tried, and refuses nobody`,
    ]
    assert.match(each, new RegExp(`^${rows.join(' ')}$`))
    const widths = await page.locator('.each .filled').evaluateAll((bars) => bars.map((bar) => bar.style.width))
    assert.deepEqual(widths, ['16.7%', '100%', '100%'])
  })

  test('what limits that are tried would have done', async (t) => {
    const limiter = limiterOf(t, { limit: 4, ...HOUR, candidate: { limit: 2, ...HOUR } })
    const page = await open(t, { plain: limiterOf(t, { limit: 4, ...HOUR }), limiter })
    assert.equal(await page.locator('#trials-card').isVisible(), false, 'where nothing is tried')
    await page.getByRole('link', { name: 'limiter' }).click()
    for (let call = 0; call < 8; call += 1) await limiter.check('alice')
    const row = page.getByRole('row', { name: /^candidate/ })
    await row.getByText('25.0%').waitFor()
    const expected =
      /^candidate\s*Sliding window · 2 in 1 h · tried in the place of the one in force\s*6\s*2\s*0\s*25\.0%/
    assert.match(await row.innerText(), expected)
    assert.equal(await page.locator('#limits-table').getByText('candidate').count(), 0)
  })

  test('what is left of limits under load, over time', async (t) => {
    let load = 0
    const signals = [() => load]
    const limiter = limiterOf(t, { limit: 100, ...HOUR, adaptive: { signals, min: 0.2, priorities: ['low', 'high'] } })
    const page = await open(t, { plain: limiterOf(t, { limit: 4, ...HOUR }), limiter })
    assert.equal(await page.locator('#adaptive-card').isVisible(), false, 'where no limit gives way')
    await page.getByRole('link', { name: 'limiter' }).click()
    const fact = (term) => page.locator('#adaptive-facts div', { hasText: term }).locator('dd')
    await fact('Left for low').getByText('100%').waitFor()
    load = 3
    await fact('Left for low').getByText('20%').waitFor()
    assert.match(await page.locator('#adaptive-facts').innerText(), /300%/)
    await page.locator('#adaptive-chart path.line.load').waitFor({ state: 'attached' })
    await page.locator('#adaptive-chart path.line.multiplier').waitFor({ state: 'attached' })
    assert.match(
      await page.locator('#adaptive-chart').getAttribute('aria-label'),
      /Now \d+% is left, at a load of 300%/,
    )
    await page.getByText('Load as a table').click()
    const table = page.getByRole('table', { name: /^Least that was left/ })
    assert.match(await table.innerText(), /\d+%\t300%/)
    const lines = await linesOf(page, { Key: 'alice' })
    assert.match(lines[lines.indexOf('Left under load') + 1], /^\d+%$/)
  })

  test('patterns and actions are text, whatever they say', async (t) => {
    const limiter = limiterOf(t, {
      limit: 9,
      ...HOUR,
      overrides: { [NASTY[0]]: { limit: 2, ...HOUR } },
      actions: { [NASTY[2]]: { limit: 3, ...HOUR } },
    })
    const page = await open(t, limiter)
    assert.ok((await linesOf(page, { Key: NASTY[0] })).includes(`The override of ${NASTY[0]}`))
    await page.getByRole('combobox', { name: 'Action' }).selectOption(NASTY[2])
    const lines = await linesOf(page, { Key: 'alice' })
    assert.ok(lines.includes(`The action ${NASTY[2]}`), lines.join(' | '))
    assert.equal(await page.locator('#lookup-answer :is(img, script, svg)').count(), 0)
  })

  for (const [what, context] of LOOKS) {
    test(`axe finds nothing: ${what}`, async (t) => {
      const limiter = limiterOf(t, {
        limits: [
          { name: 'address', by: 'ip', limit: 30, ...HOUR },
          { name: 'account-with-a-name-that-is-rather-long', by: 'user', limit: 2, ...HOUR },
          { name: 'next', by: 'user', limit: 1, ...HOUR, shadow: true },
        ],
        adaptive: { signals: [() => 0.4] },
      })
      const page = await open(t, limiter, { context, admin: true })
      for (let call = 0; call < 3; call += 1) await limiter.check({ ip: '192.0.2.1', user: NASTY[6] })
      await linesOf(page, { ip: '192.0.2.1', user: NASTY[6] })
      await page.locator('#adaptive-chart path').first().waitFor({ state: 'attached' })
      await page.getByText('Load as a table').click()
      await page.getByRole('row', { name: /^next/ }).waitFor()
      await assertClean(page, 'why')
      await assertFits(page)
    })
  }
})
