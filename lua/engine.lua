-- engine.lua: decides a batch of requests, each on one key or on several, in one atomic call.
--
-- KEYS      the states, of request after request. Requests on one key are decided in their order.
-- ARGV[1]   packed one after the other:
--   the number of policies, '>H', and each of them, '>BB': the algorithm's number, how many numbers its `prepare` takes; then
--   each of these, '>I7'
--   the requests in runs of equal ones, each '>HBBI5I5I7':
--     run    how many requests in a row
--     verb   0 forget, 1 decide, 2 refund, 3 penalize, 4 reserve, 5 block, 6 unblock, 7 admit: decide, the last key being that of
--            the limit on new keys, 8 several: calls on one key, one after the other; 9 lease, 10 give back what was leased
--     parts  how many keys each of them has, which are decided together
--     cost   units; 0 only looks, and writes nothing
--     least  units without which a call is refused: `cost` for all or nothing, less for "up to `cost`"; of a lease, how many more
--            than `cost` the call would like
--     time   when the request happened, 0 for now; of a reservation how long it would wait; of a block or a lease how long it
--            lasts; of what is given back when it was leased
--   then for each part which of the policies, '>H', from 1; and of verb 7 for each but the last whose key it is, '>B': the number
--   of an identity, from 1, or 0 for nobody who could be new; and of verb 8 for each key how many kinds of calls and how many
--   calls, '>HH', and of each kind how many in a row, cost and least, '>HI5I5'
--
-- Returns answers, or { answers, i, message, i, message, … } where some failed
--   answers   one for each key, packed one after the other, the first byte telling the rest:
--     1 allowed   '>BI5I5I7'    granted, remaining, reset_at
--     2 refused   '>BI5I7I7'    remaining, retry_after, reset_at
--     3 forgotten '>B'
--     4 failed    '>B'
--     5 delayed   '>BI5I5I7I7'  allowed after a delay: granted, remaining, reset_at, delay
--     6 taken     '>BI7I7I4'    of verb 8: now, what all calls together took, the length of the state before them; the state.
--                               Where nothing was taken there is one answer for each kind instead
--     7 each      '>B'          of verb 8: an answer for each call follows
--     8 leased    '>BI5I5I7I7'  of verb 9: granted, more than `cost`; remaining, reset_at, now
--   i, message   for each key that failed, why. The others are not touched by it, but for those decided together with it.
--   retry_after and delay are in microseconds; reset_at, in microseconds since the epoch, is when the key is as good as new.
--
-- What one key's value makes Redis refuse comes back from redis.pcall as a table with `err` and is that key's failure alone:
-- what an aborted script has written would stay.
--
-- Above this text stand clock.lua, names.lua, expiry.lua, the algorithms' files, twins.lua and verbs.lua.

local ALLOWED, REFUSED, DELAYED = 1, 2, 5
local FAILED = '\4'
local FORGET, DECIDE, ADMIT, SEVERAL, LEASE = 0, 1, 7, 8, 9

local now = present()
local packed = ARGV[1]

local policies = {}
local count, offset = unpack('>H', packed)
for i = 1, count do
  local algorithm, length
  algorithm, length, offset = unpack('>BB', packed, offset)
  local twin = twin_of(algorithm)
  -- `unpack` adds where it stopped, which no `prepare` looks at.
  local numbers = twin.prepare(unpack('>' .. string.rep('I7', length), packed, offset))
  policies[i] = { step = twin.step, numbers = numbers, twin = twin }
  offset = offset + 7 * length
end

local answers, failures = {}, nil

local function fail(i, message)
  failures = failures or { '' }
  failures[#failures + 1] = i
  failures[#failures + 1] = message
  return FAILED
end

local function answer(allowed, granted, remaining, retry_after, reset_at, delay)
  if not allowed then
    return pack('>BI5I7I7', REFUSED, remaining, retry_after, reset_at)
  end
  if delay and delay > 0 then
    return pack('>BI5I5I7I7', DELAYED, granted, remaining, reset_at, delay)
  end
  return pack('>BI5I5I7', ALLOWED, granted, remaining, reset_at)
end

-- What most batches do without.
local rare
local function seldom()
  rare = rare or verbs(now, answer, fail)
  return rare
end

local function decide(i, policy, cost, least)
  local state = pcall('GET', KEYS[i])
  if state and state.err then
    return fail(i, state.err)
  end
  local allowed, granted, remaining, retry_after, reset_at, changed, expires, delay =
    policy.step(policy.numbers, state, now, cost, least)
  if allowed == nil then
    -- Blocked, or unreadable.
    return seldom().decide(i, policy, cost, least, 0)
  end
  if changed and cost > 0 then
    local failure
    if expires then
      failure = pcall('SET', KEYS[i], changed, 'PX', lifetime(expires - now)).err
    elseif #changed == #state then
      -- Written over in place, which costs Redis two thirds of a SET with KEEPTTL.
      local length = pcall('SETRANGE', KEYS[i], '0', changed)
      failure = length ~= #changed and length.err
    else
      failure = pcall('SET', KEYS[i], changed, 'KEEPTTL').err
    end
    if failure then
      return fail(i, failure)
    end
  end
  return answer(allowed, granted, remaining, retry_after, reset_at, delay)
end

local i = 0
while i < #KEYS do
  local run, verb, parts, cost, least, time, number
  run, verb, parts, cost, least, time, number, offset = unpack('>HBBI5I5I7H', packed, offset)
  local policy, known, identities = policies[number], nil, nil
  if parts > 1 then
    known = { policy }
    for j = 2, parts do
      number, offset = unpack('>H', packed, offset)
      known[j] = policies[number]
    end
  end
  if verb == ADMIT then
    identities = {}
    for j = 1, parts - 1 do
      identities[j], offset = unpack('>B', packed, offset)
    end
  end
  for _ = 1, run do
    if verb == DECIDE and parts == 1 and time == 0 then
      i = i + 1
      answers[i] = decide(i, policy, cost, least)
    elseif parts > 1 and (verb == DECIDE or verb == ADMIT) then
      seldom().together(i + 1, known, cost, least, time, answers, identities)
      i = i + parts
    elseif verb == SEVERAL then
      i = i + 1
      answers[i], offset = seldom().several(i, policy, packed, offset)
    else
      for j = 1, parts do
        i = i + 1
        if verb == FORGET then
          answers[i] = seldom().forget(i)
        elseif verb == DECIDE then
          answers[i] = seldom().decide(i, policy, cost, least, time)
        elseif verb == LEASE then
          answers[i] = seldom().lease(i, policy, cost, least, time)
        else
          answers[i] = seldom().act(i, known and known[j] or policy, verb, cost, time)
        end
      end
    end
  end
end
local told = table.concat(answers)
if failures then
  failures[1] = told
  return failures
end
return told
