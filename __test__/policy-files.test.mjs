/** Policies in a file: what is read, what is refused and where, and what happens when the file changes. */

import assert from 'node:assert/strict'
import {
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import { Ajv } from 'ajv'
import { RateLimiter } from 'distributed-rate-limiter'

import { told } from './support/cli.mjs'
import { thrownBy } from './support/refusal.mjs'
import { sleep, until } from './support/wait.mjs'

const require = createRequire(import.meta.url)
const schema = require('../policies.schema.json')
const { PolicyFile } = require('../lib/policies/file.js')

const folder = mkdtempSync(join(tmpdir(), 'policies-'))
after(() => rmSync(folder, { recursive: true }))

let made = 0
/** A file of its own with this text. */
function fileOf(text, ending = 'yaml') {
  made += 1
  const path = join(folder, `${made}.${ending}`)
  writeFileSync(path, text)
  return path
}

const GOOD = `
version: 1
limit: 3
window: 1m
policies:
  gold: { limit: 7, window: 1m }
overrides:
  partner:*: { policy: gold }
  '*.example.com': { limit: 1, window: 1m }
allow: [healthcheck]
deny:
  - mallory
`.replace("  '*.example.com': { limit: 1, window: 1m }\n", '')

describe('a file', { timeout: 30_000 }, () => {
  test('says the limits, and the application the rest', async (t) => {
    const limiter = new RateLimiter({ policies: fileOf(GOOD), prefix: 'p', timeout: '1s' })
    t.after(() => limiter.close())
    const check = async (key) => {
      const { allowed, limit } = await limiter.check(key)
      return [allowed, limit]
    }
    assert.deepEqual(await check('alice'), [true, 3])
    assert.deepEqual(await check('partner:1'), [true, 7])
    assert.deepEqual(await check('mallory'), [false, 3])
    assert.equal(limiter.stats().policies.invalid, 0)
  })

  test('is JSON as well, and names its schema', async (t) => {
    const text = JSON.stringify({ $schema: './policies.schema.json', version: 1, limit: 2, window: '1m' })
    const limiter = new RateLimiter({ policies: fileOf(text, 'json') })
    t.after(() => limiter.close())
    assert.equal((await limiter.check('a')).limit, 2)
  })

  for (const [title, text, ending, line, column, field, says] of [
    ['no version', 'limit: 3\nwindow: 1m\n', 'yaml', 1, 1, undefined, /`version: 1`/],
    ['another version', 'version: 2\nlimit: 3\nwindow: 1m\n', 'yaml', 1, 1, 'version', /`version: 1`/],
    ['nothing', '', 'yaml', 1, 1, undefined, /must be an object/],
    ['an array', '- 1\n', 'yaml', 1, 1, undefined, /must be an object/],
    ['no YAML', 'version: 1\nallow: [a\n', 'yaml', 3, 1, undefined, /./],
    ['an alias of nothing', 'version: 1\nallow:\n  - *\n', 'yaml', 3, 5, undefined, /./],
    ['one name twice', 'version: 1\nlimit: 3\nlimit: 4\n', 'yaml', 3, 1, undefined, /unique/],
    ['no JSON', '{\n  "version": 1,\n}', 'json', undefined, undefined, undefined, /no JSON/],
    ['a store', 'version: 1\nredisUrl: redis://x\nlimit: 1\nwindow: 1m\n', 'yaml', 2, 1, 'redisUrl', /no `redisUrl`/],
    [
      'a file in a file',
      'version: 1\nlimit: 1\nwindow: 1m\npolicies: x.yaml\n',
      'yaml',
      4,
      1,
      'policies',
      /object here/,
    ],
    ['a limit of 0', 'version: 1\nlimit: 0\nwindow: 1m\n', 'yaml', 2, 1, 'limit', /`limit`.*0 was given/],
    ['a bad pattern', `${GOOD}  - a*b\n`, 'yaml', 12, 5, 'deny[1]', /not at the end/],
    ['overlapping patterns', `${GOOD}  - healthcheck\n`, 'yaml', 12, 5, 'deny[1]', /`allow\[0\]`.*`deny\[1\]`/],
    ['a loop', 'version: 1\nlimit: 1\nwindow: 1m\npolicies:\n  a: { extends: a }\n', 'yaml', 4, 1, 'policies', /a → a/],
    [
      'a misspelt field',
      'version: 1\nlimit: 1\nwindow: 1m\noverrides:\n  a.b:\n    limt: 1\n    window: 1m\n',
      'yaml',
      6,
      5,
      'overrides.a.b.limt',
      /did you mean `limit`/,
    ],
    [
      'a name that begins like another',
      'version: 1\nlimit: 1\nwindow: 1m\noverrides:\n  a: { limit: 1, window: 1m }\n  a.b: { limit: 0, window: 1m }\n',
      'yaml',
      6,
      10,
      'overrides.a.b.limit',
      /0 was given/,
    ],
    [
      'an alias of what may not be said here',
      'version: 1\nlimit: 1\nwindow: 1m\npolicies:\n  base: { limit: 1, window: 1m }\n  gold: &gold { extends: base }\noverrides:\n  a: *gold\n',
      'yaml',
      6,
      17,
      'overrides.a.extends',
      /no `extends`/,
    ],
    ['a tag that nobody knows', 'version: 1\nlimit: !much 3\nwindow: 1m\n', 'yaml', 2, 8, undefined, /much/],
    ['more than 16 MiB', ' '.repeat(16 * 2 ** 20 + 1), 'yaml', undefined, undefined, undefined, /larger than 16 MiB/],
  ]) {
    test(`with ${title} is refused, and the place is named`, () => {
      const path = fileOf(text, ending)
      const error = thrownBy(() => new RateLimiter({ policies: path }), title)
      assert.equal(error.code, 'ERR_RATE_LIMIT_POLICIES', error.message)
      const [problem] = error.problems
      assert.match(problem.message, says)
      assert.equal(problem.field, field)
      // Which place Node names in a JSON is its own affair.
      if (ending === 'yaml') assert.deepEqual([problem.line, problem.column], [line, column], problem.message)
      assert.ok(error.message.startsWith(path), error.message)
    })
  }

  test('that is not there is refused', () => {
    const error = thrownBy(() => new RateLimiter({ policies: join(folder, 'none.yaml') }), 'no file')
    assert.equal(error.code, 'ERR_RATE_LIMIT_POLICIES')
    assert.match(error.message, /cannot be read.*ENOENT/)
  })

  test('does not say what the application says, too', () => {
    const error = thrownBy(() => new RateLimiter({ policies: fileOf(GOOD), limit: 5 }), 'twice')
    assert.match(error.message, /`limit` is said here and by the application/)
  })

  test('is read, where an option of that name was left undefined', async (t) => {
    const limiter = new RateLimiter({ policies: fileOf(GOOD), limit: undefined })
    t.after(() => limiter.close())
    assert.equal((await limiter.check('alice')).limit, 3)
  })

  test('with several mistakes says how many more there are', () => {
    const [one, two] = [
      'version: 1\nlimit: 1\nwindow: 1m\ndeny: [a*b]\n',
      'version: 1\nlimit: 1\nwindow: 1m\ndeny: [a*b, c*d]\n',
    ]
    const messageOf = (text) => thrownBy(() => new RateLimiter({ policies: fileOf(text) }), text).message
    assert.doesNotMatch(messageOf(one), /more\)/)
    assert.match(messageOf(two), /\(and 1 more\)$/)
  })

  test('that is no JSON names the column after those that are right', () => {
    const { problems } = thrownBy(() => new RateLimiter({ policies: fileOf('{\n  ?}', 'json') }), 'it')
    assert.deepEqual([problems[0].line, problems[0].column], [2, 3])
  })

  test('does not change what all objects inherit', () => {
    const text = 'version: 1\nlimit: 1\nwindow: 1m\noverrides:\n  __proto__: { limit: 1, window: 1m }\n'
    new RateLimiter({ policies: fileOf(text) })
    assert.equal({}.limit, undefined)
  })
})

