/** The names of all algorithms, and which of them are buckets. */

export const BUCKETS = ['token-bucket', 'leaky-bucket']
export const ALGORITHMS = ['sliding-window', 'sliding-counter', 'fixed-window', ...BUCKETS]
