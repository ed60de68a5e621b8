/** Runs every JavaScript sample of the README as it stands there, by the rules of support/samples.mjs. */

import { describeSamples } from './support/samples.mjs'

describeSamples('README.md')
