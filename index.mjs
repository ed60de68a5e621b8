// The same classes for `import`: one copy of the addon, one class of each.
import index from './index.js'

export const { ConcurrencyLimiter, DistributedRateLimiter, RateLimiter } = index
