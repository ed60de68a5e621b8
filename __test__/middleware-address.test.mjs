/** Addresses in one spelling, and whose word is taken for them: tables of what is known, and random ones for what must always hold. */

import assert from 'node:assert/strict'
import { isIPv4, isIPv6 } from 'node:net'
import { describe, test } from 'node:test'

import address from '../middleware/address.js'
import { isLong } from './support/long.mjs'

const { canonicalAddress, forwarded, forwardedAddress, xForwardedFor } = address

const CASES = isLong ? 200_000 : 5_000

/** The same numbers in each run, so that what fails can be seen again. */
function random(seed) {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const below = (count) => Math.floor(next() * count)
  return { below, one: (values) => values[below(values.length)] }
}

describe('the canonical address', () => {
  for (const [given, expected, whole = expected] of [
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:443', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['[::ffff:192.0.2.1]:443', '192.0.2.1'],
    ['2001:db8:1:2ff:3:4:5:6', '2001:db8:1:200::/56', '2001:db8:1:2ff:3:4:5:6'],
    ['2001:0DB8:0001:0200::', '2001:db8:1:200::/56', '2001:db8:1:200::'],
    ['[2001:db8::1]', '2001:db8::/56', '2001:db8::1'],
    ['[2001:db8::1]:8080', '2001:db8::/56', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::/56', 'fe80::1'],
    ['[fe80::1%25eth0]:80', 'fe80::/56', 'fe80::1'],
    ['::', '::/56', '::'],
    ['::1', '::/56', '::1'],
    ['1:0:0:2:0:0:0:3', '1::/56', '1:0:0:2::3'],
    ['1:0:2:0:3:0:4:0', '1:0:2::/56', '1:0:2:0:3:0:4:0'],
    ['64:ff9b::192.0.2.1', '64:ff9b::/56', '64:ff9b::c000:201'],
    // Mapped is what has exactly these first 96 bits.
    ['::ffff:0:192.0.2.1', '::/56', '::ffff:0:c000:201'],
    ['1::ffff:192.0.2.1', '1::/56', '1::ffff:c000:201'],
  ]) {
    test(given, () => {
      assert.equal(canonicalAddress(given), expected)
      assert.equal(canonicalAddress(given, 128), whole)
    })
  }

  test('has as many bits as one says', () => {
    const given = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
    for (const [prefix, expected] of [
      [32, 'ffff:ffff::/32'],
      [48, 'ffff:ffff:ffff::/48'],
      [49, 'ffff:ffff:ffff:8000::/49'],
      [56, 'ffff:ffff:ffff:ff00::/56'],
      [64, 'ffff:ffff:ffff:ffff::/64'],
      [127, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127'],
    ]) {
      assert.equal(canonicalAddress(given, prefix), expected)
    }
  })

  test('is nothing where there is no address', () => {
    for (const given of [
      undefined,
      null,
      42,
      {},
      '',
      ' ',
      'unknown',
      '_hidden',
      'localhost',
      '1.2.3',
      '1.2.3.256',
      '01.2.3.4',
      '1.2.3.4:',
      '1.2.3.4:x',
      '1.2.3.4:123456',
      ' 1.2.3.4',
      '1.2.3.4, 5.6.7.8',
      ':',
      ':::',
      '1::2::3',
      '12345::',
      '[::1',
      '[::1]x',
      '[::1]:',
      '[1.2.3.4]',
      '[]',
      '::1]',
      '%eth0',
      `${'0'.repeat(2_000)}::1`,
      `fe80::1%${'x'.repeat(2_000)}`,
    ]) {
      assert.equal(canonicalAddress(given), undefined, String(given))
    }
  })

  test('is one however it is spelt, and another where another network is', () => {
    const { below, one } = random(1)
    const network = (groups) => groups.map((group, index) => (index < 3 ? group : index === 3 ? group & 0xff00 : 0))
    const spell = (groups) => {
      const words = groups.map((group) => {
        const word = group.toString(16)
        return one([word, word.toUpperCase(), word.padStart(4, '0')])
      })
      const zeros = groups.findIndex((group) => group === 0)
      let text = words.join(':')
      if (zeros !== -1 && below(2) === 1) {
        let end = zeros
        while (groups[end] === 0) end += 1
        text = `${words.slice(0, zeros).join(':')}::${words.slice(end).join(':')}`
      }
      assert.ok(isIPv6(text), text)
      return one([text, `[${text}]`, `[${text}]:${below(65_536)}`, `${text}%eth${below(10)}`])
    }
    let seen
    for (let index = 0; index < CASES; index += 1) {
      // Begins with 2, so none of them is a mapped one.
      const groups = Array.from({ length: 8 }, () => one([0, 0, 1, below(65_536)]))
      groups[0] = 0x2000 + below(16)
      const canonical = canonicalAddress(spell(groups))
      assert.equal(canonicalAddress(spell(groups)), canonical)
      const [written, bits] = canonical.split('/')
      assert.equal(bits, '56')
      assert.ok(isIPv6(written), canonical)
      // What is canonical is so already.
      assert.equal(canonicalAddress(written), canonical)
      // As the platform's own parser of URLs writes it.
      assert.equal(
        new URL(
          `http://[${network(groups)
            .map((group) => group.toString(16))
            .join(':')}]`,
        ).hostname,
        `[${written}]`,
      )
      const isSame = seen !== undefined && String(network(groups)) === String(network(seen.groups))
      if (seen !== undefined) assert.equal(canonical === seen.canonical, isSame)
      seen = { groups, canonical }
    }
  })

  test('of any text is an address, or nothing', () => {
    const { below, one } = random(2)
    const pieces = ['1', '255', 'ffff', ':', '::', '.', '[', ']', '%', '/', ',', ' ', '"', '\0', 'é', '0', 'g', '-1']
    for (let index = 0; index < CASES; index += 1) {
      const text = Array.from({ length: below(14) }, () => one(pieces)).join('')
      const canonical = canonicalAddress(text)
      if (canonical === undefined) continue
      const [written] = canonical.split('/')
      assert.ok(isIPv4(written) || isIPv6(written), `${text} became ${canonical}`)
    }
  })
})

describe('what proxies say', () => {
  const SOCKET = '10.0.0.9'
  const of = (value, hops, entriesOf = xForwardedFor) => forwardedAddress(value, entriesOf, hops, SOCKET)

  test('X-Forwarded-For is counted from the right', () => {
    assert.equal(of('192.0.2.1', 1), '192.0.2.1')
    assert.equal(of('192.0.2.1, 192.0.2.2', 1), '192.0.2.2')
    assert.equal(of('192.0.2.0,192.0.2.1 ,  192.0.2.2', 2), '192.0.2.1')
    assert.equal(of('192.0.2.1, 192.0.2.2', 3), '192.0.2.1', 'fewer than were said: the furthest that is known')
    assert.equal(of(undefined, 2), SOCKET)
    assert.equal(of('', 2), SOCKET)
    assert.equal(of(' , ,', 3), SOCKET)
  })

  test('where one is no address, the next proxy counts, and in the end the connection', () => {
    assert.equal(of('192.0.2.1, unknown', 1), SOCKET)
    assert.equal(of('unknown, 192.0.2.2', 2), '192.0.2.2')
    assert.equal(of('192.0.2.1, junk, junk', 2), SOCKET, 'and never what stands left of those that are trusted')
  })

  test('Forwarded is read as RFC 7239 has it', () => {
    for (const [value, hops, expected] of [
      ['for=192.0.2.43', 1, '192.0.2.43'],
      ['For="[2001:db8:cafe::17]:4711"', 1, '2001:db8:cafe::/56'],
      ['for=192.0.2.60;proto=http;by=203.0.113.43', 1, '192.0.2.60'],
      ['proto=http ; FOR = "192.0.2.60:80" ; by=203.0.113.43', 1, '192.0.2.60'],
      ['for=192.0.2.43, for=198.51.100.17', 2, '192.0.2.43'],
      ['for=192.0.2.43, for=198.51.100.17', 1, '198.51.100.17'],
      ['for=_gazonk', 1, SOCKET],
      ['for=unknown, for=192.0.2.1', 2, '192.0.2.1'],
      ['proto=https', 1, SOCKET],
      ['before=192.0.2.1', 1, SOCKET],
      ['for="192.0.2.1, 192.0.2.2"', 1, SOCKET],
      ['for="192\\.0.2.1"', 1, '192.0.2.1'],
      ['by="a, for=192.0.2.66";for=192.0.2.1', 1, '192.0.2.1'],
      ['for="192.0.2.66, for=192.0.2.1', 1, '192.0.2.1'],
      ['for=x\\", for=192.0.2.1', 1, '192.0.2.1'],
      ['"""",,;;==, for=192.0.2.1;proto="a\\"b,c"', 1, '192.0.2.1'],
    ]) {
      assert.equal(of(value, hops, forwarded), expected, value)
    }
  })

  test('whatever a client writes, only what trusted proxies have added decides', () => {
    const { below, one } = random(3)
    const pieces = [
      'for=',
      '192.0.2.66',
      '"',
      '\\',
      ',',
      ';',
      ' ',
      '[',
      ']',
      '=',
      ':',
      '::1',
      'unknown',
      '\t',
      'proto=http',
      '\u00ff',
    ]
    const addresses = ['198.51.100.1', '203.0.113.7', '2001:db8:1:1::1']
    for (let index = 0; index < CASES; index += 1) {
      const written = Array.from({ length: below(12) }, () => one(pieces)).join('')
      const hops = 1 + below(3)
      const chain = Array.from({ length: hops }, () => one(addresses))
      const client = canonicalAddress(chain[0])
      assert.equal(of([written, ...chain].join(', '), hops), client, written)
      const elements = chain.map((entry) => one([`for="[${entry}]:80"`, `for="[${entry}]";proto="a,b"`]))
      const four = chain.map((entry) => one([`for=${entry}`, `for="${entry}:80"`, `by="x\\"y, z";for=${entry}`]))
      const said = elements.map((element, place) => (chain[place].includes(':') ? element : four[place]))
      assert.equal(of([written, ...said].join(', '), hops, forwarded), client, `${written} | ${said}`)
    }
  })

  test('a header of the longest size is read in one go', { timeout: 60_000 }, () => {
    for (const piece of [',', '"', '\\"', '\\', 'for="', ';for=', ' ']) {
      const long = piece.repeat(Math.floor(16_384 / piece.length))
      assert.equal(of(`${long}, 192.0.2.1`, 1), '192.0.2.1')
      assert.equal(of(`${long}, for=192.0.2.1`, 1, forwarded), '192.0.2.1')
      // What takes more than a straight way through it would not come to an end here.
      for (let call = 0; call < 1_000; call += 1) of(long, 32, forwarded)
    }
  })
})
