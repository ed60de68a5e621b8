/**
 * Plays the controllers of limits that give way under load, and fleets, and writes the plots and the tables of docs/adaptive.md:
 * `node simulator/report/adaptive.mjs`.
 */

import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { format } from 'prettier'

import { root } from '../../scripts/run.mjs'
import { lines } from './drawing.mjs'
import { build } from './run.mjs'

/** How many points of the simulator, each of half a second, make one of a plot. */
const GROUP = 2

const CONTROLLERS = {
  whole: 'whole limits',
  own: 'increase and decrease',
  gradient: 'gradient',
  target: 'delay target',
}

export const SCENARIOS = {
  'load-step': 'Load: a step to three times what the server can do',
  'load-ramp': 'Load: a ramp over 20 s to three times what the server can do',
  'load-spike': 'Load: three times what the server can do, for 2 s',
  'capacity-step': 'Capacity: a step to a third of what is asked',
  'capacity-ramp': 'Capacity: a ramp over 20 s to a third of what is asked',
  'capacity-spike': 'Capacity: a third of what is asked, for 2 s',
}

/** When the limits of an event loop hear of its load. */
const HEARS = { never: 'never: whole limits', timer: 'by a timer', calls: 'by a timer and by calls' }

/** What happens to fleets, and the title of the plot where there is one. */
const FLEETS = {
  load: ['all are asked for too much', 'Eight servers: a step to three times what they can do'],
  'load-balanced': ['the same, to the shorter of two queues'],
  slow: ['one is slow, sliding windows', 'Eight servers: a step of one to a third of what is asked of it'],
  'slow-bucket': ['one is slow, token buckets'],
}

const SCOPES = { instance: 'each by its own load', fleet: 'all by the mean' }

/** What the simulator says of each controller in each scenario, of an event loop and of fleets: `{ runs, loops, fleets }`. */
export async function play() {
  const { stdout } = await promisify(execFile)(await build('adaptive'), { maxBuffer: 1 << 24 })
  return JSON.parse(stdout)
}

const seconds = {
  least: 0,
  most: 70,
  ticks: [0, 10, 20, 30, 40, 50, 60, 70],
  format: (second) => `${second} s`,
  words: 'time; what happens begins at 10 s',
}

/** Every plot by its file's name. */
export function plots({ runs, loops, fleets }) {
  const drawn = {}
  for (const [scenario, title] of Object.entries(SCENARIOS)) {
    const own = runs.filter((run) => run.scenario === scenario)
    const possible = own[0].points.map(([second, offered, capacity]) => [second, Math.min(offered, capacity)])
    const good = own.map(({ points }) => points.map(([second, , , good]) => [second, good]))
    drawn[`${scenario}.svg`] = lines({
      title,
      summary: `${title}: answers in time a second, by controller. ${own.map(inWords).join('; ')}`,
      series: ['possible', ...own.map(({ controller }) => CONTROLLERS[controller])],
      lines: [possible, ...good].map(grouped),
      x: seconds,
      y: { least: 0, most: 250, ticks: [0, 50, 100, 150, 200, 250], format: (value) => `${value}/s` },
      isMarked: false,
    })
  }
  for (const scenario of ['load-step', 'load-spike']) {
    const own = runs.filter((run) => run.scenario === scenario && run.controller !== 'whole')
    const named = own.map((run) => [CONTROLLERS[run.controller], run])
    drawn[`${scenario}-multiplier.svg`] = multipliers(SCENARIOS[scenario], 'by controller', named)
  }
  const heard = loops.filter(({ run }) => run.hears !== 'never').map(({ run }) => [HEARS[run.hears], run])
  drawn['event-loop-multiplier.svg'] = multipliers(
    'An event loop: a step to three times what it can do',
    'by when it is heard',
    heard,
  )
  for (const [trouble, [, title]] of Object.entries(FLEETS)) {
    if (title === undefined) continue
    const named = fleets.filter(({ scenario }) => scenario === trouble).map((run) => [SCOPES[run.scope], run])
    drawn[`fleet-${trouble}-multiplier.svg`] = multipliers(title, 'by scope', named)
  }
  return drawn
}

/** A plot of the multipliers of runs, each with its name. */
function multipliers(title, by, named) {
  return lines({
    title: `${title}: the multiplier`,
    summary: `The multiplier over time, ${by}: ${title}`,
    series: ['whole', ...named.map(([name]) => name)],
    lines: [
      [
        [0, 1],
        [70, 1],
      ],
      ...named.map(([, { points }]) => points.map(([second, , , , level]) => [second, level])),
    ],
    x: seconds,
    y: { least: 0, most: 1, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1], format: (value) => `${value}` },
    isMarked: false,
  })
}

const inWords = ({ controller, goodput }) =>
  `${CONTROLLERS[controller]}: ${Math.round(100 * goodput)} % of what is possible`

function grouped(points) {
  const groups = []
  for (let at = 0; at < points.length; at += GROUP) {
    const group = points.slice(at, at + GROUP)
    groups.push([group.at(-1)[0], Math.round(group.reduce((sum, [, value]) => sum + value, 0) / group.length)])
  }
  return groups
}

/** A table, in Markdown, of runs with the words for what happened and for who was played. */
function table(who, rows) {
  const head = [`| what happens | ${who} | goodput | settled after | swing |`, '| --- | --- | ---: | ---: | ---: |']
  const lines = rows.map(([happened, played, { goodput, settled, swing }]) => {
    const cells = [happened, played, percent(goodput)]
    return `| ${[...cells, settled === null ? 'never' : `${settled} s`, swing.toFixed(2)].join(' | ')} |`
  })
  return [...head, ...lines].join('\n')
}

const percent = (part) => `${Math.round(100 * Math.min(1, part))} %`

/** The same of an event loop: what it answers when the first blow should be over, and at last. */
function tableOfLoops(loops) {
  const head = [
    '| the load is heard of | goodput from 8 s to 16 s | in the last 20 s | swing |',
    '| --- | ---: | ---: | ---: |',
  ]
  const rows = loops.map(({ after, run: { hears, goodput, swing } }) => [
    HEARS[hears],
    percent(after),
    percent(goodput),
    swing.toFixed(2),
  ])
  return [...head, ...rows.map((cells) => `| ${cells.join(' | ')} |`)].join('\n')
}

/** Each table by the name of its place in the document. */
export function tables({ runs, loops, fleets }) {
  return {
    fleets: table(
      '`scope`',
      fleets.map((run) => [FLEETS[run.scenario][0], `\`'${run.scope}'\``, run]),
    ),
    loops: tableOfLoops(loops),
    controllers: table(
      'controller',
      runs.map((run) => [run.scenario.replace('-', ', '), CONTROLLERS[run.controller], run]),
    ),
  }
}

/** The document with a table in its place. */
function placed(document, [name, table]) {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const [before, rest] = document.split(begin)
  return `${before}${begin}\n\n${table}\n\n${end}${rest.split(end)[1]}`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const played = await play()
  const folder = join(root, 'docs', 'adaptive')
  mkdirSync(folder, { recursive: true })
  for (const [name, svg] of Object.entries(plots(played))) writeFileSync(join(folder, name), svg)
  const document = join(root, 'docs', 'adaptive.md')
  const text = Object.entries(tables(played)).reduce(placed, readFileSync(document, 'utf8'))
  writeFileSync(document, await format(text, { parser: 'markdown', semi: false, singleQuote: true, printWidth: 120 }))
}
