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
