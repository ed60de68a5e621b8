/** What the table says in several of its rows. */

export const FALLBACK = '`source: "fallback"`: `onStoreError` decides at once; `storeDown` once'
