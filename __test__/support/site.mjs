/** A built site: served as a host for static files does, and read as whoever looks for links in it. */

import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, posix } from 'node:path'

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
}

/** A folder of files that stand below the path `base`, such as `/project/`, on their server. */
export class Site {
  #folder
  #server

  constructor(folder, { base }) {
    this.#folder = folder
    this.base = base
  }

  /** All files, relative to the folder. */
  get files() {
    const all = readdirSync(this.#folder, { recursive: true, withFileTypes: true })
    const files = all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    return files.map((file) => posix.relative(this.#folder, file)).sort()
  }

  read(file) {
    return readFileSync(join(this.#folder, file), 'utf8')
  }

  /** The file that is served at the path of a URL: `/project/errors` is errors.html. `undefined` where there is none. */
  fileAt(path) {
    if (!path.startsWith(this.base)) return undefined
    const name = decodeURIComponent(path.slice(this.base.length))
    const candidates = [name, `${name}.html`, posix.join(name, 'index.html')]
    const isFile = (file) => existsSync(join(this.#folder, file)) && statSync(join(this.#folder, file)).isFile()
    return candidates.find((file) => file !== '' && isFile(file))
  }

  /** Serves it on a free port; resolves with its origin. */
  async serve() {
    this.#server = createServer((request, response) => {
      const file = this.fileAt(new URL(request.url, 'http://site').pathname)
      response.writeHead(file ? 200 : 404, {
        'content-type': TYPES[extname(file ?? '.html')] ?? 'application/octet-stream',
      })
      response.end(readFileSync(join(this.#folder, file ?? '404.html')))
    })
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${this.#server.address().port}`
  }

  async close() {
    this.#server?.closeAllConnections()
    this.#server?.close()
  }
}

const unescaped = (text) =>
  text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<')

/** What an HTML file refers to: `{ tag, attribute, target }`, of every element that leads or loads. */
export function references(html) {
  const found = []
  for (const [, tag, attributes] of html.matchAll(/<(a|img|script|link|source|iframe|object|use)\b([^>]*)>/g)) {
    for (const [, attribute, target] of attributes.matchAll(/\s(href|src|srcset|data)="([^"]*)"/g)) {
      found.push({ tag, attribute, target: unescaped(target) })
    }
  }
  return found
}

/** The anchors of an HTML file. */
export const ids = (html) => new Set([...html.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => unescaped(id)))
