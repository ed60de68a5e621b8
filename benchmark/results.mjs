/** What whole runs have left in results/. */

import { existsSync, readFileSync } from 'node:fs'
import { sharedScenario } from './shared-scenario.mjs'

const FOLDER = new URL('./results/', import.meta.url)

/** The text of a file there. */
export function readResults(file) {
  const text = findResults(file)
  if (text !== undefined) return text
  throw new Error(`benchmark/results/${file} is missing: measure first, see benchmark/README.md`)
}

/** The same where it has been measured. */
export function findResults(file) {
  const url = new URL(file, FOLDER)
  return existsSync(url) ? readFileSync(url, 'utf8') : undefined
}

/** The scenarios of runs that are made by themselves, and that the targets speak of all the same. */
export function separateScenarios() {
  const shared = findResults('shared.json')
  return shared === undefined ? [] : [sharedScenario(JSON.parse(shared))]
}
