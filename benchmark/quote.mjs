/**
 * Puts the measured tables between the markers of the documents, and draws the plots of docs/performance.md:
 * `node benchmark/quote.mjs`, after a whole run of each.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { format } from 'prettier'
import { plotsOf } from './plots/index.mjs'

/** Which document quotes what of results/. */
export const QUOTES = {
  'README.md': { benchmark: 'latest.summary.md', memory: 'memory.md' },
  'docs/algorithms.md': { algorithms: 'algorithms.md' },
  'docs/performance.md': { performance: 'latest.md' },
}

const PLOTS = new URL('../docs/performance/', import.meta.url)

/** The text of a document as it is to be. */
export async function quoted(name) {
  const document = new URL(`../${name}`, import.meta.url)
  let text = readFileSync(document, 'utf8')
  for (const [marker, file] of Object.entries(QUOTES[name])) text = quote(name, text, marker, file)
  return format(text, { parser: 'markdown', semi: false, singleQuote: true, printWidth: 120 })
}

/** The plots of the latest whole run: `{ file, svg }`. */
export function plots() {
  return plotsOf(JSON.parse(readResults('latest.json')))
}

function quote(name, text, marker, file) {
  const [begin, end] = [`<!-- ${marker}:begin -->`, `<!-- ${marker}:end -->`]
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (after === undefined) throw new Error(`${name} has no ${begin} … ${end}`)
  return `${before}${begin}\n\n${readResults(file).trim()}\n\n${end}${after}`
}

function readResults(file) {
  const results = new URL(`./results/${file}`, import.meta.url)
  if (existsSync(results)) return readFileSync(results, 'utf8')
  throw new Error(`benchmark/results/${file} is missing: measure first, see benchmark/README.md`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const name of Object.keys(QUOTES)) writeFileSync(new URL(`../${name}`, import.meta.url), await quoted(name))
  mkdirSync(PLOTS, { recursive: true })
  for (const { file, svg } of plots()) writeFileSync(new URL(file, PLOTS), svg)
}
