/** Puts the measured tables between the markers of the documents: `node benchmark/quote.mjs`, after a whole run of each. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { format } from 'prettier'

const QUOTES = {
  'README.md': { benchmark: 'latest.md', memory: 'memory.md' },
  'docs/algorithms.md': { algorithms: 'algorithms.md' },
}

for (const [name, quotes] of Object.entries(QUOTES)) {
  const document = new URL(`../${name}`, import.meta.url)
  let text = readFileSync(document, 'utf8')
  for (const [marker, file] of Object.entries(quotes)) text = quote(name, text, marker, file)
  writeFileSync(document, await format(text, { parser: 'markdown', semi: false, singleQuote: true, printWidth: 120 }))
}

function quote(name, text, marker, file) {
  const results = new URL(`./results/${file}`, import.meta.url)
  if (!existsSync(results))
    throw new Error(`benchmark/results/${file} is missing: measure first, see benchmark/README.md`)
  const [begin, end] = [`<!-- ${marker}:begin -->`, `<!-- ${marker}:end -->`]
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (after === undefined) throw new Error(`${name} has no ${begin} … ${end}`)
  return `${before}${begin}\n\n${readFileSync(results, 'utf8').trim()}\n\n${end}${after}`
}
