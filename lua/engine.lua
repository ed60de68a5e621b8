-- engine.lua: decides a batch of requests, each on one key, in one atomic call.
--
-- KEYS[i]   the state of request i. Requests on one key are decided in their order.
-- ARGV[1]   the requests, packed one after the other: '>HBI5I5'
--             policy  which of the policies, from 1
--             verb    1 decide, 2 reset
--             cost    units to take, 0 only looks and writes nothing
--             least   units without which the call is refused: `cost` for all or nothing, less for "up to `cost`"
-- ARGV[2…]  the policies, each '>BI7I7I7': the algorithm's number, and three numbers for its `prepare`
--
-- Returns { answers, i, message, i, message, … }
--   answers   packed one after the other: '>BI5I5I7I7I7'
--               status       0 refused, 1 allowed, 2 failed
--               granted, remaining   units
--               retry_after, delay   microseconds
--               reset_at     microseconds since the epoch at which the key is as good as new
--   i, message   for each request that failed, why. The others are not touched by it.
--
-- Above this text stand clock.lua and the table `algorithms`, made from the algorithms' files.

local pack, unpack = struct.pack, struct.unpack

local RESET = 2
local REFUSED, ALLOWED, FAILED = 0, 1, 2

local now = present()
local requests = ARGV[1]

local policies = {}
for i = 2, #ARGV do
  local algorithm, a, b, c = unpack('>BI7I7I7', ARGV[i])
  local twin = algorithms[algorithm]
  policies[i - 1] = { step = twin.step, numbers = twin.prepare(a, b, c) }
end

local function decide(key, policy, verb, cost, least)
  if verb == RESET then
    redis.call('DEL', key)
    return pack('>BI5I5I7I7I7', ALLOWED, 0, 0, 0, now, 0)
  end
  local allowed, granted, remaining, retry_after, reset_at, changed =
    policy.step(policy.numbers, redis.call('GET', key), now, cost, least)
  if allowed == nil then
    error({ err = 'STATE the value is not the state of a limit' })
  end
  if changed and cost > 0 then
    redis.call('SET', key, changed, 'PX', lifetime(reset_at - now))
  end
  return pack('>BI5I5I7I7I7', allowed and ALLOWED or REFUSED, granted, remaining, retry_after, reset_at, 0)
end

local answers, reply, offset = {}, { '' }, 1
for i = 1, #KEYS do
  local policy, verb, cost, least
  policy, verb, cost, least, offset = unpack('>HBI5I5', requests, offset)
  -- Guarded one by one: what an aborted script has written stays, so one bad value must not stop the rest.
  local done, answer = pcall(decide, KEYS[i], policies[policy], verb, cost, least)
  if not done then
    reply[#reply + 1] = i
    reply[#reply + 1] = type(answer) == 'table' and answer.err or tostring(answer)
    answer = pack('>BI5I5I7I7I7', FAILED, 0, 0, 0, now, 0)
  end
  answers[i] = answer
end
reply[1] = table.concat(answers)
return reply