describe('a file that changes', { timeout: 60_000 }, () => {
  /** A file that is followed, with what was applied and what failed. */
  function followed(t, text = 'one') {
    const path = fileOf(text)
    const seen = { path, applied: [], failed: [] }
    const apply = (changed) => {
      if (changed.startsWith('bad')) throw new Error(changed)
      seen.applied.push(changed)
    }
    const file = new PolicyFile(path, text, { apply, fail: (error) => seen.failed.push(error.code ?? error.message) })
    t.after(() => file.stop())
    return seen
  }

  const applies = (seen, expected) => until(() => seen.applied.length >= expected.length, `${expected} are applied`)

  test('is applied when it is written, and when another takes its place', async (t) => {
    const seen = followed(t)
    writeFileSync(seen.path, 'two')
    await applies(seen, ['two'])
    for (const text of ['three', 'four']) {
      writeFileSync(`${seen.path}.new`, text)
      renameSync(`${seen.path}.new`, seen.path)
      await until(() => seen.applied.at(-1) === text, text)
    }
    assert.deepEqual(seen, { ...seen, applied: ['two', 'three', 'four'], failed: [] })
  })

  test('is told once where it is not right, and applied when it is again', async (t) => {
    const seen = followed(t)
    writeFileSync(seen.path, 'bad one')
    await until(() => seen.failed.length > 0, 'it is told')
    writeFileSync(seen.path, 'bad one')
    writeFileSync(seen.path, 'bad two')
    await until(() => seen.failed.length > 1, 'the other is told')
    writeFileSync(seen.path, 'two')
    await applies(seen, ['two'])
    assert.deepEqual(seen, { ...seen, applied: ['two'], failed: ['bad one', 'bad two'] })
  })

  test('that is cut off or removed is told, and what was in force needs no applying when it is back', async (t) => {
    const seen = followed(t, 'bad while cut off')
    unlinkSync(seen.path)
    await until(() => seen.failed.includes('ENOENT'), 'it is told')
    writeFileSync(seen.path, 'bad while cut off')
    truncateSync(seen.path, 3)
    await until(() => seen.failed.includes('bad'), 'it is told')
    writeFileSync(seen.path, 'bad while cut off')
    writeFileSync(`${seen.path}.new`, 'two')
    renameSync(`${seen.path}.new`, seen.path)
    await applies(seen, ['two'])
    assert.deepEqual(seen, { ...seen, applied: ['two'], failed: ['ENOENT', 'bad'] })
  })

  test('that is written piece by piece is applied whole', async (t) => {
    const seen = followed(t)
    for (const text of ['t', 'tw', 'two', 'two th', 'two three']) writeFileSync(seen.path, text)
    await applies(seen, ['two three'])
    assert.deepEqual(seen.applied, ['two three'])
  })

  test('that is in the midst of being written when it is read is read again', async (t) => {
    const texts = ['t', 'tw', 'two th', 'two three']
    const read = async () => (texts.length > 1 ? texts.shift() : texts[0])
    const applied = []
    const path = fileOf('one')
    const fail = (error) => assert.fail(error)
    const file = new PolicyFile(path, 'one', { apply: (text) => applied.push(text), fail, read })
    t.after(() => file.stop())
    writeFileSync(path, 'something')
    await until(() => applied.length > 0, 'it is applied')
    assert.deepEqual(applied, ['two three'])
  })

  test('is not told again, however often it is looked at', async (t) => {
    let reads = 0
    const read = async () => {
      reads += 1
      return 'bad'
    }
    const failed = []
    const path = fileOf('one')
    const apply = (text) => {
      throw new Error(text)
    }
    const file = new PolicyFile(path, 'one', { apply, fail: (error) => failed.push(error.message), read })
    t.after(() => file.stop())
    for (let looks = 2; looks <= 5; looks += 1) {
      writeFileSync(path, `something ${looks}`)
      await until(() => reads >= looks, 'it is looked at')
    }
    assert.deepEqual(failed, ['bad'])
  })

  /** One whose texts are those that the test gives, one for each look at it. */
  function looked(t) {
    const seen = { path: fileOf('one'), applied: [], failed: [], reads: [] }
    const apply = (text) => {
      if (text.startsWith('bad')) throw new Error(text)
      seen.applied.push(text)
    }
    const read = () => new Promise((resolve) => seen.reads.push(resolve))
    seen.file = new PolicyFile(seen.path, 'one', { apply, fail: (error) => seen.failed.push(error.message), read })
    t.after(() => seen.file.stop())
    seen.touch = () => writeFileSync(seen.path, `touched ${seen.reads.length}`)
    /** It is read, and once more when it has stood: both times this. */
    seen.says = async (text) => {
      for (const expected of [seen.reads.length + 1, seen.reads.length + 2]) {
        if (expected === seen.reads.length + 1) seen.touch()
        await until(() => seen.reads.length >= expected, `look ${expected}`)
        seen.reads.at(-1)(text)
      }
    }
    return seen
  }

  for (const [between, title] of [
    ['one', 'what was in force'],
    ['two', 'something right'],
  ]) {
    test(`that is wrong again after ${title} is told again, and what is right is applied once`, async (t) => {
      const seen = looked(t)
      await seen.says('bad')
      await until(() => seen.failed.length === 1, 'it is told')
      await seen.says(between)
      await seen.says('bad')
      await until(() => seen.failed.length === 2, 'it is told again')
      await seen.says(between)
      await seen.says(between)
      await new Promise((resolve) => setImmediate(resolve))
      assert.deepEqual(seen.applied, between === 'two' ? ['two'] : [])
    })
  }

  test('that is being read when it is left alone is applied no more', async (t) => {
    const seen = looked(t)
    seen.touch()
    await until(() => seen.reads.length === 1, 'the first look')
    seen.reads[0]('two')
    await until(() => seen.reads.length === 2, 'the second')
    seen.file.stop()
    seen.reads[1]('two')
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(seen.applied, [])
  })

  test('that is read slowly is read once at a time', async (t) => {
    const seen = looked(t)
    seen.touch()
    await until(() => seen.reads.length === 1, 'the first look')
    writeFileSync(seen.path, 'again')
    // As long as it takes to be looked at twice.
    await sleep(200)
    assert.equal(seen.reads.length, 1)
    seen.reads[0]('two')
    await until(() => seen.reads.length === 2, 'it is looked at then')
  })

  test('that is a link is followed to where it leads', async (t) => {
    const target = join(mkdtempSync(join(folder, 'elsewhere-')), 'file')
    writeFileSync(target, 'one')
    // In a folder that nobody has watched: what is told of the link being made would pass for a change.
    const path = join(mkdtempSync(join(folder, 'link-')), 'file.yaml')
    symlinkSync(target, path)
    const applied = []
    const file = new PolicyFile(path, 'one', {
      apply: (text) => applied.push(text),
      fail: (error) => assert.fail(error),
    })
    t.after(() => file.stop())
    writeFileSync(target, 'two')
    await until(() => applied.length > 0, 'it is applied', 10_000)
    assert.deepEqual(applied, ['two'])
  })

  test('changes what it says, and not what the application has said', async (t) => {
    const path = fileOf('version: 1\nlimit: 3\nwindow: 1m\n')
    const limiter = new RateLimiter({ policies: path, algorithm: 'fixed-window' })
    t.after(() => limiter.close())
    limiter.on('policiesInvalid', (error) => assert.fail(error))
    writeFileSync(path, 'version: 1\nlimit: 4\nwindow: 1m\n')
    await until(() => limiter.policies()[0].limit === 4, 'it is in force')
    assert.equal(limiter.policies()[0].algorithm, 'fixed-window')
  })

  test('has the limiter updated, and the last good policies stay in force', async (t) => {
    class Updatable extends RateLimiter {
      updates = []
      update(options) {
        this.updates.push(options)
      }
    }
    const messages = []
    const logger = { warn() {}, error: (message) => messages.push(message) }
    const path = fileOf(GOOD)
    const limiter = new Updatable({ policies: path, logger })
    t.after(() => limiter.close())
    const errors = []
    limiter.on('policiesInvalid', (error) => errors.push(error))
    writeFileSync(path, 'version: 1\nlimit: 0\nwindow: 1m\n')
    await until(() => errors.length > 0, 'it is told')
    assert.equal(errors[0].code, 'ERR_RATE_LIMIT_POLICIES')
    assert.deepEqual([errors[0].problems[0].line, errors[0].problems[0].field], [2, 'limit'])
    assert.equal(limiter.stats().policies.invalid, 1)
    assert.equal(messages.length, 1)
    assert.match(messages[0], /last good policies/)
    assert.equal((await limiter.check('alice')).limit, 3)
    writeFileSync(path, GOOD.replace('limit: 3', 'limit: 4'))
    await until(() => limiter.updates.length > 0, 'it is updated')
    assert.equal(limiter.updates[0].limit, 4)
    assert.deepEqual(limiter.updates[0].deny, ['mallory'])
    assert.equal(errors.length, 1)
  })
})

