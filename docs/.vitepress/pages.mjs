/** The pages of the site in reading order, by their files in docs/; `/x` is a file of the repository's root. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Each is `[what the sidebar calls it, file without its ending]`, or a folder of pages that are listed by their headings. */
const CHAPTERS = [
  [
    'Start',
    [
      ['Getting started', 'getting-started'],
      ['Frameworks', 'frameworks'],
      ['Migration', 'migration/'],
    ],
  ],
  [
    'Use',
    [
      ['Algorithms', 'algorithms'],
      ['Limits', 'limits'],
      ['Policies', 'policies'],
      ['Shared policies', 'policies-shared'],
      ['Trying a limit', 'shadow'],
      ['Budgets and concurrency', 'holds'],
      ['Under load', 'adaptive'],
      ['Stores', 'stores'],
      ['Reference', 'reference'],
      ['Errors', 'errors'],
    ],
  ],
  [
    'Run',
    [
      ['Operations', 'operations'],
      ['Monitoring', 'monitoring'],
      ['Dashboard', 'dashboard'],
      ['Command line', 'cli'],
      ['Security', 'security'],
      ['Faults', 'faults'],
    ],
  ],
  [
    'Trust',
    [
      ['Performance', 'performance'],
      ['Scale', 'scale'],
      ['Soak', 'soak'],
      ['How it is measured', '/benchmark/README'],
      ['Design', 'design'],
    ],
  ],
  [
    'Project',
    [
      ['Changes', '/CHANGELOG'],
      ['Contributing', '/CONTRIBUTING'],
      ['The scripts in Lua', '/lua/README'],
      ['Reporting a hole', '/SECURITY'],
    ],
  ],
]

/** Where a page of the sidebar stands in the repository. */
const fileOf = (name) => (name.startsWith('/') ? `${name.slice(1)}.md` : `docs/${name}.md`)

/** A page's title: its first heading. */
export const titleOf = (file) => /^# (.+)$/m.exec(readFileSync(join(root, file), 'utf8'))?.[1] ?? basename(file, '.md')

/** The files of one entry: one, those of a folder, or none where there is no such page. */
function filesOf(name) {
  if (!name.endsWith('/')) return existsSync(join(root, fileOf(name))) ? [fileOf(name)] : []
  const folder = join(root, 'docs', name)
  if (!existsSync(folder)) return []
  const names = readdirSync(folder).filter((file) => file.endsWith('.md'))
  return names.sort().map((file) => `docs/${name}${file}`)
}

/** A page's address on the site, from its file in the repository: those of docs/ stand at the top, those of the root in a folder. */
export function addressOf(file) {
  const path = file.includes('/') ? file.replace(/^docs\//, '') : `project/${file}`
  const name = path.replace(/\.md$/, '').replace(/(^|\/)(index|README)$/, '$1')
  return `/${name.toLowerCase()}`
}

/** The sidebar, of the pages that are there. */
export function sidebar() {
  const item = ([text, name]) => {
    const files = filesOf(name)
    if (files.length === 0) return []
    if (!name.endsWith('/')) return [{ text, link: addressOf(files[0]) }]
    // Not to be folded: the theme would put one button into another.
    return [{ text, items: files.map((file) => ({ text: titleOf(file), link: addressOf(file) })) }]
  }
  return CHAPTERS.map(([text, entries]) => ({ text, items: entries.flatMap(item) })).filter(({ items }) => items.length)
}

/** The Markdown files below a folder. */
export function markdownIn(folder) {
  const names = readdirSync(join(root, folder), { recursive: true }).map((name) => name.replaceAll('\\', '/'))
  const isPage = (name) => name.endsWith('.md') && !/(^|\/)(node_modules|\.)/.test(name)
  return names.filter(isPage).map((name) => `${folder}/${name}`)
}

/** Every page: all of docs/, and what the sidebar names of the rest. */
export const pagesOf = () => [...new Set([...markdownIn('docs'), ...listed()])]

/** The files that the sidebar leads to. */
export const listed = () => CHAPTERS.flatMap(([, entries]) => entries.flatMap(([, name]) => filesOf(name)))
