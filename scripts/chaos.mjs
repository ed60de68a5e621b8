/**
 * `npm run chaos`: every fault of the table, on real servers, for as long as it takes to measure; writes `docs/faults.md`.
 *
 *   --short         as briefly as `npm test` does; the document says so
 *   --threads <n>   worker threads that are started and terminated, instead of 10,000
 *   --only <words>  the rows whose name has these words; the document stays as it is
 */

import { parseArgs } from 'node:util'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureBuilt } from './build.mjs'
import { ensureInstalled } from './install.mjs'
import { findRedisServer } from './redis.mjs'
import { exitWith, root, runTool } from './run.mjs'

const { values: options } = parseArgs({
  options: { short: { type: 'boolean' }, threads: { type: 'string' }, only: { type: 'string' } },
})

async function main() {
  await ensureInstalled()
  await ensureBuilt()
  process.env.REDIS_SERVER = findRedisServer()
  // They load the addon, which has only now been built.
  const { play } = await import('../__test__/chaos/play.mjs')
  const { KINDS } = await import('../__test__/chaos/rows.mjs')
  const { TOPOLOGIES } = await import('../__test__/chaos/topologies.mjs')
  const { documentOf, lineOf, tooLate } = await import('../__test__/chaos/report.mjs')

  const results = new Map()
  let [wrong, late] = [0, 0]
  for (const topology of TOPOLOGIES) {
    for (const { title, rows } of KINDS) {
      console.log(`\n${title}, ${topology.name}`)
      for (const row of rows.filter(({ only }) => only?.includes(topology.name) ?? true)) {
        if (options.only && !row.name.toLowerCase().includes(options.only.toLowerCase())) continue
        const begun = performance.now()
        const result = await play(row, topology, { long: !options.short, threads: Number(options.threads ?? 0) }).catch(
          (error) => ({ error }),
        )
        const isRight = !result.error && result.unsettled === 0 && result.over === 0 && result.unhandled.length === 0
        const delays = options.short ? [] : tooLate(result, topology)
        const holds = isRight && delays.length === 0
        wrong += !isRight
        late += delays.length > 0
        results.set(`${topology.name}: ${row.name}`, result)
        const seconds = ((performance.now() - begun) / 1_000).toFixed(1)
        console.log(
          `${holds ? '✔' : '✖'} ${row.name} (${seconds} s)\n    ${[lineOf(result), ...delays].join('\n    ')}`,
        )
      }
    }
  }
  if (wrong > 0) throw new Error(`${wrong} rows do not hold`)
  if (!options.only) {
    const file = join(root, 'docs', 'faults.md')
    writeFileSync(file, documentOf(KINDS, TOPOLOGIES, results, { short: options.short }))
    await runTool('prettier', 'prettier', ['--write', file])
  }
  // The document tells of that, too: it shows what was measured.
  if (late > 0) throw new Error(`${late} rows took longer than is promised`)
}

await main().catch(exitWith)
