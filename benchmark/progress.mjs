/** How far the benchmark is: a bar on a terminal, a line a run elsewhere. */

import cliProgress from 'cli-progress'

/** @returns {{ begin(what: string): void, end(what: string, outcome: string): void, stop(): void }} */
export function showProgress(total) {
  return process.stderr.isTTY ? showBar(total) : showLines(total)
}

function showBar(total) {
  const bar = new cliProgress.SingleBar({
    format: '{bar} {value}/{total}  {elapsed}  {what}',
    // Redrawn rarely: each frame takes time from what is measured.
    fps: 1,
    autopadding: true,
    hideCursor: true,
    stream: process.stderr,
  })
  const startedAt = Date.now()
  const elapsed = () => `${Math.round((Date.now() - startedAt) / 1e3)} s`
  bar.start(total, 0, { what: '', elapsed: elapsed() })
  return {
    begin: (what) => bar.update({ what, elapsed: elapsed() }),
    end: () => bar.increment(1, { elapsed: elapsed() }),
    stop: () => bar.stop(),
  }
}

function showLines(total) {
  let done = 0
  return {
    begin() {},
    end: (what, outcome) => console.error(`${++done}/${total}  ${what}: ${outcome}`),
    stop() {},
  }
}
