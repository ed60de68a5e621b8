// The same class for `import`: one copy of the addon, one class.
import index from './index.js'

export const { RateLimiter } = index
