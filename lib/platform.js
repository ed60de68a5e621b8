// Which systems there is a built addon for, and what to do on this one when none was found.
'use strict'

const { readFileSync } = require('node:fs')

const PACKAGE = 'distributed-rate-limiter'

/** Systems with a package of their own: those of `napi.targets` in package.json. */
const BUILT = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-x64-msvc',
]

/** This system as npm's packages name it, such as `linux-x64-gnu`. */
function systemName() {
  const { platform, arch } = process
  if (platform === 'linux') return `${platform}-${arch}-${isMusl() ? 'musl' : 'gnu'}`
  return platform === 'win32' ? `${platform}-${arch}-msvc` : `${platform}-${arch}`
}

/** As the loader finds it out, which looks there first. */
function isMusl() {
  try {
    return readFileSync('/usr/bin/ldd', 'utf8').includes('musl')
  } catch {
    return process.report.getReport().header.glibcVersionRuntime === undefined
  }
}

/** What to do, in a sentence or two; `reasons` are the errors of all places where the loader looked. */
function whyNoAddon(reasons) {
  const system = systemName()
  // One that is there and does not load says why; one that is not there says only that.
  const unfit = reasons.find(({ code }) => code === 'ERR_DLOPEN_FAILED')
  if (unfit)
    return `the limiter's addon for ${system} is installed, but does not load: ${unfit.message}. ${needsOf(system)}`
  if (!BUILT.includes(system)) {
    return `the limiter is a native addon, and there is none for ${system}, only for ${BUILT.join(', ')}: build it from source, as its README says`
  }
  return (
    `the limiter is a native addon, and the one for ${system} is not installed: install ${PACKAGE} again on this system, without --omit=optional. ` +
    `If the package ${PACKAGE}-${system} is still missing, npm has left it out (https://github.com/npm/cli/issues/4828): ` +
    'delete node_modules and package-lock.json, and run npm install once more'
  )
}

function needsOf(system) {
  if (system.endsWith('-gnu')) return 'It needs glibc 2.28 or later'
  return `Install ${PACKAGE} again on this system`
}

module.exports = { BUILT, whyNoAddon }
