/** What is said of a key that was looked up: what a call would be told, and why. */

import { html } from './dom.mjs'
import * as format from './format.mjs'

/** The key that was asked for, in words. */
export const wordsOf = ({ key, action }) => {
  const parts =
    typeof key === 'string'
      ? [format.shownKey(key)]
      : Object.entries(key).map(([field, value]) => `${field} = ${format.shownKey(value)}`)
  return [...parts, ...(action ? [`action ${format.shownKey(action)}`] : [])].join(', ')
}

/** Who has said which limits it has. */
const ORIGINS = {
  default: () => 'The default',
  action: ({ limits: [{ action }] }) => `The action ${format.shownKey(action)}`,
  override: ({ pattern }) => `The override of ${format.shownKey(pattern)}`,
  configured: () => 'configure, in this process',
  call: () => 'The call itself',
  'allow-list': ({ pattern }) => `Never counted, as ${format.shownKey(pattern)}`,
  'deny-list': ({ pattern }) => `Always refused, as ${format.shownKey(pattern)}`,
}

const list = (entries) =>
  html(
    'dl',
    { class: 'facts' },
    ...entries.map(([term, value]) => html('div', {}, html('dt', {}, term), html('dd', {}, html('bdi', {}, value)))),
  )

/** The nodes that say it. `asked` is what was looked up, and the decision has with it `why`. */
export function answerOf(asked, { allowed, delayMs, limit, name, remaining, resetAt, retryAfterMs, why }) {
  const now = Date.now()
  const facts = [['Limits from', ORIGINS[why.from](why)]]
  const isListed = why.from.endsWith('-list')
  if (!isListed) {
    if (name !== undefined) facts.push(['Decided by', format.shownKey(name)])
    facts.push(['Left', `${format.count(remaining)} of ${format.count(limit)}`])
    if (retryAfterMs > 0) facts.push(['Allowed again in', format.duration(retryAfterMs)])
    if (delayMs > 0) facts.push(['Waits for its turn', format.duration(delayMs)])
    facts.push(['As good as new', resetAt <= now ? 'now' : `at ${format.moment(resetAt, now)}`])
  }
  if (why.version > 0) facts.push(['Shared policies', `version ${why.version}`])
  if (why.multiplier < 1) facts.push(['Left under load', format.share(why.multiplier)])
  return [
    html(
      'p',
      { class: 'verdict', 'data-allowed': String(allowed) },
      html('strong', {}, allowed ? 'Would be allowed' : 'Would be refused'),
      ' ',
      html('bdi', { class: 'key' }, wordsOf(asked)),
    ),
    list(facts),
    ...(isListed ? [] : [html('h3', {}, 'Each limit'), html('ul', { class: 'each' }, ...why.limits.map(standingOf))]),
  ]
}

/** One limit: what it is, and how it stands. */
function standingOf(limit) {
  const { action, allowed, limitNow, name, remaining, retryAfterMs, role } = limit
  const tried = role === undefined ? '' : ' · tried, and refuses nobody'
  const of = action === undefined || action === name ? '' : ` · action ${format.shownKey(action)}`
  const filled = html('span', { class: 'filled' })
  // Of one that is tried nothing is known while the store is away.
  const known = limitNow !== undefined
  filled.style.width = `${known ? Math.min(100, (100 * (limitNow - remaining)) / limitNow).toFixed(1) : 0}%`
  const refused = role === undefined ? 'refuses' : 'would refuse'
  const again = !known || allowed ? '' : `, ${refused} for ${format.duration(retryAfterMs)}`
  return html(
    'li',
    {},
    html('bdi', { class: 'name' }, format.shownKey(name)),
    html(
      'span',
      { class: 'standing' },
      known ? `${format.count(remaining)} of ${format.count(limitNow)} left${again}` : 'not known now',
    ),
    html('bdi', { class: 'meaning' }, `${format.described(limit)}${of}${tried}`),
    html('span', { class: `track ${known && !allowed ? 'denied' : 'plain'}`, 'aria-hidden': 'true' }, filled),
  )
}
