// The client's address in one spelling, and whose word is taken for it behind proxies.
'use strict'

const { isIPv4, isIPv6 } = require('node:net')

/** By default a client is whoever has the /56: that is what a provider hands to one customer, who may use any address of it. */
const DEFAULT_IPV6_PREFIX = 56

// The longest that is an address, with a zone, brackets and a port; nothing longer is looked at.
const LONGEST = 128

/**
 * An address in its one spelling: IPv4 as it is, an IPv4 address that is mapped into IPv6 as IPv4, IPv6 as the network of `prefix`
 * bits, such as `2001:db8:1:200::/56`. Brackets, a port and a zone are left out. `undefined` for whatever is no address.
 */
function canonicalAddress(text, prefix = DEFAULT_IPV6_PREFIX) {
  if (typeof text !== 'string' || text.length > LONGEST) return undefined
  const colon = text.indexOf(':')
  if (colon === -1) return isIPv4(text) ? text : undefined
  if (text.charCodeAt(0) === 0x5b) {
    const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)
    return bracketed === null ? undefined : canonicalIPv6(bracketed[1], prefix)
  }
  if (text.indexOf(':', colon + 1) === -1) {
    // One colon is that before a port.
    const host = text.slice(0, colon)
    return isIPv4(host) && /^\d{1,5}$/.test(text.slice(colon + 1)) ? host : undefined
  }
  return canonicalIPv6(text, prefix)
}

function canonicalIPv6(text, prefix) {
  const zone = text.indexOf('%')
  const address = zone === -1 ? text : text.slice(0, zone)
  if (!isIPv6(address)) return undefined
  const groups = groupsOf(address)
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return `${groups[6] >> 8}.${groups[6] & 255}.${groups[7] >> 8}.${groups[7] & 255}`
  }
  for (let index = 0; index < 8; index += 1) {
    const bits = Math.min(Math.max(prefix - 16 * index, 0), 16)
    groups[index] &= (0xffff << (16 - bits)) & 0xffff
  }
  return prefix === 128 ? spelt(groups) : `${spelt(groups)}/${prefix}`
}

/** The eight groups of an IPv6 address that is one. */
function groupsOf(address) {
  const [head, tail] = address.split('::')
  const first = partsOf(head)
  if (tail === undefined) return first
  const last = partsOf(tail)
  return [...first, ...new Array(8 - first.length - last.length).fill(0), ...last]
}

function partsOf(text) {
  if (text === '') return []
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [parseInt(part, 16)]
    const [a, b, c, d] = part.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}

/** The groups as RFC 5952 writes them: the first of the longest runs of zeros left out. */
function spelt(groups) {
  let start = 8
  let length = 1
  for (let from = 0; from < 8; from += 1) {
    let to = from
    while (to < 8 && groups[to] === 0) to += 1
    if (to - from > length) [start, length] = [from, to - from]
    if (to > from) from = to
  }
  const write = (from, to) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':')
  return start === 8 ? write(0, 8) : `${write(0, start)}::${write(start + length, 8)}`
}

/**
 * The address that `hops` proxies before this process vouch for, canonical: each of them has added the one that it was called by on the
 * right. What stands left of these is whatever the client wrote, and is never looked at. Where a proxy has added something that
 * is no address, the one that it was seen as by the next of them counts, and in the end that of the connection.
 *
 * `value` is the header as Node gives it, `entriesOf` one of the two functions below.
 */
function forwardedAddress(value, entriesOf, hops, socketAddress, prefix) {
  const entries = value === undefined ? [] : entriesOf(String(value), hops)
  // The furthest comes last.
  for (let index = entries.length - 1; index >= 0; index -= 1) {
    const address = canonicalAddress(entries[index], prefix)
    if (address !== undefined) return address
  }
  return canonicalAddress(socketAddress, prefix)
}

/** The last `count` entries of X-Forwarded-For, the last one first. */
function xForwardedFor(value, count) {
  return lastElements(value, count, (text, from) => text.lastIndexOf(',', from))
}

/** The `for` of the last `count` elements of RFC 7239's Forwarded, the last one first; an empty string where there is none. */
function forwarded(value, count) {
  return lastElements(value, count, commaBefore).map((element) => {
    const [, quoted, token] = /(?:^|;)\s*for\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*(?:;|$)/i.exec(element) ?? []
    return quoted === undefined ? (token ?? '') : quoted.replace(/\\(.)/g, '$1')
  })
}

function lastElements(value, count, separatorBefore) {
  const elements = []
  let end = value.length
  while (elements.length < count) {
    const comma = end === 0 ? -1 : separatorBefore(value, end - 1)
    elements.push(value.slice(comma + 1, end).trim())
    if (comma === -1) break
    end = comma
  }
  return elements
}

/**
 * The last comma outside of quotes. It is looked for from the right, where trusted proxies have written: a quote that a client opens
 * and never closes cannot swallow what they add.
 */
function commaBefore(text, from) {
  let isQuoted = false
  for (let index = from; index >= 0; index -= 1) {
    const code = text.charCodeAt(index)
    if (code === 0x22 && !isEscaped(text, index)) isQuoted = !isQuoted
    else if (code === 0x2c && !isQuoted) return index
  }
  return -1
}

function isEscaped(text, at) {
  let first = at
  while (first > 0 && text.charCodeAt(first - 1) === 0x5c) first -= 1
  return (at - first) % 2 === 1
}

module.exports = { DEFAULT_IPV6_PREFIX, canonicalAddress, forwarded, forwardedAddress, xForwardedFor }
