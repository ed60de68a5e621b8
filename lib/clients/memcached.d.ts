/** What is used of a client of memjs, such as `memjs.Client.create('localhost:11211')` makes. */
export interface MemcachedClient {
  get(key: string): Promise<{ value: { toString(): string } | null }>
  set(key: string, value: string, options: { expires?: number }): Promise<unknown>
  increment(
    key: string,
    amount: number,
    options: { initial?: number; expires?: number },
  ): Promise<{ value?: number | null }>
  decrement(
    key: string,
    amount: number,
    options: { initial?: number; expires?: number },
  ): Promise<{ value?: number | null }>
}

/** The operations of a `cacheClient`. */
export interface MemcachedCache {
  get(key: string): Promise<string | null>
  set(key: string, value: string | number, expiryMs: number): Promise<void>
  incrementAndGet(key: string, expiryMs: number): Promise<number>
  decrementAndGet(key: string): Promise<number>
}

/**
 * Memcached as a `cacheClient`:
 *
 * @example
 * const client = memjs.Client.create('localhost:11211')
 * const limiter = new RateLimiter({ limit: 100, window: '1m', cacheClient: memcachedCache(client) })
 *
 * @throws {TypeError} with the code `ERR_RATE_LIMIT_OPTION` where `client` is no client of memjs
 */
export declare function memcachedCache(client: MemcachedClient): MemcachedCache
