/** Finding out that a server of this machine listens, without asking it anything. */

import { connect } from 'node:net'

/** Whether somebody accepts connections on `port`. No request is made, so none is counted. */
export function isListening(port) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const answer = (listening) => {
      socket.destroy()
      resolve(listening)
    }
    socket.once('connect', () => answer(true)).once('error', () => answer(false))
  })
}
