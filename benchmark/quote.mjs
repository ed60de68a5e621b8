/** Puts the measured tables between the markers of README.md: `node benchmark/quote.mjs`, after a whole run of each. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { format } from 'prettier'

const readme = new URL('../README.md', import.meta.url)
let text = readFileSync(readme, 'utf8')
for (const [marker, file] of [
  ['benchmark', 'latest.md'],
  ['memory', 'memory.md'],
]) {
  const results = new URL(`./results/${file}`, import.meta.url)
  if (!existsSync(results))
    throw new Error(`benchmark/results/${file} is missing: measure first, see benchmark/README.md`)
  const [begin, end] = [`<!-- ${marker}:begin -->`, `<!-- ${marker}:end -->`]
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (after === undefined) throw new Error(`README.md has no ${begin} … ${end}`)
  text = `${before}${begin}\n\n${readFileSync(results, 'utf8').trim()}\n\n${end}${after}`
}
writeFileSync(readme, await format(text, { parser: 'markdown', semi: false, singleQuote: true, printWidth: 120 }))
