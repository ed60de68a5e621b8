/**
 * `npm run soak -- [--hours N] [--rate N]`: a steady load with a fault each minute, for so long (1 hour). Writes `docs/soak.md` and its
 * picture, and fails where a call was left unsettled, something was left uncaught, or memory, descriptors or threads grew.
 *
 *   --data <file>   keeps what was measured as JSON, whatever comes of it
 *   --from <file>   soaks nothing, and writes the report of what was kept
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureBuilt } from './build.mjs'
import { ensureInstalled } from './install.mjs'
import { findRedisServer } from './redis.mjs'
import { exitWith, root, runTool } from './run.mjs'

const PACE = { everyMs: 60_000, lastsMs: 8_000, sampleMs: 5_000 }

const { values: options } = parseArgs({
  options: {
    hours: { type: 'string', default: '1' },
    rate: { type: 'string', default: '2000' },
    data: { type: 'string' },
    from: { type: 'string' },
  },
})

function positive(name) {
  const number = Number(options[name])
  if (!(number > 0)) throw new Error(`--${name} must be a number above 0, not ${options[name]}`)
  return number
}

/** What was measured, and on what. */
async function measure() {
  const [hours, rate] = [positive('hours'), positive('rate')]
  await ensureInstalled()
  await ensureBuilt()
  process.env.REDIS_SERVER = findRedisServer()
  // It loads the addon, which has only now been built.
  const { soak } = await import('../__test__/soak/run.mjs')
  const { machine, tell } = await import('../__test__/soak/report.mjs')
  const measured = await soak({ ...PACE, rate, lengthMs: hours * 3_600_000, tell })
  const found = { ...measured, rate, machine: machine(), ...PACE }
  if (options.data)
    writeFileSync(
      options.data,
      JSON.stringify(found, (_, value) => (value instanceof Error ? `${value}` : value)),
    )
  return found
}

async function main() {
  const measured = options.from ? JSON.parse(readFileSync(options.from, 'utf8')) : await measure()
  const { documentOf, verdictOf } = await import('../__test__/soak/report.mjs')
  const { draw } = await import('../__test__/soak/picture.mjs')
  const file = join(root, 'docs', 'soak.md')
  writeFileSync(file, documentOf(measured))
  writeFileSync(join(root, 'docs', 'soak.svg'), draw(measured))
  await runTool('prettier', 'prettier', ['--write', file])
  const { failures } = verdictOf(measured)
  if (failures.length > 0) throw new Error(`The soak failed:\n  ${failures.join('\n  ')}`)
  console.log(`\nFlat; ${file}`)
}

await main().catch(exitWith)
