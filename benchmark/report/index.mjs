/** What is left of a run: text on the terminal, a JSON file with every round, a Markdown file to quote. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { machineLine, versionsLine } from '../machine.mjs'
import { scenarioTable } from './scenario-table.mjs'
import { toMarkdown, toText } from './table.mjs'
import { targetsTable } from './targets-table.mjs'

const LEGEND =
  'Medians over the rounds. In parentheses each figure as a multiple of the best peer in its column: ' +
  'above 1 is better for what happens in a second, below 1 for what a call takes.'

export function reportText({ machine, scenarios, targets }) {
  const tables = tablesOf(scenarios, targets)
  return [machineLine(machine), versionsLine(machine), '', ...tables.map(toText), LEGEND, ''].join('\n')
}

export function reportMarkdown({ date, rounds, quick, machine, scenarios, targets }) {
  const length = quick ? 'short rounds, not to be quoted' : `${rounds} alternating rounds`
  return [
    `Measured on ${date.slice(0, 10)} in ${length} by \`npm run bench\` on ${machineLine(machine)}.`,
    '',
    `${versionsLine(machine)}.`,
    '',
    LEGEND,
    '',
    ...tablesOf(scenarios, targets).map(toMarkdown),
  ].join('\n')
}

function tablesOf(scenarios, targets) {
  const tables = scenarios.map((scenario) => scenarioTable(scenario, scenarios))
  return targets.length > 0 ? [...tables, targetsTable(targets)] : tables
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
