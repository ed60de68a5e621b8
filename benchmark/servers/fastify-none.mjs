/** Fastify without a limiter. */

import { serve } from './fastify.mjs'

export const open = () => serve()
