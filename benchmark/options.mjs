/** What the command line asks for: rounds, a short run, a part of the runs. */

import { parseArgs } from 'node:util'

export const USAGE = `npm run bench -- [options]

  --rounds N       alternating rounds, 1 to 100 (default 5; 1 with --quick)
  --quick          one short round: shows that everything runs, its figures are not to be quoted
  --only PATTERN   only runs whose "scenario/contestant" matches this regular expression:
                   --only redis-256, --only ours, --only '^redis-1/.*ioredis'
  --memory         measures memory instead of speed (takes --quick, and --only on its measurements)
  --resolution     measures what the slots of the sliding window cost and buy
  --algorithms     measures what each algorithm costs Redis and memory, for docs/algorithms.md
  --instructions   counts what a decision costs Redis, by callgrind (takes --rounds, and --only on its kinds)
  --flood          measures a flood of made-up keys (takes --keys and --rounds)
  --builds         compares two builds where calls are decided in memory (takes --before FOLDER, --rounds, --slice, --instructions)
  --shared         measures processes of one machine that share limits (takes --rounds and --quick)
  --help           this text
`

/** Throws an `Error` whose message can be shown to whoever typed the command. */
export function readOptions(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const rounds = values.rounds === undefined ? (values.quick ? 1 : 5) : Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
    throw new Error(`--rounds must be a whole number from 1 to 100, got '${values.rounds}'`)
  }
  return { rounds, quick: values.quick, only: readPattern(values.only), help: values.help }
}

function readPattern(only) {
  try {
    return only === undefined ? null : new RegExp(only, 'i')
  } catch (error) {
    throw new Error(`--only must be a regular expression: ${error.message}`)
  }
}
