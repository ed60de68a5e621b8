-- engine.lua: decides a batch of requests, each on one key or on several, in one atomic call.
--
-- KEYS      the states, of request after request. Requests on one key are decided in their order.
-- ARGV[1]   packed one after the other:
--   whether each key stands in KEYS once, '>B', and of how many bytes the policies are, '>I4'
--   the number of policies, '>H', and each of them, '>BB': the algorithm's number, how many numbers its `prepare` takes; then
--   each of these, '>I7'
--   the requests in runs of equal ones, each '>HBBI5I5I7':
--     run    how many requests in a row
--     verb   0 forget, 1 decide, 2 refund, 3 penalize, 4 reserve, 5 block, 6 unblock, 7 admit: decide, the last key being that of
--            the limit on new keys, 8 several: calls on one key, one after the other; 9 lease, 10 give back what was leased;
--            11 hold, 12 settle what is held, 13 renew it; 14 try: decide, some limits of which are tried
--     parts  how many keys each of them has, which are decided together
--     cost   units; 0 only looks, and writes nothing
--     least  units without which a call is refused: `cost` for all or nothing, less for "up to `cost`"; of a lease, how many more
--            than `cost` the call would like
--     time   when the request happened, 0 for now; of a reservation how long it would wait; of a block or a lease how long it
--            lasts; of what is given back when it was leased; of a hold how long it lasts, and of what is settled or renewed when it ends; how
--            long it then lasts stands in the place of `cost`
--   then for each part which of the policies, '>H', from 1; and of verb 7 for each but the last whose key it is, '>B': the number
--   of an identity, from 1, or 0 for nobody who could be new; and of verb 14 for each its role, '>B': 0 in force, 1 shadow,
--   2 candidate, 3 one that is tried with more than it can hold; and of verb 8 for each key how many kinds of calls and how many
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
--     9 held      '>BBI5I5I7I7I7I7'  of verbs 11 to 13: 1 where allowed; granted, remaining, retry_after, reset_at, delay; when the hold ends,
--                               0 where it is gone. A hold that is refused is told so as any call
--   i, message   for each key that failed, why. The others are not touched by it, but for those decided together with it.
--   retry_after and delay are in microseconds; reset_at, in microseconds since the epoch, is when the key is as good as new.
--
-- What one key's value makes Redis refuse comes back from redis.pcall as a table with `err` and is that key's failure alone:
-- what an aborted script has written would stay.
--
-- Above this text stand clock.lua, names.lua, expiry.lua, the algorithms' files, twins.lua, batch.lua, holds.lua, leases.lua,
-- trials.lua and verbs.lua. As a function of a library this text is run for each batch, and what stands above is made once.

local FORGET, DECIDE, ADMIT, SEVERAL, LEASE, HOLD, TRY = 0, 1, 7, 8, 9, 11, 14

now, answers, failures = present(), {}, nil
local packed = ARGV[1]
local is_each_once, length, offset = unpack('>BI4', packed)

local named = sub(packed, offset, offset + length - 1)
local policies = recall and recall(named)
if policies then
  offset = offset + length
else
  local count
  policies, count, offset = {}, unpack('>H', packed, offset)
  for i = 1, count do
    local algorithm, numbers
    algorithm, numbers, offset = unpack('>BB', packed, offset)
    local twin = twin_of(algorithm)
    -- `unpack` adds where it stopped, which no `prepare` looks at.
    local policy = twin.prepare(unpack('>' .. string.rep('I7', numbers), packed, offset))
    policies[i] = { step = twin.step, numbers = policy, twin = twin }
    offset = offset + 7 * numbers
  end
  if remember then
    remember(named, policies)
  end
end

-- What stands outside is fetched whenever it is used: an operation each, of which a decision has about a hundred.
local keys, told, pack, pcall, values = KEYS, answers, pack, pcall, nil
local i = 0
while i < #keys do
  local run, verb, parts, cost, least, time, number
  run, verb, parts, cost, least, time, number, offset = unpack('>HBBI5I5I7H', packed, offset)
  local policy, all, identities, roles = policies[number], nil, nil, nil
  if parts > 1 then
    all = { policy }
    for j = 2, parts do
      number, offset = unpack('>H', packed, offset)
      all[j] = policies[number]
    end
    if verb == ADMIT then
      identities = {}
      for j = 1, parts - 1 do
        identities[j], offset = unpack('>B', packed, offset)
      end
    elseif verb == TRY then
      roles = {}
      for j = 1, parts do
        roles[j], offset = unpack('>B', packed, offset)
      end
    end
  end
  if values == nil and (verb == DECIDE and time == 0 or verb == SEVERAL or verb == LEASE or verb == TRY) then
    -- What the keys hold, read at once, since MGET costs Redis a third of as many GETs: not where one of them is written before it
    -- is its turn, nor where they are more than Lua's stack has room for, nor where the user has no right to it.
    values = is_each_once == 1 and #keys > 1 and #keys <= 4096 and pcall('MGET', list(keys))
    if values and values.err then
      values = false
    end
  end
  if verb == DECIDE and parts == 1 and time == 0 then
    local step, numbers, takes, moment = policy.step, policy.numbers, cost > 0, now
    for j = i + 1, i + run do
      local key, state = keys[j], nil
      if values then
        state = values[j]
      else
        state = pcall('GET', key)
      end
      local allowed, granted, remaining, retry_after, reset_at, changed, expires, delay =
        step(numbers, state, moment, cost, least)
      -- Most are written over in place, which costs Redis two thirds of a SET with KEEPTTL.
      local is_done = changed and takes and not expires and #changed == #state
        and pcall('SETRANGE', key, '0', changed) == #changed
      if not is_done then
        local written = state and true or not values
        if changed and takes then
          written = put(key, state, changed, expires)
        end
        if allowed == nil or not written then
          -- Blocked, no state, or a value of another kind.
          told[j] = seldom().decide(j, policy, cost, least, 0, state)
        elseif written ~= true and written.err then
          told[j] = fail(j, written.err)
        else
          is_done = true
        end
      end
      if is_done then
        told[j] = allowed and not delay and pack('>I6I5I7', ALLOWED_IN_FRONT + granted, remaining, reset_at)
          or answer(allowed, granted, remaining, retry_after, reset_at, delay)
      end
    end
    i, run = i + run, 0
  elseif parts > 1 and (verb == DECIDE or verb == ADMIT) then
    seldom().together(i, run, all, cost, least, time, identities, values)
    i, run = i + run * parts, 0
  elseif verb == TRY then
    seldom().try(i, run, all, roles, cost, least, time, values)
    i, run = i + run * parts, 0
  elseif verb == HOLD then
    seldom().hold(i, run, all or { policy }, cost, time)
    i, run = i + run * parts, 0
  end
  for _ = 1, run do
    if verb == SEVERAL then
      i = i + 1
      told[i], offset = seldom().several(i, policy, packed, offset, values and values[i])
    else
      for j = 1, parts do
        i = i + 1
        if verb == FORGET then
          told[i] = seldom().forget(i)
        elseif verb == DECIDE then
          told[i] = seldom().decide(i, policy, cost, least, time)
        elseif verb == LEASE then
          told[i] = seldom().lease(i, all and all[j] or policy, cost, least, time, values and values[i])
        else
          told[i] = seldom().act(i, all and all[j] or policy, verb, cost, time)
        end
      end
    end
  end
end
local reply = table.concat(told)
if failures then
  failures[1] = reply
  return failures
end
return reply
