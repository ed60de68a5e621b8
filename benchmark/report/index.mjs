/** What is left of a run: text on the terminal, a JSON file with every round, a Markdown file to quote. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { machineLine, versionsLine } from '../machine.mjs'
import { bytesTable } from './bytes-table.mjs'
import { scenarioTable } from './scenario-table.mjs'
import { keysTable, loadsTable } from './sizing.mjs'
import { summaryTable } from './summary.mjs'
import { toMarkdown, toText } from './table.mjs'
import { targetsTable } from './targets-table.mjs'

const LEGEND =
  'Medians over the rounds. In parentheses each figure as a multiple of the best peer in its column, the median of the ratios ' +
  'within the rounds: above 1 is better for what happens in a second, below 1 for what a call takes.'

export function reportText({ machine, scenarios, bytes, targets }) {
  const tables = [...tablesOf({ scenarios, bytes }), targetsTable(targets)]
  return [machineLine(machine), versionsLine(machine), '', ...tables.map(toText), LEGEND, ''].join('\n')
}

/** All tables. `plotOf` names the plot that stands above the table of a scenario, by its id. */
export function reportMarkdown({ machine, scenarios, bytes, targets, ...run }, { plotOf } = {}) {
  return [
    measuredLine({ machine, ...run }),
    '',
    `${versionsLine(machine)}.`,
    '',
    LEGEND,
    '',
    toMarkdown(targetsTable(targets)),
    ...tablesOf({ scenarios, bytes }, plotOf).map(toMarkdown),
  ].join('\n')
}

/** A table without a heading, for the front pages. */
export function summaryMarkdown({ machine, scenarios, ...run }) {
  const [, , ...table] = toMarkdown(summaryTable(scenarios)).split('\n')
  return [measuredLine({ machine, ...run }), '', ...table].join('\n')
}

/** What an operator reckons with, for the page on operations. */
export function sizingMarkdown({ machine, scenarios, bytes, ...run }) {
  return [measuredLine({ machine, ...run }), '', toMarkdown(loadsTable(scenarios)), toMarkdown(keysTable(bytes))].join(
    '\n',
  )
}

function measuredLine({ date, rounds, quick, machine }) {
  const length = quick ? 'short rounds, not to be quoted' : `${rounds} alternating rounds`
  return `Measured on ${date.slice(0, 10)} in ${length} by \`npm run bench\` on ${machineLine(machine)}.`
}

function tablesOf({ scenarios, bytes }, plotOf) {
  const plotted = (id, table) => (plotOf ? { ...table, plot: plotOf(id) } : table)
  const tables = scenarios.map((scenario) => plotted(scenario.id, scenarioTable(scenario)))
  return bytes.length > 0 ? [...tables, plotted('bytes', bytesTable(bytes))] : tables
}

/**
 * Writes into `results/`. Only a whole run is the latest one that others may quote; a part or a short run gets names
 * that are not committed.
 */
export function writeResults(name, { json, markdown }, { isWhole }) {
  const folder = new URL('../results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  const stem = isWhole ? name : `${name}.local`
  const written = [write(`${stem}.json`, `${JSON.stringify(json, null, 2)}\n`), write(`${stem}.md`, markdown)]
  return written.map((url) => fileURLToPath(url))

  function write(file, text) {
    const url = new URL(file, folder)
    writeFileSync(url, text)
    return url
  }
}
