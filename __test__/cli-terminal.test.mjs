/** What the command line draws: texts, tables, bars and colours, and where. */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { cli } from './support/cli.mjs'
import { peopledRedis } from './support/peopled-redis.mjs'

const require = createRequire(import.meta.url)
const { bytes, cut, printable, printableJson, time, width } = require('../cli/terminal/text.js')
const { bar } = require('../cli/terminal/progress.js')
const { sparkline } = require('../cli/watch/parts.js')
const { table } = require('../cli/terminal/table.js')
const { styles, wantsColour } = require('../cli/terminal/style.js')

const WITHIN = { timeout: 300_000 }
// eslint-disable-next-line no-control-regex
const COLOUR = /\x1b\[3\dm/

let limiter
let env
const onTerminal = peopledRedis((given) => ({ limiter, env } = given))

describe('text', () => {
  test('takes as many columns as it seems to, and is cut to them', () => {
    const rows = { abc: 3, 日本語: 6, 'e\u0301': 1, '\x1b[31mred\x1b[39m': 3, '🚦': 2, '': 0 }
    for (const [text, columns] of Object.entries(rows)) assert.equal(width(text), columns, text)
    assert.deepEqual(
      [cut('abcdef', 6), cut('abcdef', 5), cut('日本語', 4), cut('x', 0)],
      ['abcdef', 'abcd…', '日…', ''],
    )
  })

  test('that was chosen by others is harmless, and JSON of it is read as the same', () => {
    const evil = 'a\x1b[2J\r\n\u202e\u200b\u009b\u{e0001}\ud800 日本'
    assert.equal(printable(evil), 'a\\x1b[2J\\x0d\\x0a\\u{202e}\\u{200b}\\x9b\\u{e0001}\\u{d800} 日本')
    assert.deepEqual(JSON.parse(printableJson({ evil })), { evil })
    assert.doesNotMatch(printableJson({ evil }), /[\p{Cc}\p{Cf}]/u)
  })

  test('of times and bytes', () => {
    const times = {
      0: '0 ms',
      0.2: '1 ms',
      999: '999 ms',
      1_000: '1.0 s',
      59_901: '60.0 s',
      60_000: '1 min',
      61_000: '1 min 1 s',
    }
    for (const [ms, text] of Object.entries(times)) assert.equal(time(Number(ms)), text)
    assert.deepEqual([3_600_000, 5_400_000, 86_400_000, 90_000_000].map(time), ['1 h', '1 h 30 min', '1 d', '1 d 1 h'])
    assert.deepEqual([0, 1_023, 1_024, 1_536, 200 * 2 ** 20, 2 ** 40].map(bytes), [
      '0 B',
      '1,023 B',
      '1.0 KiB',
      '1.5 KiB',
      '200 MiB',
      '1.0 TiB',
    ])
  })

  test('bars are in proportion', () => {
    assert.deepEqual(
      [bar(0, 4), bar(0.5, 4), bar(1, 4), bar(7, 4), bar(1 / 32, 4)],
      ['    ', '██  ', '████', '████', '▏   '],
    )
    assert.equal(sparkline([0, 5, 10], 8), '▁▅█')
    assert.equal(sparkline([0, 5, 10], 2), '▅█')
  })

  test('in a table one column gives way', () => {
    const columns = [
      { title: 'KEY', gives: true },
      { title: 'N', isNumber: true },
    ]
    const lines = (most) =>
      table(
        columns,
        [
          ['a very long key', '1'],
          ['日本語', '22'],
        ],
        { width: most, style: styles(false) },
      )
    assert.deepEqual(lines(Infinity), ['KEY               N', 'a very long key   1', '日本語           22'])
    assert.deepEqual(lines(14), ['KEY          N', 'a very lo…   1', '日本語      22'])
  })
})

describe('colours', WITHIN, () => {
  test('are wanted on a terminal alone, unless the environment says otherwise', () => {
    const wants = (isTTY, variables) => wantsColour({ isTTY }, variables)
    assert.deepEqual([wants(true, {}), wants(false, {}), wants(undefined, {})], [true, false, false])
    assert.deepEqual(
      [wants(true, { NO_COLOR: '1' }), wants(true, { NO_COLOR: '' }), wants(true, { TERM: 'dumb' })],
      [false, true, false],
    )
    assert.deepEqual(
      [
        wants(false, { FORCE_COLOR: '1' }),
        wants(true, { FORCE_COLOR: '0' }),
        wants(false, { FORCE_COLOR: '1', NO_COLOR: '1' }),
      ],
      [true, false, true],
    )
  })

  test('as a terminal and a pipe see them', async () => {
    const coloured = await onTerminal(['top', '-n', '3'], { env })
    const end = await coloured.ended
    assert.equal(end.code, 0)
    assert.match(end.all, COLOUR)
    const plain = await (await onTerminal(['top', '-n', '3'], { env: { ...env, NO_COLOR: '1' } })).ended
    assert.doesNotMatch(plain.all, COLOUR)
    assert.match(plain.all, /user:39/)
    assert.doesNotMatch((await cli(['top'], { env })).stdout, COLOUR)
    assert.match((await cli(['top'], { env: { ...env, FORCE_COLOR: '1' } })).stdout, COLOUR)
  })

  test('of an error are asked of the stream that it is written to', async () => {
    const running = await onTerminal(['top', '--nope'], { env })
    const { code, all } = await running.ended
    assert.equal(code, 2)
    assert.match(all, /\x1b\[31merror:/) // eslint-disable-line no-control-regex
  })
})

describe('the bar of long work', WITHIN, () => {
  test('is drawn on the terminal of the errors, leaves nothing, and is no part of the output', async (t) => {
    await Promise.all(Array.from({ length: 8_000 }, (_, at) => limiter.isAllowed(`many:${at}`)))
    const running = await onTerminal(['top', '-n', '1'], { env })
    const { code, all } = await running.ended
    assert.equal(code, 0)
    assert.match(all, /\rGoing through the keys ▕[█▏▎▍▌▋▊▉ ]{24}▏ \d+ % of 8,0\d\d keys/)
    assert.doesNotMatch(running.terminal.text, /Going through/)
    assert.match(running.terminal.text, /^8,042 keys in/)
    const folder = mkdtempSync(join(tmpdir(), 'rate-limiter-cli-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'stderr')
    const piped = await (await onTerminal(['top', '-n', '1'], { env, stderr: file })).ended
    assert.doesNotMatch(piped.all, /Going through/)
    assert.equal(readFileSync(file, 'utf8'), '')
  })
})
