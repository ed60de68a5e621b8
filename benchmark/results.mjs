/** What whole runs have left in results/: read, and written. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FOLDER = new URL('./results/', import.meta.url)

/** The text of a file there. */
export function readResults(file) {
  const url = new URL(file, FOLDER)
  if (existsSync(url)) return readFileSync(url, 'utf8')
  throw new Error(`benchmark/results/${file} is missing: measure first, see benchmark/README.md`)
}

/**
 * The scenarios of runs that are made by themselves, and that the targets speak of all the same: of shared memory, which needs
 * no Redis. Such a file has `scenarios` in the form of latest.json.
 */
export function separateScenarios() {
  const separate = ['shared.json'].filter((file) => existsSync(new URL(file, FOLDER)))
  return separate.flatMap((file) => JSON.parse(readResults(file)).scenarios ?? [])
}

/**
 * Writes into `results/`. Only a whole run is the latest one that others may quote; a part or a short run gets names
 * that are not committed.
 */
export function writeResults(name, { json, markdown }, { isWhole }) {
  mkdirSync(FOLDER, { recursive: true })
  const stem = isWhole ? name : `${name}.local`
  const written = [write(`${stem}.json`, `${JSON.stringify(json, null, 2)}\n`), write(`${stem}.md`, markdown)]
  return written.map((url) => fileURLToPath(url))
}

function write(file, text) {
  const url = new URL(file, FOLDER)
  writeFileSync(url, text)
  return url
}