describe('the schema', () => {
  const validate = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).compile(schema)
  const limit = { limit: 1, window: '1m' }

  for (const [title, isRight, document] of [
    ['a limit', true, limit],
    [
      'every field',
      true,
      {
        ...limit,
        algorithm: 'token-bucket',
        burst: 5,
        fallback: { limit: 1, window: 5, share: 'fleet' },
        actions: { 'GET /:x': { ...limit, algorithm: 'fixed-window', align: true } },
        overrides: { a: { ...limit, burst: 3 }, 'b:*': { policy: 'gold' } },
        policies: { gold: limit, more: { extends: 'gold', limit: 5 } },
        allow: ['a*', '10.0.0.0/8'],
        deny: [],
      },
    ],
    ['limits', true, { limits: [{ name: 'a', by: 'user', ...limit }], newKeys: { by: 'ip', ...limit } }],
    [
      'rules by fields',
      true,
      {
        limits: [
          { name: 'a', by: 'user', ...limit },
          { name: 'b', by: 'user', ...limit },
          { name: 'c', by: 'ip', ...limit },
        ],
        policies: { gold: limit },
        overrides: { ip: { '10.*': limit }, user: { 'b:*': { limits: { a: { policy: 'gold' }, b: limit } } } },
        allow: { user: ['a*'] },
        deny: { ip: ['10.0.0.0/8'], user: [] },
      },
    ],
    ['a list of a field that is a text', false, { limits: [{ name: 'a', by: 'u', ...limit }], deny: { u: 'a' } }],
    [
      'an override of no limit',
      false,
      { limits: [{ name: 'a', by: 'u', ...limit }], overrides: { u: { b: { limits: {} } } } },
    ],
    [
      'numbers of all limits and of each',
      false,
      { limits: [{ name: 'a', by: 'u', ...limit }], overrides: { u: { b: { ...limit, limits: { a: limit } } } } },
    ],
    ['a burst of a window', true, { ...limit, burst: { extra: 1, window: '1s' }, resolution: 5 }],
    [
      'a limit that is tried',
      true,
      {
        limits: [
          { name: 'a', ...limit },
          { name: 'b', ...limit, shadow: true },
        ],
      },
    ],
    ['a limiter that is tried', true, { ...limit, shadow: true }],
    ['a candidate', true, { ...limit, candidate: { ...limit, algorithm: 'token-bucket', burst: 3 } }],
    ['a candidate with a fallback', false, { ...limit, candidate: { ...limit, fallback: limit } }],
    [
      'actions that are tried',
      true,
      { ...limit, actions: { login: { ...limit, candidate: limit }, search: { ...limit, shadow: true } } },
    ],
    ['a shadow that is a number', false, { ...limit, shadow: 1 }],
    ['no limit at all', false, { ...limit, limit: undefined, window: undefined, limits: [] }],
    ['a limit of 0', false, { ...limit, limit: 0 }],
    ['a window without a unit', false, { ...limit, window: '10' }],
    ['an unknown field', false, { ...limit, limt: 1 }],
    ['a store', false, { ...limit, redisUrl: 'redis://x' }],
    ['an unknown algorithm', false, { ...limit, algorithm: 'leaky' }],
    [
      'an override with both',
      false,
      { ...limit, overrides: { a: { ...limit, policy: 'gold' } }, policies: { gold: limit } },
    ],
    ['an override without a window', false, { ...limit, overrides: { a: { limit: 1 } } }],
    ['a deny that is a text', false, { ...limit, deny: 'a' }],
    ['an empty pattern', false, { ...limit, deny: [''] }],
    ['a long pattern', false, { ...limit, allow: ['x'.repeat(257)] }],
    ['a policy of no name', false, { ...limit, policies: { 'a b': limit } }],
    ['another version', false, { ...limit, version: 2 }],
  ]) {
    test(`${isRight ? 'accepts' : 'refuses'} ${title}, as the limiter does`, async () => {
      const text = JSON.stringify({ version: 1, ...document })
      assert.equal(validate(JSON.parse(text)), isRight, JSON.stringify(validate.errors))
      const { code } = await told(['validate', fileOf(text, 'json')])
      assert.equal(code, isRight ? 0 : 1)
    })
  }

  test('is published, and knows every field', () => {
    const { FIELDS } = require('../lib/policies/document.js')
    assert.deepEqual(Object.keys(schema.properties).sort(), ['$schema', 'version', ...FIELDS].sort())
    const { files } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
    assert.ok(files.includes('policies.schema.json'))
  })
})

