/** The code blocks of a Markdown file. */

/** Blocks fenced as one of `languages`: `{ code, line, heading }`, where `line` is that of the fence, counted from 1. */
export function codeBlocks(text, languages) {
  const blocks = []
  let heading = ''
  let open
  for (const [index, line] of text.split('\n').entries()) {
    if (open) {
      if (line.trimEnd() !== open.fence) open.lines.push(line)
      else {
        if (languages.includes(open.language)) blocks.push(blockOf(open, heading))
        open = undefined
      }
      continue
    }
    const [, fence, language] = /^(`{3,})\s*([\w-]*)/.exec(line) ?? []
    if (fence) open = { fence, language, line: index + 1, lines: [] }
    else if (/^#+ /.test(line)) heading = line.replace(/^#+ /, '')
  }
  if (open) throw new Error(`the code block of line ${open.line} is never closed`)
  return blocks
}

const blockOf = ({ lines, line }, heading) => ({ code: `${lines.join('\n')}\n`, line, heading })

/** Where the links and images of a Markdown file lead, code left out: `{ target, line }`, the line counted from 1. */
export function links(text) {
  const found = []
  for (const { line, prose } of proseOf(text)) {
    for (const [, target] of prose.matchAll(/\]\(([^()\s]+)(?:\s[^()]*)?\)/g)) found.push({ target, line })
  }
  return found
}

/** The anchors that GitHub gives to the headings of a Markdown file. */
export function anchors(text) {
  const known = new Map()
  const found = new Set()
  for (const { prose } of proseOf(text)) {
    const [, heading] = /^#+\s+(.*)$/.exec(prose) ?? []
    if (heading === undefined) continue
    const words = heading.toLowerCase().replace(/[^\p{Letter}\p{Number}\s_-]/gu, '')
    const anchor = words.replaceAll(' ', '-')
    const again = known.get(anchor) ?? 0
    known.set(anchor, again + 1)
    found.add(again === 0 ? anchor : `${anchor}-${again}`)
  }
  return found
}

/** The lines outside of code blocks, with their numbers. */
function proseOf(text) {
  const prose = []
  let fence
  for (const [index, line] of text.split('\n').entries()) {
    const [, mark] = /^(`{3,})/.exec(line) ?? []
    if (fence === undefined && mark !== undefined) fence = mark
    else if (fence === undefined) prose.push({ line: index + 1, prose: line })
    else if (line.trimEnd() === fence) fence = undefined
  }
  return prose
}
