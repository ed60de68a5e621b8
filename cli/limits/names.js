// What keys are called in Redis: `prefix:name@action:algorithm:key`, as src/key.rs and src/limits.rs write it.
'use strict'

const { createHash, createHmac } = require('node:crypto')

/** Of windows of a calendar, and of how much is under way at once. They are no algorithms that an application can name. */
const [CALENDAR, CONCURRENCY] = ['calendar', 'concurrency']
const ALGORITHMS = [
  ...['sliding-window', 'sliding-counter', 'fixed-window', 'token-bucket', 'leaky-bucket'],
  ...[CALENDAR, CONCURRENCY],
]
const BUCKETS = ['token-bucket', 'leaky-bucket']
/** A longer key, in bytes, stands there by its digest. */
const LONGEST_KEY = 1_024
/** Bytes of a keyed digest that are kept. */
const PSEUDONYM = 16

/** What opens a digest among keys, as no text does. */
const DIGEST = Buffer.from([0xff])

/** A key as it stands in a name; under `hashKeys` by its keyed digest, with `secret`. */
function escapedKey(key, secret) {
  const bytes = Buffer.from(key)
  const digest = bytes.length > LONGEST_KEY ? createHash('sha256').update(bytes).digest() : undefined
  if (secret !== undefined) {
    const short = digest === undefined ? bytes : Buffer.concat([DIGEST, digest])
    return `%hmac:${createHmac('sha256', secret).update(short).digest().subarray(0, PSEUDONYM).toString('hex')}`
  }
  return digest === undefined ? key.replace(/[{%]/g, hex) : `%sha256:${digest.toString('hex')}`
}

/** The same between braces, where a closing one would end it. */
const taggedKey = (key, secret) => escapedKey(key, secret).replaceAll('}', '%7D')

const escapedAction = (action) => action.replace(/[:@{%]/g, hex)
const hex = (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`
const plain = (text) => text.replace(/%(25|3A|40|7B|7D)/g, (_, code) => String.fromCharCode(parseInt(code, 16)))

/** Where a limit's keys stand: its name, and the action that it counts. */
const placeOf = ({ name = 'default', action }) => (action === undefined ? name : `${name}@${escapedAction(action)}`)

/** All names that `key` can have under one limit, of which it has one. With `owner` those under `hashTag: 'field'`. */
function namesOf(key, { prefix, name, action, algorithm, owner, secret }) {
  const place = placeOf({ name, action })
  const keys =
    owner === undefined
      ? [escapedKey(key, secret), `{${taggedKey(key, secret)}}`]
      : [`{${taggedKey(owner, secret)}}:${escapedKey(key, secret)}`]
  const algorithms = algorithm === undefined ? ALGORITHMS : [algorithm]
  return algorithms.flatMap((each) =>
    keys.map((own) => parseName(Buffer.from(`${prefix}:${place}:${each}:${own}`), prefix)),
  )
}

/**
 * What a name says: `{ raw, name, action, algorithm, owner, key, isBucket }`; undefined for one that is no limit's. `raw` are its
 * bytes, `stored` is the key as it stands there.
 */
function parseName(raw, prefix) {
  const text = raw.toString('utf8')
  if (!text.startsWith(`${prefix}:`)) return undefined
  const [place, algorithm, ...rest] = text.slice(prefix.length + 1).split(':')
  const stored = rest.join(':')
  if (!ALGORITHMS.includes(algorithm) || stored === '') return undefined
  const [name, action] = place.split('@')
  if (!/^[\w.-]{1,64}$/.test(name)) return undefined
  const [, tag, own] = /^\{([^}]*)\}(?::(.+))?$/s.exec(stored) ?? []
  return {
    raw,
    name,
    action: action === undefined ? undefined : plain(action),
    algorithm,
    owner: own === undefined ? undefined : plain(tag),
    key: plain(own ?? tag ?? stored),
    stored: own ?? tag ?? stored,
    isTagged: tag !== undefined,
    isBucket: BUCKETS.includes(algorithm),
  }
}

/** Whether a name is that of `key`. */
function isNameOf(parsed, key, secret) {
  const { stored, owner, isTagged } = parsed
  return stored === (isTagged && owner === undefined ? taggedKey(key, secret) : escapedKey(key, secret))
}

/**
 * A pattern of SCAN that finds all names of a prefix; with `key` those that may be the key's, with `glob` those whose key may match.
 * It may find more: braces and `%` stand in names by escapes that depend on where they are.
 */
function pattern(prefix, { key, glob, secret } = {}) {
  if (key !== undefined) return `${literal(prefix)}:*:*${escapedKey(key, secret).split('}').map(literal).join('*')}*`
  return glob === undefined || /[{}%]/.test(glob) ? `${literal(prefix)}:*` : `${literal(prefix)}:*:*${glob}*`
}

/** A text in which no sign has a meaning of its own to SCAN. */
const literal = (text) => text.replace(/[*?[\]\\]/g, '\\$&')

/** A glob of Redis as a regular expression on a whole text. */
function globbed(glob) {
  const parts = glob.replace(/\\(.)|\[(\^?)((?:\\.|[^\]])*)\]|([\s\S])/g, (_, escaped, not, set, sign) => {
    if (set !== undefined) return `[${not}${set.replace(/[[^]/g, '\\$&')}]`
    if (escaped === undefined && sign === '*') return '[\\s\\S]*'
    if (escaped === undefined && sign === '?') return '[\\s\\S]'
    return (escaped ?? sign).replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
  })
  return new RegExp(`^${parts}$`, 'u')
}

module.exports = {
  ALGORITHMS,
  CALENDAR,
  CONCURRENCY,
  escapedKey,
  globbed,
  isNameOf,
  namesOf,
  parseName,
  pattern,
  placeOf,
}
