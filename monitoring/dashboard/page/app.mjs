/** The page: what the server sends each second, shown for the limiter that somebody looks at. */

import { byId, html, setText } from './dom.mjs'
import { Lookup } from './lookup.mjs'
import { circuitWords, Panels } from './panels.mjs'
import { shownKey } from './format.mjs'

const KEPT = 300
const RETRY_MS = 5_000
/** What is read aloud comes no closer together: figures that change each second would never end. */
const ANNOUNCED_MS = 10_000

const lookup = new Lookup()
const panels = new Panels((key) => lookup.find(key))

/** By its name: `{ name, policies, points, state }`. */
const limiters = new Map()
let mayChange = false
let shown

const CONNECTION = {
  live: 'Live',
  connecting: 'Connecting',
  lost: 'Connection lost, trying again',
  refused: 'No connection, trying again',
  closed: 'The limiter was closed',
}

let connection = 'connecting'

function connect() {
  const source = new EventSource('events')
  source.addEventListener('hello', ({ data }) => welcome(JSON.parse(data)))
  source.addEventListener('state', ({ data }) => update(JSON.parse(data)))
  source.addEventListener('end', () => {
    source.close()
    again('closed')
  })
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) again(connection === 'closed' ? 'closed' : 'refused')
    else setConnection(connection === 'live' ? 'connecting' : 'lost')
  })
}

function again(state) {
  setConnection(state)
  setTimeout(connect, RETRY_MS)
}

function setConnection(state) {
  const before = connection
  connection = state
  const element = byId('connection')
  element.dataset.state = state
  setText(element.querySelector('.text'), CONNECTION[state])
  const notice = byId('notice')
  notice.hidden = state !== 'refused' && state !== 'closed'
  setText(
    notice,
    state === 'closed'
      ? 'The process has closed this limiter. The figures are the last ones; they go on when it is back.'
      : 'The server does not answer, or no longer lets you look. Reload the page if you have to sign in.',
  )
  // A stream that ends and is opened again at once is nothing to be told of.
  const isNews = state !== 'connecting' && !(state === 'live' && before === 'connecting')
  if (isNews && state !== before) announce(`${CONNECTION[state]}.`)
}

function welcome({ admin, title, pid, limiters: told }) {
  mayChange = admin
  document.title = title
  setText(byId('title'), title)
  setText(byId('process'), `process ${pid}`)
  limiters.clear()
  for (const { name, policies, points } of told) limiters.set(name, { name, policies, points, state: undefined })
  const nav = byId('limiters')
  nav.hidden = told.length < 2
  nav.firstElementChild.replaceChildren(
    ...told.map(({ name }) =>
      html(
        'li',
        {},
        html(
          'a',
          { href: addressOf(name) },
          html('span', { class: 'mark', 'aria-hidden': 'true' }),
          html('bdi', {}, shownKey(name)),
          html('span', { class: 'unseen' }),
        ),
      ),
    ),
  )
  choose(addressed(limiters.values().next().value))
}

function update({ limiters: states }) {
  setConnection('live')
  for (const [name, limiter] of limiters) {
    if (!Object.hasOwn(states, name)) continue
    const { point, ...state } = states[name]
    if (limiter.state !== undefined && limiter.state.circuit !== state.circuit) {
      const of = limiters.size > 1 ? ` of ${name}` : ''
      announce(`The circuit${of} is ${state.circuit}: ${circuitWords(state)[1]}.`)
    }
    limiter.state = state
    if (point) limiter.points.push(point)
    if (limiter.points.length > KEPT) limiter.points.shift()
  }
  for (const [index, { state }] of [...limiters.values()].entries()) {
    const link = byId('limiters').firstElementChild.children[index].firstElementChild
    const circuit = state?.circuit ?? 'none'
    link.dataset.circuit = circuit
    setText(link.lastElementChild, circuit === 'open' || circuit === 'half-open' ? `, circuit ${circuit}` : '')
  }
  show()
}

const addressOf = (name) => `#${encodeURIComponent(name)}`

/** The limiter that the address names, or `otherwise`. */
const addressed = (otherwise) =>
  [...limiters.values()].find(({ name }) => addressOf(name) === location.hash) ?? otherwise

/** Shows this limiter; the box is made anew where it is another one, or has become another. */
function choose(next) {
  for (const link of byId('limiters').querySelectorAll('a')) {
    if (link.hash === addressOf(next.name)) link.setAttribute('aria-current', 'true')
    else link.removeAttribute('aria-current')
  }
  const offered = JSON.stringify([next.name, next.policies, mayChange])
  if (shown?.offered !== offered) lookup.offer(next, mayChange)
  shown = { name: next.name, offered }
  show()
}

function show() {
  const limiter = limiters.get(shown?.name)
  if (limiter?.state !== undefined) panels.show(limiter)
}

let announced = -Infinity
let waiting

function announce(text) {
  clearTimeout(waiting)
  const wait = Math.max(0, announced + ANNOUNCED_MS - performance.now())
  waiting = setTimeout(() => {
    announced = performance.now()
    byId('announcer').textContent = text
  }, wait)
}

addEventListener('hashchange', () => {
  const next = addressed()
  // Otherwise it is a place on the page, such as the box.
  if (next) choose(next)
})

connect()
