/** Node's permission model: without the right to load an addon there is an error that says so, and with it the limiter works. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { program, run, assertEnded, describe as described } from './support/child.mjs'

// It left its experimental stage in version 23.5.
const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'

const within = (more) => run(program('one-decision.mjs'), { nodeArgs: [PERMISSION, '--allow-fs-read=*', ...more] })

describe("Node's permission model", { timeout: 60_000 }, () => {
  test('with --allow-addons the limiter decides', async () => {
    const end = await within(['--allow-addons'])
    assertEnded(end, 'the program')
    assert.match(end.stdout, /^allowed$/m, described(end))
  })

  test('without it the error says what to allow', async () => {
    const end = await within([])
    assertEnded(end, 'the program')
    assert.match(end.stdout, /^ERR_RATE_LIMIT_ADDON Error: /m, described(end))
    assert.match(end.stdout, /--allow-addons/, described(end))
  })

  test('so it is with --no-addons', async () => {
    const end = await run(program('one-decision.mjs'), { nodeArgs: ['--no-addons'] })
    assertEnded(end, 'the program')
    assert.match(end.stdout, /^ERR_RATE_LIMIT_ADDON Error: .*--no-addons/m, described(end))
  })
})
