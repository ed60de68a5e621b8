/** How plots look, in the light and in the dark. */

export const LIGHT = {
  back: '#ffffff',
  ink: '#1f2328',
  faint: '#59636e',
  grid: '#d8dee4',
  mark: '#ddf4ff',
  line: '#0969da',
  refused: '#cf222e',
  later: '#8250df',
}
export const DARK = {
  back: '#0d1117',
  ink: '#f0f6fc',
  faint: '#9198a1',
  grid: '#30363d',
  mark: '#12325a',
  line: '#58a6ff',
  refused: '#ff7b72',
  later: '#d2a8ff',
}

// A background of its own makes a plot legible wherever it stands; in the dark both change together.
export const STYLE = `
text { font: 12px system-ui, sans-serif }
.title { font-size: 15px; font-weight: 600 }
.admitted, .leaving { fill: none; stroke-width: 2 }
.leaving { stroke-dasharray: 5 3 }
${colours(LIGHT)}
@media (prefers-color-scheme: dark) {
${colours(DARK)}
}
`

// Written out and not as variables, which some viewers do not know.
function colours({ back, ink, faint, grid, mark, line, refused, later }) {
  return `.back { fill: ${back} }
.faint { fill: ${faint} }
.title, .strong { fill: ${ink} }
.grid { stroke: ${grid} }
.mark { fill: ${mark} }
.admitted, .yes { stroke: ${line} }
.no { stroke: ${refused} }
.leaving { stroke: ${later} }`
}

export const round = (value) => String(Math.round(value * 100) / 100)

export function text(left, top, words, style = 'faint', anchor = 'start') {
  const anchored = anchor === 'start' ? '' : ` text-anchor="${anchor}"`
  return `<text class="${style}" x="${left}" y="${top}"${anchored}>${words}</text>`
}
