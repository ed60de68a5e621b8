-- engine.lua: decides a batch of requests, each on one key, in one atomic call.
--
-- KEYS[i]   the state of request i. Requests on one key are decided in their order.
-- ARGV[1]   packed one after the other:
--   the number of policies, '>H', and each of them, '>BB': the algorithm's number, how many numbers its `prepare` takes; then
--   each of these, '>I7'
--   the requests in runs of equal ones, each '>HHI5I5'
--     run     how many keys in a row
--     policy  which of the policies, from 1; 0 forgets the keys
--     cost    units to take; 0 only looks, and writes nothing
--     least   units without which the call is refused: `cost` for all or nothing, less for "up to `cost`"
--
-- Returns { answers, i, message, i, message, … }
--   answers   packed one after the other, the first byte telling the rest:
--     1 allowed   '>BI5I5I7'  granted, remaining, reset_at
--     2 refused   '>BI5I7I7'  remaining, retry_after, reset_at
--     3 forgotten '>B'
--     4 failed    '>B'
--   i, message   for each request that failed, why. The others are not touched by it.
--   retry_after is in microseconds; reset_at, in microseconds since the epoch, is when the key is as good as new.
--
-- What one key's value makes Redis refuse comes back from redis.pcall as a table with `err` and is that key's failure alone:
-- what an aborted script has written would stay.
--
-- Above this text stand clock.lua, expiry.lua and the table `algorithms`, made from the algorithms' files.

local list, pack, unpack, pcall = unpack, struct.pack, struct.unpack, redis.pcall

local ALLOWED, REFUSED = 1, 2
local FORGOTTEN, FAILED = '\3', '\4'

local now = present()
local packed = ARGV[1]

local policies = {}
local count, offset = unpack('>H', packed)
for i = 1, count do
  local algorithm, length
  algorithm, length, offset = unpack('>BB', packed, offset)
  local numbers = {}
  for j = 1, length do
    numbers[j], offset = unpack('>I7', packed, offset)
  end
  local twin = algorithms[algorithm]
  policies[i] = { step = twin.step, numbers = twin.prepare(list(numbers)) }
end

local answers, reply = {}, { '' }

local function fail(i, message)
  reply[#reply + 1] = i
  reply[#reply + 1] = message
  return FAILED
end

local function forget(i)
  local removed = pcall('DEL', KEYS[i])
  return type(removed) == 'table' and fail(i, removed.err) or FORGOTTEN
end

local function decide(i, step, numbers, cost, least)
  local state = pcall('GET', KEYS[i])
  if state and state.err then
    return fail(i, state.err)
  end
  local allowed, granted, remaining, retry_after, reset_at, changed, expires = step(numbers, state, now, cost, least)
  if allowed == nil then
    return fail(i, 'STATE the value is not the state of a limit')
  end
  if changed and cost > 0 then
    local written
    if expires then
      written = pcall('SET', KEYS[i], changed, 'PX', lifetime(expires - now))
    else
      written = pcall('SET', KEYS[i], changed, 'KEEPTTL')
    end
    if written.err then
      return fail(i, written.err)
    end
  end
  if allowed then
    return pack('>BI5I5I7', ALLOWED, granted, remaining, reset_at)
  end
  return pack('>BI5I7I7', REFUSED, remaining, retry_after, reset_at)
end

local i = 0
while i < #KEYS do
  local run, policy, cost, least
  run, policy, cost, least, offset = unpack('>HHI5I5', packed, offset)
  local known = policies[policy]
  for _ = 1, run do
    i = i + 1
    answers[i] = known and decide(i, known.step, known.numbers, cost, least) or forget(i)
  end
end
reply[1] = table.concat(answers)
return reply
