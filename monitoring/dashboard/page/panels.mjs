/** The page's figures, charts and tables: each shows what one limiter says of itself. */

import { Chart } from './chart.mjs'
import { byId, html, setText } from './dom.mjs'
import * as format from './format.mjs'
import { Adaptive } from './adaptive.mjs'
import { halfMinutes, mean, most } from './course.mjs'
import { bars, figures, named, Table } from './table.mjs'
import { Trials } from './trials.mjs'

/** More than these are shown where somebody asks for them. */
const FEW_KEYS = 10

const CIRCUIT = {
  none: ['None', 'no store is asked'],
  closed: ['Closed', 'the store decides'],
  'half-open': ['Half-open', 'the store is being tried'],
  open: ['Open', 'calls are decided here'],
}

const SOURCES = {
  redis: ['Redis', 'the store that all processes share'],
  client: ['Your client', 'the store behind the client that the app gave'],
  memory: ['This process', 'the only store there is'],
  shared: ['Shared memory', 'a file that the processes of this machine share'],
  fallback: ['Fallback', 'this process, in place of a store that did not answer'],
  'deny-cache': ['Known refusals', 'refused here, since the store has said until when'],
  lease: ['Leases', 'units that the store has leased to this process'],
  list: ['Lists', 'whoever is always allowed or refused, uncounted'],
}

export const circuitWords = ({ circuit, store }) =>
  store === 'connecting' ? [CIRCUIT[circuit][0], 'the store is being connected'] : CIRCUIT[circuit]

const rates = [
  figures('Allowed a second', ({ allowedRate }) => format.rate(allowedRate)),
  figures('Denied a second', ({ deniedRate }) => format.rate(deniedRate)),
]

const totals = [
  figures('Allowed', ({ allowed }) => format.count(allowed), 'wide'),
  figures('Denied', ({ denied }) => format.count(denied), 'wide'),
]

