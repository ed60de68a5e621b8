/** The documentation as a site: `npm run docs` builds it into dist/, `npm run docs:dev` shows it while it is written. */

import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { slugify } from './anchors.mjs'
import { Links } from './links.mjs'
import { addressOf, markdownIn, pagesOf, root, sidebar } from './pages.mjs'

const { description, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const pages = pagesOf()
// A site below a path, such as those of projects on GitHub Pages, names it: '/distributed-rate-limiter/'.
const base = process.env.DOCS_BASE ?? '/'
const links = new Links({ base, isPage: (file) => pages.includes(file) })

// A gauge. It stands in the page, so that browsers do not ask for a favicon.ico.
const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#3451b2" stroke-width="4" stroke-linecap="round">' +
    '<path d="M5 24a12 12 0 1 1 22 0M16 20l6-8"/></svg>',
)}`

export default {
  title: 'distributed-rate-limiter',
  description,
  lang: 'en',
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: ICON }]],
  base,
  outDir: fileURLToPath(new URL('dist', import.meta.url)),
  cacheDir: fileURLToPath(new URL('cache', import.meta.url)),

  // The repository itself, so that the changes and the guide for contributors are pages without being copied.
  srcDir: root,
  srcExclude: everythingElse(),
  rewrites: (file) => `${addressOf(file).replace(/\/$/, '/index').slice(1)}.md`,

  cleanUrls: true,
  lastUpdated: false,
  markdown: {
    languageAlias: { acl: 'sh' },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    anchor: { slugify },
    preConfig: (md) => md.use(links.plugin).use(wholeFiles).use(roomyCells).use(images),
  },
  buildEnd: ({ outDir }) => links.copyTo(outDir),
  vite: { server: { watch: { ignored: ['**/target/**', '**/results/**'] } } },

  themeConfig: {
    // Whoever types a heading's words wants that heading, and not the page that has all types and so every word.
    search: {
      provider: 'local',
      options: { miniSearch: { searchOptions: { boost: { title: 16, text: 2, titles: 1 } } } },
    },
    nav: [
      { text: 'Start', link: '/getting-started' },
      { text: 'Reference', link: '/reference' },
      { text: 'Operations', link: '/operations' },
      { text: version, link: addressOf('CHANGELOG.md') },
    ],
    sidebar: sidebar(),
    outline: [2, 3],
    externalLinkIcon: true,
    footer: { message: 'MIT' },
  },
}

/** `<!-- the file: index.d.ts -->` is that file: readers of the repository see the link above it. */
function wholeFiles(md) {
  md.core.ruler.after('block', 'whole-file', ({ tokens }) => {
    for (const token of tokens) {
      const [, file] = /^<!-- the file: (\S+) -->\s*$/.exec(token.content) ?? []
      if (token.type !== 'html_block' || file === undefined) continue
      token.type = 'fence'
      token.tag = 'code'
      token.info = extname(file).slice(1)
      token.content = readFileSync(join(root, file), 'utf8')
    }
  })
}

/** Cells with sentences in them keep a width at which these can be read: a table that is wider than the page is moved. */
function roomyCells(md) {
  md.core.ruler.push('roomy-cells', ({ tokens }) => {
    for (const [index, token] of tokens.entries()) {
      if (token.type === 'td_open' && tokens[index + 1].content.length > 50) token.attrJoin('class', 'roomy')
    }
  })
}

/** A picture in HTML, such as one for each colour scheme: without a dot before it, its file is taken for a package. */
function images(md) {
  const dotted = (token) => {
    if (!token.type.startsWith('html_')) return
    token.content = token.content.replaceAll(/\b(src|srcset)="(?![a-z]+:|[./])/g, '$1="./')
  }
  md.core.ruler.push('images', ({ tokens }) =>
    tokens.flatMap((token) => [token, ...(token.children ?? [])]).forEach(dotted),
  )
}

/** What is no page, as patterns. Whole folders are named: looking through `target` takes longer than all the rest. */
function everythingElse() {
  const entries = readdirSync(root, { withFileTypes: true })
  const holdsPages = (folder) => pages.some((page) => page.startsWith(`${folder}/`))
  const folders = entries.filter((entry) => !entry.isFile() && !holdsPages(entry.name)).map(({ name }) => `${name}/**`)
  const files = entries.filter(({ name }) => name.endsWith('.md') && !pages.includes(name)).map(({ name }) => name)
  const within = entries.filter((entry) => entry.isDirectory() && entry.name !== 'docs' && holdsPages(entry.name))
  const others = within.flatMap(({ name }) => markdownIn(name)).filter((file) => !pages.includes(file))
  return [...folders, ...files, ...others]
}
