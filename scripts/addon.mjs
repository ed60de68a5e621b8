/** `node scripts/addon.mjs file.node …`: whether addons are fit to be released, small, stripped, and content with an old glibc. */

import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { isElf, readElf } from './elf.mjs'
import { exitWith, isMain } from './run.mjs'

/** What is smaller is slower: CONTRIBUTING.md, "Releasing", has the figures. */
export const MOST_BYTES = 4.25 * 1024 * 1024
/** That of Debian 10 and RHEL 8, and the oldest on which Node.js 20 runs. */
export const NEWEST_GLIBC = [2, 28]

/** `{ bytes, glibc, wrong }` of a file's bytes: the newest glibc that it asks for, and a sentence for each defect. */
export function inspect(bytes) {
  const wrong = []
  if (bytes.length > MOST_BYTES) wrong.push(`it has ${bytes.length} bytes, more than ${MOST_BYTES}`)
  if (!isElf(bytes)) return { bytes: bytes.length, glibc: undefined, wrong }

  const { sections, versions } = readElf(bytes)
  const left = sections.filter((name) => name === '.symtab' || name.startsWith('.debug'))
  if (left.length > 0) wrong.push(`it is not stripped: ${left.join(', ')}`)
  const glibc = versions
    .filter((version) => /^GLIBC_\d/.test(version))
    .map((version) => version.slice('GLIBC_'.length).split('.').map(Number))
    .sort(compare)
    .at(-1)
  if (glibc && compare(glibc, NEWEST_GLIBC) > 0) {
    wrong.push(`it asks for glibc ${glibc.join('.')}, later than ${NEWEST_GLIBC.join('.')}: see MOVED in build.rs`)
  }
  return { bytes: bytes.length, glibc: glibc?.join('.'), wrong }
}

function compare(one, other) {
  for (let index = 0; index < 3; index += 1) {
    const difference = (one[index] ?? 0) - (other[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Prints what each file is; throws where one of them is not fit. */
export function check(files) {
  if (files.length === 0) throw new Error('No addon is there: npm run build')
  for (const file of files) {
    const { bytes, glibc, wrong } = inspect(readFileSync(file))
    // What npm prints on stdout while it packs may be read by a program.
    console.error(`${basename(file)}: ${bytes} bytes${glibc ? `, glibc ${glibc}` : ''}`)
    if (wrong.length > 0) throw new Error(`${file} cannot be released: ${wrong.join('; ')}`)
  }
}

if (isMain(import.meta.url)) {
  try {
    check(process.argv.slice(2))
  } catch (error) {
    exitWith(error)
  }
}
