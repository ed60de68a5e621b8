/** Elements made from text alone: nothing that a page is told is ever read as markup. */

const SVG = 'http://www.w3.org/2000/svg'

export const byId = (id) => document.getElementById(id)

/** Attributes are strings; `on…` is a listener; `undefined` and `false` are left out. Children are nodes or text. */
function make(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children)
  return element
}

export const html = (tag, attributes = {}, ...children) => make(document.createElement(tag), attributes, children)
export const svg = (tag, attributes = {}, ...children) => make(document.createElementNS(SVG, tag), attributes, children)

/** Sets a text where it is another one, so that nothing is drawn or read out anew for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}
