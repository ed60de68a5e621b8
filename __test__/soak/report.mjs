/** What a soak measured: whether it holds, as lines while it runs, and as the document. */

import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'

import { judge } from './series.mjs'
import { MEASURES } from './measures.mjs'

const count = (number) => number.toLocaleString('en')

/** `{ judgements, failures }`: each measure's judgement, and in words whatever does not hold. */
export function verdictOf({ samples, unsettled, unexpected, unhandled }) {
  const judgements = MEASURES.map((measure) => {
    const points = samples.map((sample) => ({ at: sample.at, value: sample[measure.name] }))
    return { ...measure, ...judge(points, measure.bound) }
  })
  const failures = judgements
    .filter(({ isFlat }) => !isFlat)
    .map(
      (grown) =>
        `${grown.title} grew by ${amount(grown, grown.grown)}, and may grow by less than ${amount(grown, grown.bound)}`,
    )
  if (unsettled > 0) failures.push(`${unsettled} calls were never settled`)
  for (const error of unexpected) failures.push(`a call was rejected with what it may not be: ${error}`)
  for (const error of unhandled) failures.push(`nobody caught ${error}`)
  return { judgements, failures }
}

function amount({ unit, scale }, value) {
  const number = value / scale
  return `${unit === '' ? Math.round(number * 10) / 10 : number.toFixed(2)}${unit && ` ${unit}`}`
}

/** Prints a fault, or a sample, as it comes. */
export function tell({ fault, sample }) {
  if (fault) console.log(`▷ ${fault.at.toFixed(0)} s: ${fault.name}; all decided again ${ms(fault.returnMs)} after it`)
  if (sample) {
    const figures = MEASURES.map((measure) => `${measure.name} ${amount(measure, sample[measure.name])}`)
    console.log(`  ${sample.at.toFixed(0)} s: ${figures.join(', ')}`)
  }
}

const ms = (value) => (value < 1 ? 'less than 1 ms' : `${Math.round(value)} ms`)

/** On what it was measured, and when. */
export function machine() {
  const { stdout = '' } = spawnSync(process.env.REDIS_SERVER ?? 'redis-server', ['--version'], { encoding: 'utf8' })
  const processors = cpus()
  const [, redis = ''] = /v=(\S+)/.exec(stdout) ?? []
  return `${new Date().toISOString().slice(0, 10)}, ${processors.length} × ${processors[0].model}, Node.js ${process.versions.node}, Redis ${redis}`
}

/** `docs/soak.md`. */
export function documentOf(measured) {
  const { samples, faults, calls, unsettled, unhandled, rate, everyMs, lastsMs, sampleMs } = measured
  const { judgements, failures } = verdictOf(measured)
  const minutes = Math.round(samples.at(-1).at / 60)
  const measures = judgements.map((judged) => [
    judged.title,
    amount(judged, judged.median),
    amount(judged, judged.slope * 3_600),
    amount(judged, judged.grown),
    amount(judged, judged.bound),
    judged.isFlat ? 'flat' : '**grows**',
  ])
  const kinds = [...new Set(faults.map(({ name }) => name))].map((name) => {
    const played = faults.filter((fault) => fault.name === name)
    return [name, played.length, ms(Math.max(...played.map(({ returnMs }) => returnMs)))]
  })
  const rejected = Object.entries(calls.rejected).map(([code, times]) => [`rejected with \`${code}\``, count(times)])
  return `${[
    '# Soak',
    `One process under a steady load for ${minutes} minutes, with a fault every ${everyMs / 1_000} s: what it holds at the end is what it
held in the middle. \`npm run soak -- --hours N\` measures this and writes this page; it fails where something grows, a call is
left unsettled, or an error uncaught.`,
    `${measured.machine}. ${count(rate)} calls a second on six limiters (Redis twice, several limits together, a
cluster, an application's own client, memory), one in ten of them on a key that never comes again. The stores are processes of their
own; the proxies that break their connections are part of the measured process.`,
    '![what the process held over time](soak.svg)',
    `A sample every ${sampleMs / 1_000} s, after a collection. The second half is judged: **slope** is by Theil and Sen, of an hour; **grown** is what
it makes of the half's length, or how much the half's last quarter lies above its first, whichever is more. What is held in
[the first minutes](design.md#keys-that-nobody-uses) are tables that fill to their bounds.`,
    table(['', 'median', 'slope', 'grown', 'less than', ''], measures),
    '## Calls',
    table(
      ['', 'calls'],
      [
        ['made', count(calls.started)],
        ['settled', count(calls.settled)],
        ...Object.entries(calls.sources).map(([source, times]) => [`decided by \`${source}\``, count(times)]),
        ...rejected,
        ['never settled', unsettled],
        ['errors that nobody caught', unhandled.length],
      ],
    ),
    '## Faults',
    `In turn, each for ${lastsMs / 1_000} s where it lasts. **return**: how long after its end the last of the limiters knew that its store decides
again, at worst. The application's client connects again by rules of its own: where it takes seconds, it is the client that is
waited for. What each of them does to callers is in [faults.md](faults.md).`,
    table(['fault', 'times', 'return'], kinds),
    ...(failures.length > 0 ? [`It does not hold: ${failures.join('; ')}.`] : []),
  ].join('\n\n')}\n`
}

function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
