/** `npx distributed-rate-limiter policies`: shows, publishes and follows what a fleet shares. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { told } from './support/cli.mjs'
import { until } from './support/wait.mjs'

let redis
let folder
before(async () => {
  redis = await startRedis()
  folder = mkdtempSync(join(tmpdir(), 'rate-limiter-policies-'))
})
after(async () => {
  rmSync(folder, { recursive: true })
  await redis.stop()
})

const policies = (...words) => told(['policies', ...words], { env: { REDIS_URL: redis.url } })

function file(text) {
  const path = join(folder, 'limits.json')
  writeFileSync(path, typeof text === 'string' ? text : JSON.stringify(text))
  return path
}

describe('policies', { timeout: 60_000 }, () => {
  test('set publishes a file, get prints it, and limiters have it in force', async (t) => {
    const limiter = new RateLimiter({ limit: 5, window: '1h', redisUrl: redis.url, policies: 'shared' })
    t.after(() => limiter.close())
    const nothing = await policies('get')
    assert.deepEqual([nothing.code, nothing.stdout], [1, ''])
    assert.match(nothing.stderr, /No policies of the name default are stored/)

    const document = { limit: 7, window: '1h', actions: { 'a b': { limit: 1, window: '1s' } } }
    const first = await policies('set', file(document))
    assert.deepEqual([first.code, first.stderr], [0, ''])
    assert.equal(first.stdout, 'Published version 1 of the policies default.\n')
    await until(() => limiter.policies()[0].limit === 7, 'it is in force')
    assert.deepEqual(JSON.parse((await policies('get')).stdout), document)
    const { publishedAt, ...stored } = JSON.parse((await policies('get', '--json')).stdout)
    assert.deepEqual(stored, { name: 'default', version: 1, document })
    assert.equal(publishedAt, limiter.sharedPolicies().publishedAt)
    assert.deepEqual(JSON.parse((await policies('set', file(document), '--json', '--if-version', 1)).stdout), {
      name: 'default',
      version: 2,
    })
  })

  test('what is wrong is said, and nothing is stored', async () => {
    const name = ['--name', 'wrong']
    const good = { limit: 7, window: '1h' }
    await policies('set', file(good), ...name)
    const before = await redisCommand(redis.port, 'HGETALL', 'rl:policies:wrong')
    for (const [words, text, code, expected] of [
      [['set', ...name], good, 2, /policies set needs a <file>/],
      [['get', 'x', ...name], good, 2, /policies get takes no file/],
      [['put', ...name], good, 2, /one of the words get, set and watch/],
      [['set', 'x', 'y', ...name], good, 2, /more was given/],
      [['set', join('no', 'such', 'file'), ...name], good, 2, /the file cannot be read/],
      [['set', file(good), '--name', 'a:b'], good, 2, /--name.* must be a name of 1 to 64/],
      [['set', file(good), '--if-version', 'x', ...name], good, 2, /--if-version must be a whole number/],
      [['set', file(good), '--if-version', '7', ...name], good, 1, /the version is 1, and not 7/],
      [['set', file(good), ...name], '{', 1, /is no JSON/],
      [['set', file(good), ...name], { limit: 0, window: '1h' }, 1, /`limit` must be a whole number/],
      [['set', file(good), ...name], { ...good, redisUrl: 'x' }, 1, /each limiter's own/],
    ]) {
      file(text)
      const said = await policies(...words)
      assert.equal(said.code, code, `${words}: ${said.stderr}`)
      assert.match(said.stderr, expected)
    }
    assert.deepEqual(await redisCommand(redis.port, 'HGETALL', 'rl:policies:wrong'), before)
  })

  test('watch tells what is stored, and each change', async () => {
    const name = ['--name', 'watched']
    await policies('set', file({ limit: 1, window: '1h' }), ...name)
    const watching = policies('watch', '--json', '--count', '3', ...name)
    // What is stored when it begins is one line, whenever that is.
    let written = 1
    const writing = until(
      async () => {
        written += 1
        await policies('set', file({ limit: written, window: '1h' }), ...name)
        return Promise.race([watching, undefined])
      },
      'it has seen three',
      20_000,
    )
    const { code, stdout } = await watching
    await writing
    assert.equal(code, 0)
    const lines = stdout.trim().split('\n').map(JSON.parse)
    assert.equal(lines.length, 3)
    for (const { name, version, document } of lines) {
      assert.deepEqual([name, document], ['watched', { limit: version, window: '1h' }])
    }
    assert.ok(lines[0].version < lines[1].version && lines[1].version < lines[2].version)
  })
})
