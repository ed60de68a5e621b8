/** Functions to give as `key` or `action`, for every framework. */

import type { AddressOf, KeyFunction } from './guard.js'

/** By the client's address: what is done where no `key` is given. */
export declare function byAddress<Request>(): (request: Request, addressOf: AddressOf<Request>) => string | undefined

/** By the value of a header, which anybody can write; by the address where there is none. */
export declare function byHeader<Request>(
  name: string,
): (request: Request, addressOf: AddressOf<Request>) => string | undefined

/** By what `identify` gives: a string or a number. Where it gives nothing, nobody is logged in, and the address counts. */
export declare function byUser<Request>(
  identify: (
    request: Request,
  ) => string | number | bigint | null | undefined | Promise<string | number | bigint | null | undefined>,
): (request: Request, addressOf: AddressOf<Request>) => string | undefined | Promise<string | undefined>

/** By an API key in a header, default `x-api-key`, of which no store sees more than the SHA-256; by the address where there is none. */
export declare function byApiKey<Request>(
  name?: string,
): (request: Request, addressOf: AddressOf<Request>) => string | undefined

/**
 * By the route's pattern, such as `GET /users/:id`: as an `action` each route is counted apart, as a `key` all callers of a route together.
 * Where no pattern is known, as in an Express application before its router, it is `*`: never the path, which clients could vary.
 */
export declare function byRoute<Request>(): (request: Request) => string

/** One key of several, as strings. Different parts never make the same key. */
export declare function together<Request>(
  ...keys: [KeyFunction<Request>, ...KeyFunction<Request>[]]
): (request: Request, addressOf: AddressOf<Request>) => string | Promise<string>

/** A key of several fields, for limits that say `by`. */
export declare function fields<Request>(
  keys: Record<string, KeyFunction<Request>>,
): (
  request: Request,
  addressOf: AddressOf<Request>,
) => { [field: string]: string } | Promise<{ [field: string]: string }>
