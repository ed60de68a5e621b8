/** Draws the plots of docs/algorithms.md from real decisions, beside this file: `node docs/plots/plot.mjs`. */

import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

import { draw } from './drawing.mjs'
import { replay } from './traffic.mjs'

const PLOTS = [
  { file: 'sliding-window.svg', title: 'sliding-window', options: { algorithm: 'sliding-window' } },
  { file: 'sliding-counter.svg', title: 'sliding-counter', options: { algorithm: 'sliding-counter' } },
  { file: 'fixed-window.svg', title: 'fixed-window', options: { algorithm: 'fixed-window' } },
  {
    file: 'fixed-window-align.svg',
    title: 'fixed-window, align: true',
    options: { algorithm: 'fixed-window', align: true },
  },
  { file: 'token-bucket.svg', title: 'token-bucket', options: { algorithm: 'token-bucket' } },
  { file: 'leaky-bucket.svg', title: 'leaky-bucket', options: { algorithm: 'leaky-bucket' } },
  {
    file: 'sliding-window-burst.svg',
    title: "sliding-window, burst: { extra: 5, window: '10s' }",
    options: { algorithm: 'sliding-window', burst: { extra: 5, window: '10s' } },
  },
]

/** The plots as they are to stand beside this file: `{ file, svg }`. */
export async function plots() {
  const drawn = []
  for (const { file, title, options } of PLOTS) drawn.push({ file, svg: draw(title, await replay(options)) })
  return drawn
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { file, svg } of await plots()) writeFileSync(new URL(file, import.meta.url), svg)
}
