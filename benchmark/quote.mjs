/**
 * Puts the measured tables between the markers of the documents, and draws the plots of docs/performance.md:
 * `node benchmark/quote.mjs`, after a whole run of each.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { format } from 'prettier'
import { plotsOf } from './plots/index.mjs'
import { reportMarkdown, sizingMarkdown, summaryMarkdown } from './report/index.mjs'
import { findResults, readResults, separateScenarios } from './results.mjs'
import { judgeTargets } from './targets.mjs'

/** What each document quotes, by its marker. */
export const QUOTES = {
  'README.md': { benchmark: () => summaryMarkdown(latest()) },
  'docs/index.md': { benchmark: () => summaryMarkdown(latest()) },
  'docs/operations.md': { sizing: () => sizingMarkdown(latest()) },
  'docs/algorithms.md': { algorithms: () => readResults('algorithms.md') },
  'docs/performance.md': {
    performance: () => reportMarkdown(latest(), { plotOf: (id) => `performance/${id}.svg` }),
    memory: () => readResults('memory.md'),
    shared: () => findResults('shared.md') ?? 'Not measured yet.',
  },
}

/** Where the plots stand that docs/performance.md shows. */
export const PLOTS = new URL('../docs/performance/', import.meta.url)

/** The latest whole run, judged beside what was measured in runs of its own. */
function latest() {
  const results = JSON.parse(readResults('latest.json'))
  const scenarios = [...results.scenarios, ...separateScenarios()]
  return { ...results, targets: judgeTargets({ ...results, scenarios }) }
}

/** The text of a document as it is to be. */
export function quoted(name) {
  const document = new URL(`../${name}`, import.meta.url)
  let text = readFileSync(document, 'utf8')
  for (const [marker, tables] of Object.entries(QUOTES[name])) text = put(name, text, marker, tables())
  return format(text, { parser: 'markdown', semi: false, singleQuote: true, printWidth: 120 })
}

/** The plots as they are to stand in docs/performance: `{ file, svg }`. */
export function plots() {
  return plotsOf(latest())
}

function put(name, text, marker, tables) {
  const [begin, end] = [`<!-- ${marker}:begin -->`, `<!-- ${marker}:end -->`]
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (after === undefined) throw new Error(`${name} has no ${begin} … ${end}`)
  return `${before}${begin}\n\n${tables.trim()}\n\n${end}${after}`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const name of Object.keys(QUOTES)) writeFileSync(new URL(`../${name}`, import.meta.url), await quoted(name))
  mkdirSync(PLOTS, { recursive: true })
  for (const { file, svg } of plots()) writeFileSync(new URL(file, PLOTS), svg)
}