describe('npx distributed-rate-limiter validate', { timeout: 30_000 }, () => {
  test('says that a file is right', async () => {
    const path = fileOf(GOOD)
    assert.deepEqual(await told(['validate', path]), { code: 0, stdout: `${path} is right.\n`, stderr: '' })
    const { stdout } = await told(['validate', path, '--json'])
    assert.deepEqual(JSON.parse(stdout), { file: path, valid: true, problems: [] })
    assert.equal((await told(['validate', fileOf('version: 1\ndeny: [a]\n')])).code, 0, 'the application has the limit')
  })

  test('says all that is wrong, each with its place', async () => {
    const path = fileOf(`${GOOD}  - a*b\n  - ok\n  - mallory\nlimt: 1\n`)
    const { code, stdout } = await told(['validate', path])
    assert.equal(code, 1)
    const places = stdout
      .trim()
      .split('\n')
      .map((line) => line.slice(path.length).split(' ')[0])
    assert.deepEqual(places, [':12:5:', ':14:5:', ':15:1:'])
    const { code: same, stdout: json } = await told(['validate', path, '--json'])
    const { valid, problems } = JSON.parse(json)
    assert.deepEqual([same, valid], [1, false])
    assert.deepEqual(
      problems.map(({ field }) => field),
      ['deny[1]', 'deny[3]', 'limt'],
    )
  })

  test('says all that is wrong with rules by fields, each with its place', async () => {
    const text = `version: 1
limits:
  - { name: user, by: user, limit: 3, window: 1m }
deny:
  user:
    - a*b
    - good
    - c*d
overrides:
  user:
    e*f: { limit: 1, window: 1m }
    vip: { limt: 1 }
`
    const { code, stdout } = await told(['validate', fileOf(text), '--json'])
    assert.equal(code, 1)
    const { problems } = JSON.parse(stdout)
    assert.deepEqual(
      problems.map(({ line, field }) => [line, field]),
      [
        [6, 'deny.user[0]'],
        [8, 'deny.user[2]'],
        [11, 'overrides.user.e*f'],
        [12, 'overrides.user.vip.limt'],
      ],
    )
  })

  test('is told what is no file of policies', async () => {
    for (const [path, says] of [
      ['x.toml', '.yaml, .yml or .json'],
      [join(folder, 'none.yaml'), 'cannot be read'],
    ]) {
      const { code, stderr } = await told(['validate', path])
      assert.equal(code, 2)
      assert.ok(stderr.includes(says), stderr)
    }
  })
})
