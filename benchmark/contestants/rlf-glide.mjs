/** rate-limiter-flexible through valkey-glide, whose core is native as ours is. */

export { onGlide as open } from './rlf.mjs'
