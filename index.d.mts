/** The types of `import … from 'distributed-rate-limiter'`: those of index.d.ts, under the names that ES modules see. */

export * from './index.js'
