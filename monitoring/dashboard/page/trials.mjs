/** Limits that are tried: how often they would have decided otherwise. */

import { byId } from './dom.mjs'
import * as format from './format.mjs'
import { figures, named, Table } from './table.mjs'

const ROLES = { shadow: 'tried beside the others', candidate: 'tried in the place of the one in force' }

export class Trials {
  #card = byId('trials-card')
  #table = new Table(byId('trials-table'), {
    caption: 'Limits that are tried, and what each of them would have done',
    empty: 'Nothing was decided yet.',
    columns: [
      { head: 'Limit', fill: (cell, { id, meaning }) => named(cell, id, meaning) },
      figures('Agreed', ({ agreed }) => format.count(agreed), 'wide'),
      figures('Would deny', ({ wouldDeny }) => format.count(wouldDeny)),
      figures('Would allow', ({ wouldAllow }) => format.count(wouldAllow)),
      figures('Otherwise', ({ otherwise, all }) => format.percent(otherwise, all)),
    ],
  })

  /** `counted` is what each of them would have done. */
  show(policies, counted) {
    const counts = new Map(counted.map((each) => [each.name, each]))
    const tried = policies.filter(({ role }) => role !== undefined)
    const names = [...new Set([...tried.map(countedAs), ...counts.keys()])]
    this.#card.hidden = names.length === 0
    this.#table.show(names.map((name) => rowOf(name, tried, counts.get(name))))
  }
}

/** One of an action's own is counted apart from the limiter's. */
const countedAs = ({ name, action }) => (action === undefined ? name : `${action}/${name}`)

function rowOf(id, tried, { agreed, wouldDeny, wouldAllow } = { agreed: 0, wouldDeny: 0, wouldAllow: 0 }) {
  const ofName = tried.filter((limit) => countedAs(limit) === id)
  const texts = ofName.map((limit) => {
    const action = limit.action === undefined ? '' : `action ${format.shownKey(limit.action)}: `
    return `${action}${format.described(limit)} · ${ROLES[limit.role]}`
  })
  const otherwise = wouldDeny + wouldAllow
  return { id, meaning: texts.join('; '), agreed, wouldDeny, wouldAllow, otherwise, all: agreed + otherwise }
}
