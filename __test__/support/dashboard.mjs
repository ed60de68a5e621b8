/** What tests of the dashboard share: servers of their own, requests as its page makes them, and streams. */

import { once } from 'node:events'
import { createServer, request, Server } from 'node:http'

import { settles } from './wait.mjs'

const endings = new WeakMap()

/** As `t.after`, the last one first: who watches leaves before the server ends, and it before its limiter. */
export function atEnd(t, ending) {
  if (!endings.has(t)) {
    endings.set(t, [])
    t.after(async () => {
      for (const end of endings.get(t).reverse()) await end()
    })
  }
  endings.get(t).push(ending)
}

/** Serves on a free port of this machine until the test has ended; its port. */
export async function serve(t, handler) {
  const server = handler instanceof Server ? handler : createServer(handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(t, () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return server.address().port
}

/** One request on a connection of its own, as text. */
export function ask(port, path, { method = 'GET', headers = {}, body } = {}) {
  const answer = new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (more) => (text += more))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: text }))
      response.on('error', reject)
    })
    asked.on('error', reject).end(body)
  })
  return settles(answer, `${method} ${path}`)
}

/** What the page posts, from its own origin. */
export async function post(port, path, body, headers = {}) {
  const own = { 'Content-Type': 'application/json', Origin: `http://127.0.0.1:${port}` }
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const answer = await ask(port, path, { method: 'POST', headers: { ...own, ...headers }, body: text })
  return { ...answer, body: answer.body === '' ? undefined : JSON.parse(answer.body) }
}

/** Watches a stream: `next(name)` is the data of its next event of this name, `ended` resolves when the server has ended it. */
export async function watch(t, port, path, headers = {}) {
  const asked = request({ host: '127.0.0.1', port, path, headers, agent: false })
  const responded = settles(once(asked, 'response'), `GET ${path}`)
  asked.end()
  const [response] = await responded
  const ended = once(response, 'end')
  const events = []
  const waiting = []
  let rest = ''
  response.setEncoding('utf8').on('data', (text) => {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop()
    for (const block of blocks) {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? []
      if (name) events.push({ name, data: JSON.parse(data) })
    }
    for (const look of waiting.splice(0)) look()
  })
  const next = async (name) => {
    for (;;) {
      const at = events.findIndex((event) => event.name === name)
      if (at !== -1) return events.splice(0, at + 1).at(-1).data
      await new Promise((resolve) => waiting.push(resolve))
    }
  }
  const leave = () => asked.destroy()
  asked.on('error', () => {})
  ended.catch(() => {})
  atEnd(t, leave)
  return {
    status: response.statusCode,
    headers: response.headers,
    next: (name) => settles(next(name), `an event ${name}`),
    ended: () => settles(ended, 'the end of a stream'),
    leave,
  }
}

/** Keys as somebody chooses them who means harm. */
export const NASTY = [
  '<img src=x onerror="window.hacked = true">',
  '</script><script>window.hacked = true</script>',
  '"><svg onload=window.hacked=true>',
  "javascript:window.hacked=true//'",
  '\u202Ereversed\u2066 and\u0000 cut',
  '\n\nevent: end\ndata: {}\n\n',
  'k'.repeat(900),
]
