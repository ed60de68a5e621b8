/** A real browser for tests and screenshots: found or installed, started without a window, and never left behind. */

import { chromium } from 'playwright-core'

import { installByApt } from './redis.mjs'
import { findOnPath, isExecutable } from './run.mjs'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

const HOW_TO_INSTALL = `Chromium was not found. Install it and run this again:
  Debian   sudo apt-get install chromium
  Fedora   sudo dnf install chromium
  Alpine   sudo apk add chromium
  macOS    brew install --cask chromium
or name its file in the environment variable CHROMIUM.`

/** The path of a Chromium: CHROMIUM, else the PATH's, else freshly installed where apt may do so unasked. */
export function findChromium() {
  const { CHROMIUM } = process.env
  if (CHROMIUM) {
    if (isExecutable(CHROMIUM)) return CHROMIUM
    throw new Error(`CHROMIUM names ${CHROMIUM}, which is not a file that can be executed`)
  }
  const found = NAMES.map(findOnPath).find(Boolean) ?? installByApt('chromium')
  if (!found) throw new Error(HOW_TO_INSTALL)
  return found
}

/** Starts one; `close()` ends it. */
export function startChromium() {
  return chromium.launch({
    executablePath: findChromium(),
    // Its own sandbox needs rights that containers seldom give, and it is shown nothing but our pages.
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
}
