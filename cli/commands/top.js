// Who uses most, and who is blocked.
'use strict'

const { Interrupted, UsageError } = require('../failure.js')
const { OUTPUT, REDIS, WHICH, whole } = require('../options.js')
const { Census } = require('../limits/census.js')
const { survey } = require('../limits/survey.js')
const { blockedTable, entryJson, limitsTable, topTable } = require('../limits/tables.js')
const { addExpiries, whichOf, withRedis } = require('../session.js')
const { Progress } = require('../terminal/progress.js')
const { count, counted, printableJson } = require('../terminal/text.js')

const ORDERS = ['used', 'time']
const MOST = 10_000

const command = {
  name: 'top',
  arguments: [],
  summary: 'Lists the keys that use most, those that are blocked, and what each limit counts',
  description: [
    'All keys of the prefix are gone through by SCAN, a few hundred at a time, on a cluster on all masters, and each is looked at: on a Redis with very many keys that takes a while, and --sample ends it earlier.',
    'Of a windowed limit the units are shown that are stored, of which some may have come back already; of a bucket, when it is full.',
  ],
  options: {
    number: {
      type: 'string',
      short: 'n',
      value: '<keys>',
      default: '10',
      help: 'How many keys are listed. Default: 10',
    },
    match: { type: 'string', value: '<glob>', help: "Only keys like this, such as 'user:*'" },
    sort: { type: 'string', value: '<by>', default: 'used', help: 'used (default), or time: who is stored longest' },
    sample: { type: 'string', value: '<keys>', help: 'Ends when so many keys were looked at' },
    ...WHICH,
    ...OUTPUT,
    ...REDIS,
  },
  examples: ['top', "top -n 20 --match 'user:*'", 'top --limit-name address --json', 'top --sort time --sample 100000'],
  run,
}

async function run({ values, stdout, style, print }) {
  const most = whole('number', values.number, 1, MOST)
  const sample = values.sample === undefined ? Infinity : whole('sample', values.sample, 1, Number.MAX_SAFE_INTEGER)
  if (!ORDERS.includes(values.sort)) {
    throw new UsageError(`--sort must be used or time, but '${values.sort}' was given`)
  }
  return withRedis(values, async (session) => {
    const census = new Census({ most, order: values.sort })
    const isWhole = await take(census, values, { ...session, sample })
    await addExpiries(session.redis, census)
    if (values.json) return print(printableJson(inJson(census, session, isWhole), 2))
    print(inWords(census, { isWhole, style, width: stdout.columns ?? Infinity, at: session.redis.at }))
  })
}

/** Goes through the keys, with a bar; answers whether through all of them. Ctrl-c leaves the bar's line as it was. */
async function take(census, values, { sample, ...session }) {
  const progress = new Progress('Going through the keys', { isWanted: true })
  let interrupted = false
  const interrupt = () => (interrupted = true)
  process.once('SIGINT', interrupt)
  try {
    for await (const { looked, total, isWhole } of survey(session, census, {
      ...whichOf(values),
      match: values.match,
      order: values.sort,
    })) {
      if (interrupted) throw new Interrupted()
      progress.show(looked, total, 'keys')
      if (census.keys >= sample && !isWhole) return false
    }
    return true
  } finally {
    process.off('SIGINT', interrupt)
    progress.end()
  }
}

function inJson({ keys, blockedKeys, foreignKeys, limits, top, blocked }, { redis }, isWhole) {
  return {
    ...{ redis: redis.at, keys, isWhole, blockedKeys, foreignKeys },
    limits: limits.map(({ isBucket, used, ...limit }) => ({ ...limit, ...(!isBucket && { used }) })),
    top: top.map(entryJson),
    blocked: blocked.map(entryJson),
  }
}

function inWords(census, { isWhole, style, width, at }) {
  const { keys, blockedKeys, foreignKeys, limits, top, blocked } = census
  if (keys === 0) return [`Nothing is counted in ${at}. Is it the right --prefix?`]
  const part = isWhole ? 'all of them' : 'a sample: the rest was not looked at'
  const lines = [`${style.bold(counted(keys, 'key'))} in ${at}, ${part}`, '', ...limitsTable(limits, { style, width })]
  if (top.length > 0) lines.push('', ...topTable(top, { style, width }))
  if (blocked.length > 0) lines.push('', ...blockedTable(blocked, { style, width }))
  if (blockedKeys > blocked.length) lines.push(style.dim(`and ${count(blockedKeys - blocked.length)} more`))
  if (foreignKeys > 0) {
    const they = foreignKeys === 1 ? 'One key holds' : `${count(foreignKeys)} keys hold`
    lines.push('', style.red(`${they} no state of the limiter: another program has written there.`))
  }
  return lines
}

module.exports = command
