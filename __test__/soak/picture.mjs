/** A soak as SVG: what the process held over time, a panel for each measure, with a mark at each fault; the half that is judged is shaded. */

import { STYLE, round, text } from '../../docs/plots/style.mjs'
import { MEASURES } from './measures.mjs'

const SIZE = { width: 760, height: 560 }
const AREA = { left: 56, right: 744, top: 44, bottom: 512 }
const PANEL = { height: 84, gap: 32 }

/** The range that a panel shows: from 0, so that noise looks as small as it is. */
function ceilingOf(values) {
  const most = Math.max(...values, 1)
  const step = 10 ** Math.floor(Math.log10(most))
  return Math.ceil((most * 1.1) / step) * step
}

/** `measured` is what `soak` resolves with. */
export function draw({ samples, faults }) {
  const { at: first } = samples[0]
  const { at: last } = samples.at(-1)
  const x = (at) => round(AREA.left + ((AREA.right - AREA.left) * (at - first)) / (last - first))
  const minutes = Math.round(last / 60)
  const title = `${minutes} minutes under load, ${faults.length} faults`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${title}">`,
    `<style>${STYLE}</style>`,
    `<rect class="back" width="${SIZE.width}" height="${SIZE.height}" rx="6"/>`,
    text(AREA.left, 24, title, 'title'),
    shade(Number(x((first + last) / 2))),
    ...MEASURES.flatMap((measure, index) =>
      panel(measure, samples, x, AREA.top + 16 + index * (PANEL.height + PANEL.gap)),
    ),
    `<path class="no" d="${faults.map(({ at }) => `M${x(at)} ${AREA.bottom - 8}v8`).join('')}"/>`,
    ...[0, 0.25, 0.5, 0.75, 1].map((share) => {
      const at = first + (last - first) * share
      const anchor = share === 0 ? 'start' : share === 1 ? 'end' : 'middle'
      return text(x(at), AREA.bottom + 16, `${round(at / 60)} min`, 'faint', anchor)
    }),
    text(AREA.left, AREA.bottom + 38, 'strokes: faults; shaded: the half that is judged'),
    '</svg>',
    '',
  ].join('\n')
}

function shade(left) {
  const [width, height] = [round(AREA.right - left), AREA.bottom - AREA.top]
  return `<rect class="mark" x="${round(left)}" y="${AREA.top}" width="${width}" height="${height}"/>`
}

function panel({ name, title, unit, scale }, samples, x, top) {
  const values = samples.map((sample) => sample[name] / scale)
  const ceiling = ceilingOf(values)
  const bottom = top + PANEL.height
  const y = (value) => round(bottom - (PANEL.height * value) / ceiling)
  const lines = samples.map(({ at }, index) => `${index === 0 ? 'M' : 'L'}${x(at)} ${y(values[index])}`)
  return [
    text(AREA.left, top - 5, unit === '' ? title : `${title}, ${unit}`, 'strong'),
    ...[0, ceiling].flatMap((value) => [
      `<path class="grid" d="M${AREA.left} ${y(value)}H${AREA.right}"/>`,
      text(AREA.left - 8, Number(y(value)) + 4, value, 'faint', 'end'),
    ]),
    `<path class="admitted" d="${lines.join('')}"/>`,
  ]
}