export class Panels {
  #slowest
  #decisions = new Chart('decisions', {
    stacked: true,
    least: 1,
    series: [
      { field: 'allowed', label: 'Allowed' },
      { field: 'denied', label: 'Denied' },
    ],
    format: format.rate,
    empty: 'Counting begins: a moment, please',
    describe: (points) => {
      const { allowed, denied } = points.at(-1)
      return (
        `Decisions a second since ${format.time(points[0].at)}. Now ${format.rate(allowed)} allowed and ${format.rate(denied)} denied; ` +
        `at most ${format.rate(most(points, 'allowed'))} allowed and ${format.rate(most(points, 'denied'))} denied. The table below has the course.`
      )
    },
  })
  #latency = new Chart('latency', {
    stacked: false,
    least: 0.1,
    series: [
      { field: 'p50', label: 'p50' },
      { field: 'p99', label: 'p99' },
    ],
    format: (ms, slowest) => (ms === 0 ? '0' : format.latency(ms, slowest)),
    empty: 'No store was asked lately',
    describe: (points) => {
      const { p50, p99 } = points.at(-1)
      return (
        `Latency of the store since ${format.time(points[0].at)}. Half of the calls within ${format.latency(p50, this.#slowest)}, ` +
        `99 of 100 within ${format.latency(p99, this.#slowest)}. The table below has the course.`
      )
    },
  })
  #decisionsTable = new Table(byId('decisions-table'), {
    caption: 'Decisions a second, by half minutes',
    empty: 'Nothing yet.',
    columns: [
      { head: 'From', fill: (cell, { id }) => setText(cell, format.time(id)) },
      figures('Allowed a second', ({ allowed }) => format.rate(allowed)),
      figures('Denied a second', ({ denied }) => format.rate(denied)),
    ],
  })
  #latencyTable = new Table(byId('latency-table'), {
    caption: 'Highest latency of the store, by half minutes',
    empty: 'Nothing yet.',
    columns: [
      { head: 'From', fill: (cell, { id }) => setText(cell, format.time(id)) },
      figures('p50', ({ p50 }) => format.latency(p50, this.#slowest)),
      figures('p99', ({ p99 }) => format.latency(p99, this.#slowest)),
    ],
  })
  #limits = new Table(byId('limits-table'), {
    caption: 'Limits, and what each of them decided',
    empty: 'The limits come with the calls, and no call has come yet.',
    columns: [{ head: 'Limit', fill: (cell, { id, meaning }) => named(cell, id, meaning) }, ...rates, ...totals],
  })
  #actions = new Table(byId('actions-table'), {
    caption: 'Actions, and what was decided of each of them',
    empty: 'No action was called yet.',
    columns: [{ head: 'Action', fill: (cell, { id, meaning }) => named(cell, id, meaning) }, ...rates, ...totals],
  })
  #sources = new Table(byId('sources-table'), {
    caption: 'Who made the decisions',
    empty: 'Nothing was decided yet.',
    columns: [
      { head: 'Who', fill: (cell, { id }) => named(cell, ...(SOURCES[id] ?? [id, ''])) },
      figures('A second', ({ rate }) => format.rate(rate)),
      figures('Share', ({ count, all }) => format.percent(count, all)),
      bars(({ count, all }) => count / all, 'plain'),
    ],
  })
  #trials = new Trials()
  #adaptive = new Adaptive()
  #deniedKeys
  #topDenied = []

  /** `onKey` is called with a key that somebody wants to look up. */
  constructor(onKey) {
    const button = byId('all-keys')
    button.addEventListener('click', () => {
      button.setAttribute('aria-expanded', String(button.getAttribute('aria-expanded') !== 'true'))
      this.#showDenied()
    })
    this.#deniedKeys = new Table(byId('denied-keys-table'), {
      caption: 'The keys that were denied most',
      empty: 'Nobody was denied yet.',
      columns: [
        {
          head: 'Key',
          kind: 'key',
          fill(cell, { key }) {
            if (cell.firstChild !== null) return
            const shown = format.shownKey(key)
            if (!format.isWhole(key)) {
              cell.append(html('bdi', { class: 'cut' }, shown))
              return
            }
            const label = `Look up ${shown}`
            cell.append(
              html(
                'button',
                { type: 'button', class: 'key', 'aria-label': label, onclick: () => onKey(key) },
                html('bdi', {}, shown),
              ),
            )
          },
        },
        figures('Denied, about', ({ denied }) => format.count(denied)),
        bars(({ denied, highest }) => denied / highest, 'denied'),
      ],
    })
  }

  show({ policies, points, state }) {
    this.#slowest = state.slowest
    this.#showFigures(state)
    this.#decisions.show(points)
    const asked = points.filter(({ p50 }) => p50 !== null)
    this.#latency.show(asked.length === 0 ? [] : points, state.slowest)
    this.#decisionsTable.show(
      halfMinutes(points, (within) => ({ allowed: mean(within, 'allowed'), denied: mean(within, 'denied') })),
    )
    this.#latencyTable.show(halfMinutes(asked, (within) => ({ p50: most(within, 'p50'), p99: most(within, 'p99') })))
    this.#limits.show(
      rowsOf(
        policies.filter(({ action, role }) => action === undefined && role === undefined),
        state.limits,
        ({ name }) => name,
      ),
    )
    this.#trials.show(policies, state.shadow)
    this.#adaptive.show(points, state.adaptive)
    const ofActions = policies.filter(({ action, role }) => action !== undefined && role === undefined)
    const actions = rowsOf(ofActions, state.actions, ({ action }) => action)
    byId('actions-card').hidden = actions.length === 0
    this.#actions.show(actions)
    const all = state.sources.reduce((sum, { count }) => sum + count, 0)
    const sources = state.sources.filter(({ count }) => count > 0)
    this.#sources.show(sources.map(({ name, count, rate }) => ({ id: name, count, rate, all })))
    this.#topDenied = state.topDenied
    this.#showDenied()
    this.#showFacts(state)
  }

  #showDenied() {
    const all = this.#topDenied
    const button = byId('all-keys')
    const expanded = button.getAttribute('aria-expanded') === 'true'
    button.hidden = all.length <= FEW_KEYS
    setText(button, expanded ? `Show the first ${FEW_KEYS}` : `Show all ${all.length}`)
    const highest = all[0]?.denied
    const shown = expanded ? all : all.slice(0, FEW_KEYS)
    const seen = new Map()
    const idOf = (key) => {
      // Two that were cut off may read the same.
      const before = seen.get(key) ?? 0
      seen.set(key, before + 1)
      return `${before} ${key}`
    }
    this.#deniedKeys.show(shown.map(({ key, denied }) => ({ id: idOf(key), key, denied, highest })))
  }

  #showFigures(state) {
    const { allowedRate, deniedRate, p50, p99, circuit, slowest } = state
    setText(byId('allowed'), format.rate(allowedRate))
    setText(byId('denied'), format.rate(deniedRate))
    setText(byId('share'), format.percent(deniedRate, allowedRate + deniedRate))
    setText(byId('p50'), format.latency(p50, slowest))
    setText(byId('p99'), format.latency(p99, slowest))
    const [word, meaning] = circuitWords(state)
    setText(byId('circuit'), word)
    setText(byId('circuit-means'), meaning)
    byId('circuit-figure').dataset.circuit = circuit
  }

  #showFacts(state) {
    const { store, batches, callsPerBatch, leases, fleet, told } = state
    const facts = [
      ['Calls waiting', format.count(state.pending)],
      ['Keys held', format.count(state.keys)],
      ['Memory of keys', format.bytes(state.bytes)],
    ]
    if (store !== 'none') {
      facts.push(['Store', { connecting: 'connecting', up: 'up', down: 'down' }[store]])
      facts.push(['Calls the store failed', format.count(state.storeErrors)])
      facts.push(['Circuit opened', state.circuitOpened === 1 ? 'once' : `${format.count(state.circuitOpened)} times`])
      facts.push(['Batches sent', format.count(batches)])
      facts.push(['Calls in a batch', callsPerBatch === null ? '–' : callsPerBatch.toFixed(1)])
      facts.push(['Calls merged', format.count(state.merged)])
    }
    if (leases.held > 0)
      facts.push(['Keys leased', `${format.count(leases.held)}, ${format.count(leases.units)} units left`])
    if (told > 0) facts.push(['Keys told after an outage', format.count(told)])
    if (fleet !== null) facts.push(['Instances known', format.count(fleet)])
    const list = byId('facts')
    const terms = facts.map(([term]) => term).join()
    if (list.dataset.terms !== terms) {
      list.dataset.terms = terms
      list.replaceChildren(...facts.map(([term]) => html('div', {}, html('dt', {}, term), html('dd'))))
    }
    for (const [index, [, value]] of facts.entries()) setText(list.children[index].lastChild, value)
  }
}

/** A row for each limit that is known, and for whatever else was counted. */
function rowsOf(policies, counted, nameOf) {
  const meanings = new Map()
  for (const policy of policies) {
    const { name, action } = policy
    const own = action !== undefined && name !== 'default' ? `${name} · ` : ''
    const text = own + format.described(policy)
    const id = nameOf(policy)
    meanings.set(id, meanings.has(id) ? `${meanings.get(id)}; ${text}` : text)
  }
  const counts = new Map(counted.map((row) => [row.name, row]))
  const none = { allowed: 0, denied: 0, allowedRate: 0, deniedRate: 0 }
  return [...new Set([...meanings.keys(), ...counts.keys()])].map((id) => ({
    ...(counts.get(id) ?? none),
    id,
    meaning: meanings.get(id) ?? '',
  }))
}
