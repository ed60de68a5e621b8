/** Numbers, durations and keys as people read them. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const tenths = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const date = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' })

const NOTHING = '–'

export const count = (value) => (value >= 1_000_000 ? compact : whole).format(value)
export const time = (at) => clock.format(at)
/** A moment, with its day where that is not today's. */
export const moment = (at, now) =>
  (new Date(at).toDateString() === new Date(now).toDateString() ? clock : date).format(at)

export function rate(value) {
  if (value === null || value === undefined) return NOTHING
  if (value >= 100_000) return compact.format(value)
  return value === 0 || value >= 10 ? whole.format(value) : value < 0.05 ? '< 0.1' : tenths.format(value)
}

export function percent(part, all) {
  if (!(all > 0)) return NOTHING
  const value = (100 * part) / all
  if (value === 0 || value === 100) return `${value}%`
  return value < 0.1 ? '< 0.1%' : value > 99.9 ? '> 99.9%' : `${tenths.format(value)}%`
}

/** A latency; one that lies above all that is told apart is `slowest`. */
export function latency(ms, slowest = Infinity) {
  if (ms === null || ms === undefined) return NOTHING
  if (ms >= slowest) return `> ${duration(slowest)}`
  if (ms < 1) return `${ms.toFixed(2)} ms`
  if (ms < 10) return `${ms.toFixed(1)} ms`
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
]

/** A length of time in its two largest units, rounded up, since that is what must be waited for. */
export function duration(ms) {
  if (ms < 1_000) return `${Number(ms.toPrecision(3))} ms`
  const at = UNITS.findIndex(([size]) => ms >= size)
  const [size, unit] = UNITS[at]
  const [smaller, name] = UNITS[at + 1] ?? [100, '']
  const rounded = Math.ceil(ms / smaller) * smaller
  if (rounded > ms && rounded >= UNITS[at - 1]?.[0]) return duration(rounded)
  if (name === '') return `${rounded / 1_000} s`
  const [large, small] = [Math.floor(rounded / size), (rounded % size) / smaller]
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${name}`
}

export function bytes(value) {
  if (value < 1_024) return `${value} B`
  const exponent = Math.min(4, Math.floor(Math.log2(value) / 10))
  const scaled = value / 1_024 ** exponent
  return `${scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${' KMGT'[exponent]}iB`
}

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const LONGEST = 64

/**
 * A key as it is shown: bounded, and with what cannot be seen spelt out. Whoever chooses a key may write it so that it looks like
 * another, or turns the text around it.
 */
export function shownKey(key, longest = LONGEST) {
  const characters = [...key]
  const cut = characters.length > longest
  const [head, tail] = [Math.ceil(longest * 0.7), Math.floor(longest * 0.3) - 1]
  const text = cut ? `${characters.slice(0, head).join('')}…${characters.slice(-tail).join('')}` : key
  return text.replace(INVISIBLE, (character) => `\\u{${character.codePointAt(0).toString(16)}}`)
}

/** `topDenied` keeps so many bytes of a key, and `…` in place of the rest. */
const KEPT_BYTES = 256

/** Whether a key of `topDenied` is all there: one that was cut off, or was no whole text, would be another one. */
export const isWhole = (key) =>
  !key.includes('\u{fffd}') && !(key.endsWith('…') && new TextEncoder().encode(key).length >= KEPT_BYTES)

const ALGORITHMS = {
  'sliding-window': 'Sliding window',
  'sliding-counter': 'Sliding counter',
  'fixed-window': 'Fixed window',
  'token-bucket': 'Token bucket',
  'leaky-bucket': 'Leaky bucket',
}

export const algorithm = (name) => ALGORITHMS[name] ?? name

/** `100 in 1 min`, with its burst; `100 a month in Europe/Paris` of a calendar, whose periods are not all of one length. */
export function policy({ limit, windowMs, window, burst }) {
  if (window !== undefined) return `${whole.format(limit)} a ${window.calendar} in ${window.timeZone}`
  const text = `${whole.format(limit)} in ${duration(windowMs)}`
  if (burst === undefined) return text
  if (typeof burst === 'number') return `${text}, burst ${whole.format(burst)}`
  return `${text}, ${whole.format(burst.extra)} more in ${duration(burst.windowMs)}`
}

/** The same with its algorithm, and by what it counts. */
export const described = (limit) =>
  [algorithm(limit.algorithm), policy(limit), limit.by && `by ${limit.by}`].filter(Boolean).join(' · ')

/** A share of what is whole: `1` is all of it. */
export const share = (part) => (part === null || part === undefined ? NOTHING : `${whole.format(100 * part)}%`)
