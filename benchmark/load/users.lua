-- wrk's requests: each is the next user's. Its argument is how many users there are. The last line that it says is JSON.

local requests = {}
local turn = 0

function init(args)
  for user = 1, tonumber(args[1]) do
    requests[user] = wrk.format('GET', nil, { ['x-user-id'] = 'user:' .. user })
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"requests":%d,"failed":%d,"elapsedUs":%d}\n', summary.requests, failed, summary.duration))
end
