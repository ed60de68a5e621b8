/** The box that looks a key up, and where that is allowed, blocks, unblocks and resets it. */

import { answerOf, wordsOf } from './answer.mjs'
import { byId, html } from './dom.mjs'

const BLOCKS = [
  [60_000, '1 minute'],
  [600_000, '10 minutes'],
  [3_600_000, '1 hour'],
  [86_400_000, '1 day'],
  [604_800_000, '7 days'],
]

/** Asks the server; an answer that is a refusal is thrown with what the server said. */
async function ask(verb, body) {
  const headers = { 'Content-Type': 'application/json' }
  const response = await fetch(verb, { method: 'POST', headers, body: JSON.stringify(body) })
  const answer = await response.json().catch(() => ({}))
  if (!response.ok) throw new Error(answer.error ?? `The server answered with ${response.status}.`)
  return answer
}

export class Lookup {
  #limiter
  #fields = []
  #form = byId('lookup-form')
  #answer = byId('lookup-answer')
  #admin = byId('lookup-admin')
  #mayChange = false
  /** What was looked up last: what is changed is this, whatever stands in the box by now. */
  #asked

  constructor() {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#look(this.#entered())
    })
  }

  /** Makes the form anew for this limiter: a box for its key, or one for each field of it, and its actions. */
  offer({ name, policies }, mayChange) {
    this.#limiter = name
    this.#mayChange = mayChange
    this.#asked = undefined
    this.#answer.replaceChildren()
    this.#admin.hidden = true
    this.#fields = [...new Set(policies.map(({ by }) => by).filter((by) => by !== undefined && by !== 'global'))]
    const actions = [...new Set(policies.map(({ action }) => action).filter((action) => action !== undefined))]
    const input = (label, field) =>
      html(
        'label',
        {},
        html('span', {}, label),
        html('input', {
          name: field,
          type: 'text',
          required: true,
          autocapitalize: 'none',
          autocorrect: 'off',
          spellcheck: 'false',
        }),
      )
    const boxes =
      this.#fields.length === 0 ? [input('Key', 'key')] : this.#fields.map((field) => input(field, `field:${field}`))
    if (actions.length > 0) {
      const choices = actions.map((action) => html('option', { value: action }, action))
      const select = html('select', { name: 'action' }, html('option', { value: '' }, 'none'), ...choices)
      boxes.push(html('label', {}, html('span', {}, 'Action'), select))
    }
    this.#form.replaceChildren(...boxes, html('button', { type: 'submit', class: 'strong' }, 'Look up'))
  }

  /** Looks up a key as a table names it. */
  find(text) {
    const key = this.#keyOf(text)
    const { elements } = this.#form
    if (elements.action) elements.action.value = ''
    byId('lookup').scrollIntoView({ block: 'nearest' })
    if (key === undefined) {
      this.#say(html('p', { class: 'wrong' }, 'The fields of this key cannot be told apart. Enter them one by one.'))
    } else {
      if (typeof key === 'string') elements.key.value = key
      else for (const field of this.#fields) elements[`field:${field}`].value = key[field] ?? ''
      this.#look(this.#entered())
    }
    byId('lookup').focus({ preventScroll: true })
  }

  /** `field=value,field=value` taken apart: only where each field stands in it once, since a value may look like a field. */
  #keyOf(text) {
    if (this.#fields.length === 0) return text
    const starts = this.#fields.flatMap((field) => {
      const found = []
      for (let at = text.indexOf(`${field}=`); at !== -1; at = text.indexOf(`${field}=`, at + 1)) {
        if (at === 0 || text[at - 1] === ',') found.push({ field, at })
      }
      return found
    })
    starts.sort((one, other) => one.at - other.at)
    if (starts[0]?.at !== 0 || new Set(starts.map(({ field }) => field)).size < starts.length) return undefined
    return Object.fromEntries(
      starts.map(({ field, at }, index) => {
        const end = starts[index + 1] ? starts[index + 1].at - 1 : undefined
        return [field, text.slice(at + field.length + 1, end)]
      }),
    )
  }

  #entered() {
    const { elements } = this.#form
    const key =
      this.#fields.length === 0
        ? elements.key.value
        : Object.fromEntries(this.#fields.map((field) => [field, elements[`field:${field}`].value]))
    const action = elements.action?.value
    return { limiter: this.#limiter, key, ...(action && { action }) }
  }

  /** `done` is a sentence about what was done before. */
  async #look(asked, done) {
    try {
      const decision = await ask('lookup', asked)
      if (asked.limiter !== this.#limiter) return
      this.#asked = asked
      this.#say(...(done ? [html('p', { class: 'done' }, done)] : []), ...answerOf(asked, decision))
      this.#offerChanges()
    } catch (error) {
      this.#admin.hidden = true
      this.#say(html('p', { class: 'wrong' }, error.message))
    }
  }

  #say(...nodes) {
    this.#answer.replaceChildren(...nodes)
  }

  #offerChanges() {
    this.#admin.hidden = !this.#mayChange
    if (!this.#mayChange || this.#admin.firstChild) return
    const select = html(
      'select',
      { name: 'duration' },
      ...BLOCKS.map(([ms, text]) => html('option', { value: String(ms) }, text)),
    )
    const button = (text, onclick) => html('button', { type: 'button', onclick }, text)
    const block = () => {
      const [durationMs, text] = BLOCKS[select.selectedIndex]
      this.#change(
        'block',
        { durationMs },
        `Block for ${text}`,
        `Every call is refused for ${text}, whatever is left.`,
        'Blocked.',
      )
    }
    this.#admin.replaceChildren(
      html('label', { class: 'beside' }, html('span', {}, 'Block for'), select),
      html('div', { class: 'buttons' }),
    )
    this.#admin.lastChild.append(
      button('Block', block),
      button('Unblock', () =>
        this.#change('unblock', {}, 'Unblock', 'A block on this key ends now. What was used stays used.', 'Unblocked.'),
      ),
      button('Reset', () =>
        this.#change(
          'reset',
          {},
          'Reset',
          'The key is forgotten: nothing of its limit is used, and a block on it ends.',
          'Reset.',
        ),
      ),
    )
  }

  async #change(verb, more, title, text, done) {
    const asked = this.#asked
    if (!(await confirmed(title, text, asked))) return
    try {
      await ask(verb, { ...asked, ...more })
      await this.#look(asked, done)
    } catch (error) {
      this.#say(html('p', { class: 'wrong' }, error.message))
    }
  }
}

/** Asks before something is changed; resolves with whether it was said. */
function confirmed(title, text, asked) {
  const dialog = byId('confirm')
  byId('confirm-title').textContent = `${title}?`
  byId('confirm-text').textContent = text
  byId('confirm-key').textContent = wordsOf(asked)
  byId('confirm-yes').textContent = title
  return new Promise((resolve) => {
    const end = (isYes) => () => {
      resolve(isYes)
      dialog.close()
    }
    byId('confirm-yes').onclick = end(true)
    byId('confirm-no').onclick = end(false)
    // It comes a moment after the dialog was closed, when the next question may stand there already.
    dialog.onclose = () => {
      if (!dialog.open) resolve(false)
    }
    dialog.showModal()
    byId('confirm-no').focus()
  })
}
