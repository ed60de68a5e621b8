/** Any string is a key, and no two strings share a count, in memory and in Redis. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'

const KIB = 1_024
const long = (length, end) => 'k'.repeat(length - 1) + end

/** Every two of these are different strings, and many pairs look alike to somebody. */
const KEYS = {
  'a plain key': 'user',
  'the same in capitals': 'USER',
  'with a space before': ' user',
  'with a space after': 'user ',
  'with a newline after': 'user\n',
  'with CRLF after': 'user\r\n',
  'with NUL after': 'user\0',
  'with NUL and more': 'user\0x',
  'with NUL and other': 'user\0y',
  'with NUL before': '\0user',
  'NUL alone': '\0',
  'two NULs': '\0\0',
  'a space': ' ',
  'a newline': '\n',
  'braces, so one Cluster slot': '{user}',
  'braces and more': '{user}:1',
  'braces and other': '{user}:2',
  'empty braces': '{}',
  'an open brace': '{',
  'a closed brace': '}',
  'a colon': ':',
  colons: 'a:b:c',
  'other colons': 'a:b::c',
  'per cent': '%',
  'a format': '%s%d%n',
  'percent-encoded NUL': '%00',
  'percent-encoded replacement character': '%EF%BF%BD',
  'a glob': '*',
  'a class': '[a-z]?',
  quotes: '"\'`',
  'a backslash': '\\',
  'a command': 'x\r\n*1\r\n$8\r\nFLUSHALL\r\n',
  zero: '0',
  zeros: '00',
  'a number': '1',
  'a number with a point': '1.0',
  'undefined, spelt': 'undefined',
  'null, spelt': 'null',
  'a prototype': '__proto__',
  'a constructor': 'constructor',
  'a method': 'hasOwnProperty',
  emoji: '😀',
  'another emoji': '😁',
  'the first half of the emoji': '\ud83d',
  'the second half of the emoji': '\ude00',
  'the halves the wrong way round': '\ude00\ud83d',
  'a family': '👨‍👩‍👧',
  'the family, not joined': '👨👩👧',
  'a lone high surrogate': '\ud800',
  'the next lone high surrogate': '\ud801',
  'the first lone low surrogate': '\udc00',
  'the replacement character': '\ufffd',
  'two replacement characters': '\ufffd\ufffd',
  'three replacement characters': '\ufffd\ufffd\ufffd',
  'a lone surrogate in a text': 'a\ud800b',
  'another lone surrogate in a text': 'a\ud801b',
  'a replacement character in a text': 'a\ufffdb',
  'an escaped surrogate, spelt': '\\ud800',
  'bytes of a surrogate, as Latin-1': '\u00ed\u00a0\u0080',
  'é composed': '\u00e9',
  'é decomposed': 'e\u0301',
  e: 'e',
  'a byte order mark': '\ufeff',
  'a byte order mark and e': '\ufeffe',
  'right to left': '\u202euser',
  '1 KiB exactly': long(KIB, 'a'),
  '1 KiB, another last character': long(KIB, 'b'),
  '1 KiB + 1': long(KIB + 1, 'a'),
  '1 KiB + 1, another last character': long(KIB + 1, 'b'),
  '1 KiB of two bytes each': 'é'.repeat(KIB / 2),
  '1 KiB + 2 of two bytes each': 'é'.repeat(KIB / 2 + 1),
  '1 KiB + 2, decomposed': 'e\u0301'.repeat(KIB / 2 + 1),
  'long, with a lone surrogate': '\ud800' + long(2 * KIB, 'a'),
  'long, with another lone surrogate': '\ud801' + long(2 * KIB, 'a'),
  'long, with a replacement character': '\ufffd' + long(2 * KIB, 'a'),
  '1 MiB': long(KIB * KIB, 'a'),
  '1 MiB, another last character': long(KIB * KIB, 'b'),
  '1 MiB, another first character': 'b' + long(KIB * KIB - 1, 'a'),
}

const ALGORITHMS = ['sliding-window', 'token-bucket']

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

/** One unit a day, so whoever comes second to a count is denied. */
const options = (store, algorithm, prefix) => ({
  limit: 1,
  window: '1d',
  algorithm,
  ...(store === 'redis' && { redisUrl: redis.url, prefix, timeout: '10s', onStoreError: 'throw' }),
})

for (const store of ['memory', 'redis']) {
  describe(`keys in ${store}`, { timeout: 60_000 }, () => {
    for (const algorithm of ALGORITHMS) {
      test(`${algorithm}: every two keys are distinct, one call after another`, async () => {
        const limiter = new RateLimiter(options(store, algorithm, 'one-by-one'))
        for (const [title, key] of Object.entries(KEYS)) {
          assert.equal(await limiter.isAllowed(key), true, `"${title}" shares the count of a key before it`)
        }
        for (const [title, key] of Object.entries(KEYS)) {
          assert.equal(await limiter.isAllowed(key), false, `"${title}" was not counted the first time`)
        }
        await limiter.close()
      })

      test(`${algorithm}: every two keys are distinct, all at once`, async () => {
        const limiter = new RateLimiter(options(store, algorithm, 'at-once'))
        const first = await Promise.all(Object.values(KEYS).map((key) => limiter.isAllowed(key)))
        const second = await Promise.all(Object.values(KEYS).map((key) => limiter.isAllowed(key)))
        for (const [index, title] of Object.keys(KEYS).entries()) {
          assert.equal(first[index], true, `"${title}" shares the count of another key`)
          assert.equal(second[index], false, `"${title}" was not counted the first time`)
        }
        await limiter.close()
      })
    }

    test('reset finds the key that it is given', async () => {
      const limiter = new RateLimiter(options(store, 'sliding-window', 'reset'))
      for (const [title, key] of Object.entries(KEYS)) {
        assert.equal(await limiter.isAllowed(key), true, title)
        await limiter.reset(key)
        assert.equal(await limiter.isAllowed(key), true, `"${title}" was not forgotten`)
      }
      for (const [title, key] of Object.entries(KEYS)) {
        assert.equal(await limiter.isAllowed(key), false, `"${title}" was forgotten together with another key`)
      }
      await limiter.close()
    })
  })
}

describe('keys as Redis holds them', { timeout: 60_000 }, () => {
  const namesUnder = (prefix) => redisCommand(redis.port, 'KEYS', `${prefix}:*`)

  test('up to 1 KiB as they are, beyond it as a digest', async () => {
    const limiter = new RateLimiter(options('redis', 'sliding-window', 'stored'))
    const kept = long(KIB, 'a')
    await limiter.isAllowed(kept)
    assert.deepEqual(await namesUnder('stored'), [`stored:default:sliding-window:${kept}`])
    await limiter.reset(kept)

    await limiter.isAllowed(long(KIB * KIB, 'a'))
    const [name, ...others] = await namesUnder('stored')
    assert.equal(others.length, 0, 'one key, one name')
    assert.ok(name.length < 200, `a long key has a short name, not one of ${name.length} characters`)
    await limiter.close()
  })

  test('a short key that spells the digest of a long one is still another key', async () => {
    const limiter = new RateLimiter(options('redis', 'sliding-window', 'forged'))
    await limiter.isAllowed(long(2 * KIB, 'a'))
    const [name] = await namesUnder('forged')
    const spelt = String(name).slice('forged:default:sliding-window:'.length)
    assert.equal(await limiter.isAllowed(spelt), true, `${JSON.stringify(spelt)} shares the count of a long key`)
    await limiter.close()
  })
})
