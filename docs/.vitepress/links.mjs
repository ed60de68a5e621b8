/**
 * Links as the documents have them, relative to their files so that they also work in the repository, become links of the
 * site. What is no page of it (code, results, a licence) becomes a file that the site serves as it is, so nobody is sent away.
 */

import { cpSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'

import { addressOf, root, titleOf } from './pages.mjs'

const EXTERNAL = /^[a-z][a-z\d+.-]*:|^\/\//i

/** Where the site serves files of the repository that are no pages. */
const SOURCES = 'source/'

/** What the links of one build lead to: the pages that there are, and what has to be copied. */
export class Links {
  #base
  #isPage
  #sources = new Set()

  /** `base` is the path of the whole site; `isPage` tells of a file, from the repository's root, whether it is a page. */
  constructor({ base, isPage }) {
    this.#base = base
    this.#isPage = isPage
  }

  /** A plugin of markdown-it; goes before those that check and finish what it has made. */
  plugin = (md) => {
    md.core.ruler.push('repository-links', ({ tokens, env }) => {
      // A title of a page's front matter, which has none.
      if (env.path === undefined) return
      const from = relative(root, env.realPath ?? env.path).replaceAll('\\', '/')
      for (const { children } of tokens) this.#resolveAll(from, children ?? [])
    })
  }

  #resolveAll(from, tokens) {
    for (const [index, token] of tokens.entries()) {
      if (token.type !== 'link_open') continue
      const target = this.resolve(from, token.attrGet('href'))
      if (target === undefined) token.attrs = []
      else token.attrSet('href', target.href)
      // The site's router would look for a page.
      if (target?.isSource) token.attrSet('target', '_self')
      // Whoever reads the site knows a page by its title and not by its file.
      const text = tokens[index + 1]
      if (target?.page && text?.content === posix.relative('docs', target.page)) text.content = titleOf(target.page)
    }
  }

  /** Where a link in the file `from` leads on the site; `undefined` for a folder, of which there is nothing to show. */
  resolve(from, href) {
    if (EXTERNAL.test(href) || href.startsWith('#') || href.startsWith('/')) return { href }
    const [, path, anchor] = /^([^#]*)(#.*)?$/.exec(href)
    const file = posix.join(posix.dirname(from), decodeURI(path))
    // The README says to a reader of the repository what the front page says here.
    if (file === 'README.md') return { href: `/${anchor ?? ''}` }
    if (this.#isPage(file)) return { href: `${addressOf(file)}${anchor ?? ''}`, page: file }
    return this.#source(from, file, href)
  }

  #source(from, file, href) {
    const state = statSync(join(root, file), { throwIfNoEntry: false })
    if (state === undefined) throw new Error(`${from} links to ${href}, which is not there`)
    if (state.isDirectory()) return undefined
    this.#sources.add(file)
    return { href: `${this.#base}${SOURCES}${served(file)}`, isSource: true }
  }

  /** Puts what was linked to beside the pages. */
  copyTo(folder) {
    for (const file of this.#sources) {
      const copy = join(folder, SOURCES, served(file))
      mkdirSync(dirname(copy), { recursive: true })
      cpSync(join(root, file), copy)
    }
  }
}

/** Servers show text, and may offer anything else for download or keep files with a dot from everybody. */
const served = (file) => `${file.replaceAll(/(^|\/)\./g, '$1')}.txt`
