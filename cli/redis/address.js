// Where a Redis is and how one logs in, from a URL. What is shown of it never has a password.
'use strict'

const { isIPv6 } = require('node:net')
const { UsageError } = require('../failure.js')

const SCHEMES = { redis: false, valkey: false, rediss: true, valkeys: true }
const SOCKETS = ['unix', 'redis+unix', 'valkey+unix']
const PORT = 6379
const LIKE = 'a URL like redis://user:password@host:6379/0, rediss://… for TLS, or unix:///path'

/** Reads what the limiter itself accepts as `redisUrl`. A URL that cannot be read is never quoted: it may hold a password. */
function parseAddress(url) {
  const [, scheme, rest] = /^([a-z+]+):\/\/(.*)$/is.exec(url) ?? []
  if (scheme === undefined) throw new UsageError(`the Redis must be named by ${LIKE}`)
  if (SOCKETS.includes(scheme)) return socketAddress(rest)
  if (!Object.hasOwn(SCHEMES, scheme))
    throw new UsageError(`the scheme '${scheme}' is not known: name the Redis by ${LIKE}`)
  let parsed
  try {
    // A scheme that URL knows: of others it would not read the host.
    parsed = new URL(`http://${rest}`)
  } catch {
    throw new UsageError(`the URL of the Redis cannot be read: name it by ${LIKE}, with signs of a password as %40`)
  }
  const database = parsed.pathname.slice(1)
  if (database !== '' && !/^\d+$/.test(database))
    throw new UsageError('the database in the URL of the Redis must be a number')
  // `http` would leave its own default out.
  const port = /:(\d+)(?:\/|\?|#|$)/.exec(rest.slice(rest.lastIndexOf('@') + 1))?.[1]
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: Number(port ?? PORT),
    isSecure: SCHEMES[scheme],
    username: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    database: Number(database || 0),
  }
}

function socketAddress(rest) {
  const [path, query] = rest.split('?')
  const parameters = new URLSearchParams(query)
  if (path === '') throw new UsageError('the URL of the Redis names no socket: name it by unix:///path')
  return {
    path: decodeURIComponent(path),
    isSecure: false,
    username: parameters.get('user') ?? '',
    password: parameters.get('pass') ?? '',
    database: Number(parameters.get('db') ?? 0),
  }
}

/** The same login at another place. */
const elsewhere = (address, host, port) => ({ ...address, path: undefined, host: host || address.host, port })

/** How an address is shown. */
function shownAddress({ path, host, port, isSecure, database }) {
  if (path !== undefined) return `unix://${path}`
  const name = isIPv6(host) ? `[${host}]` : host
  return `${isSecure ? 'rediss' : 'redis'}://${name}:${port}${database > 0 ? `/${database}` : ''}`
}

module.exports = { elsewhere, parseAddress, shownAddress }
