/** docs/cli.md: its samples print what stands there, and its user may do what it is said to. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { after, before, describe, test } from 'node:test'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { told } from './support/cli.mjs'
import { codeBlocks } from './support/markdown.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const text = readFileSync(new URL('../docs/cli.md', import.meta.url), 'utf8')

let redis
before(async () => {
  redis = await startRedis()
  const [{ code }] = codeBlocks(text, ['js'])
  const program = code.replaceAll('redis://localhost:6379', redis.url)
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: root,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
})
after(() => redis.stop())

/** What differs from one run to the next, and how wide it is, made the same. */
const steady = (said) =>
  said
    .replaceAll(redis.url, 'redis://localhost:6379')
    .replace(/\b\d+(\.\d)? (d|h|min|s|ms)( \d+ (h|min|s))?(?![\w.])/g, '<time>')
    .replace(/ {2,}/g, '  ')
    .trim()

/** The commands of a block, each with what it prints. */
const commands = ({ code }) =>
  code
    .split(/^\$ /m)
    .slice(1)
    .map((part) => ({ line: part.slice(0, part.indexOf('\n')), prints: part.slice(part.indexOf('\n') + 1) }))

describe('samples', () => {
  for (const { line, prints } of codeBlocks(text, ['console']).flatMap(commands)) {
    test(line, async () => {
      const [, args, field] = /^npx distributed-rate-limiter ([^|]+?)(?: \| jq (\S+))?$/.exec(line)
      const { code, stdout, stderr } = await told(args.split(' '), { env: { REDIS_URL: redis.url } })
      assert.equal(code, 0, stderr)
      if (field === undefined) assert.equal(steady(stdout), steady(prints))
      else assert.equal(field === '.limits[0].remaining' && JSON.parse(stdout).limits[0].remaining, Number(prints))
    })
  }
})

describe('its user', () => {
  const [, line] = /```acl\n(.+)\n```/.exec(text)
  const url = () => `redis://operator:password@127.0.0.1:${redis.port}`
  /** Each with the rights without which it fails. */
  const NEEDS = {
    'inspect bob': ['+evalsha', '+get', '+time', '+scan', '+pttl', '+strlen'],
    'inspect bob --limit 100 --window 1h': ['+exists'],
    'explain bob --limit 100 --window 1h': ['+evalsha', '+get', '+time'],
    top: ['+scan'],
    'watch --count 1': ['+info', '+scan'],
    'block bob 1h': ['+set'],
    'unblock bob': ['+evalsha'],
    'reset bob': ['+del'],
  }

  for (const [words, needed] of Object.entries(NEEDS)) {
    test(`may ${words}, and needs ${needed.join(' ')} for it`, async () => {
      await redisCommand(redis.port, 'SCRIPT', 'FLUSH')
      await redisCommand(redis.port, ...line.split(' '))
      const env = { REDIS_URL: url() }
      await redisCommand(redis.port, 'SET', 'rl:other:sliding-window:unrelated', 'x')
      const { code, stderr } = await told(words.split(' '), { env })
      assert.equal(code, 0, stderr)
      for (const right of needed) {
        await redisCommand(
          redis.port,
          ...line.split(' ').filter((word) => word !== right),
          ...(right === '+get' ? ['-mget'] : []),
        )
        if (words === 'reset bob')
          await told(['block', 'bob', '1h', '--limit-name', 'default', '--algorithm', 'sliding-window'], {
            env: { REDIS_URL: redis.url },
          })
        const without = await told(words.split(' '), { env })
        assert.equal(without.code, 1, `without ${right}: ${without.stdout}`)
      }
    })
  }
})
