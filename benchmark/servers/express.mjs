/** An Express application with one route, and a limiter before it or none. */

import { once } from 'node:events'
import express from 'express'

/** `use(app)` puts the limiter into it. */
export async function serve(use = () => {}) {
  const app = express()
  use(app)
  app.get('/', (req, res) => res.json({ hello: 'world' }))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close: async () => server.closeAllConnections(),
  }
}
