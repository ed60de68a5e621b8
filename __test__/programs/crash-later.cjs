// Preloaded: throws where nobody catches, once the live view has been drawn.
'use strict'

const write = process.stdout.write.bind(process.stdout)
process.stdout.write = (text, ...rest) => {
  if (String(text).includes('script calls')) {
    setImmediate(() => {
      throw new Error('nobody has foreseen this')
    })
  }
  return write(text, ...rest)
}
