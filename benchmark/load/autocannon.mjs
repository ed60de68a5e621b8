/** Autocannon's requests: each connection has its share of the users in turn. The last line that it says is JSON. */

import autocannon from 'autocannon'

const [url, connections, seconds, users] = [process.argv[2], ...process.argv.slice(3).map(Number)]
let connection = 0

const result = await autocannon({
  url,
  connections,
  duration: seconds,
  setupClient(client) {
    const share = Math.floor(users / connections)
    const first = connection++ * share
    const headers = (user) => ({ 'x-user-id': `user:${user}` })
    client.setRequests(Array.from({ length: share }, (_, index) => ({ headers: headers(first + index) })))
  },
})

const failed = result.non2xx + result.errors + result.timeouts
console.log(JSON.stringify({ requests: result.requests.total, failed, elapsedUs: result.duration * 1e6 }))
