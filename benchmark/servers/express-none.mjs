/** Express without a limiter. */

import { serve } from './express.mjs'

export const open = () => serve()
