/** What the limit promises, kept by simple counting: the load asks it for keys and tells it of every decision. */

/** Units of each key. Small, so that many a key is exhausted and one admission too many is seen. */
export const LIMIT = 40
/** Calls on a key before the load goes on to the next: where an admission too many is looked for, more than there are units. */
const CALLS = Math.floor(LIMIT * 1.5)
/** Elsewhere so few that a key has units left when each of them was charged twice: of one that is exhausted nobody could tell. */
const FEW_CALLS = Math.floor(LIMIT / 4)
/** Of so many keys one is to be exhausted. */
const EXHAUSTED_OF = 8
/** Within the window no unit comes back while a row runs: whoever is admitted can simply be counted. */
export const WINDOW = '1d'

/** What was decided on one key. */
class Account {
  /** Admissions by who decided. */
  redis = 0
  fallback = 0
  /** Calls that were made, and those that Redis admitted or refused. */
  made = 0
  decidedByRedis = 0

  constructor(life) {
    this.life = life
    this.lastLife = life
  }
}

/** What Redis may admit of it: the limit, and once more for each time that it has forgotten in between. A loss is two lives. */
function mostOf({ life, lastLife }) {
  return LIMIT * (Math.ceil((lastLife - life) / 2) + 1)
}

export class Model {
  accounts = new Map()
  #life = 0
  #key = 0
  #calls = 0
  #prefix

  constructor(prefix = 'key') {
    this.#prefix = prefix
  }

  /** Redis loses what it has counted while `act` runs: keys in use before and after may have their units once more. */
  async forgets(act) {
    this.#life += 1
    const done = await act()
    this.#life += 1
    return done
  }

  /** The key of the next call. */
  nextKey() {
    if (this.#calls === (this.#key % EXHAUSTED_OF === 0 ? CALLS : FEW_CALLS)) {
      this.#calls = 0
      this.#key += 1
    }
    this.#calls += 1
    const key = `${this.#prefix}-${this.#key}`
    if (!this.accounts.has(key)) this.accounts.set(key, new Account(this.#life))
    this.accounts.get(key).made += 1
    return key
  }

  decided(key, allowed, source) {
    const account = this.accounts.get(key)
    account.lastLife = this.#life
    // What is known to be refused it was not asked, and so did not miss.
    if (source === 'redis' || source === 'deny-cache') account.decidedByRedis += 1
    if (allowed) account[source] += 1
  }

  /** Admissions above the limit, by Redis and by the fallback, in words: one line for each key. */
  violations() {
    const lines = []
    for (const [key, account] of this.accounts) {
      const { redis, fallback } = account
      const most = mostOf(account)
      if (redis > most) lines.push(`${key}: Redis admitted ${redis} of at most ${most}`)
      if (fallback > LIMIT) lines.push(`${key}: the fallback admitted ${fallback} of at most ${LIMIT}`)
    }
    return lines
  }

  /** How many units too many that were. */
  overAdmitted() {
    let over = 0
    for (const account of this.accounts.values()) {
      over += Math.max(0, account.redis - mostOf(account)) + Math.max(0, account.fallback - LIMIT)
    }
    return over
  }

  /**
   * What Redis itself has counted, by `counted(key)`, beside what callers were told: every admission is in it, and beyond
   * them at most one unit for each call whose answer was not Redis's: it was sent and its reply lost, or it was not, and Redis
   * was told of it when it was back. Looks at up to `most` keys of each kind that saw no
   * loss of data: those that Redis decided in part, those that it did not decide (the first of them, which may have been
   * sent), and the newest. Answers the units that were lost with replies or told.
   */
  async reconcile(counted, most = 300) {
    const settled = [...this.accounts].filter(([, { life, lastLife }]) => life === lastLife && life === this.#life)
    const kinds = { inPart: [], unheard: [], heard: [] }
    for (const entry of settled) {
      const [, { made, decidedByRedis }] = entry
      kinds[decidedByRedis === made ? 'heard' : decidedByRedis > 0 ? 'inPart' : 'unheard'].push(entry)
    }
    const sample = [...kinds.inPart.slice(0, most), ...kinds.unheard.slice(0, most), ...kinds.heard.slice(-most)]
    const lost = await Promise.all(sample.map(([key, account]) => lostOf(key, account, counted)))
    return { keys: sample.length, lost: lost.reduce((sum, units) => sum + units, 0) }
  }
}

async function lostOf(key, { redis, made, decidedByRedis }, counted) {
  const units = await counted(key)
  const unheard = made - decidedByRedis
  if (units < redis) throw new Error(`${key}: Redis admitted ${redis} and has counted only ${units}`)
  if (units > redis + unheard) {
    throw new Error(`${key}: ${redis} admitted and ${unheard} unheard calls cost ${units} units: one was charged twice`)
  }
  return units - redis
}
