-- replay.lua: a schedule of calls on one key, step by step on the Lua twin, without the engine and without a clock.
--
-- ARGV[1]   the policy, as the engine is given it
-- ARGV[2]   the calls, each '>I7I5I5': now, cost, least
-- Returns for each call { allowed, granted, remaining, retry_after, reset_at, changed or '', expires or 0 }. Below the table `algorithms`.

local algorithm, length, place = struct.unpack('>BB', ARGV[1])
local numbers = {}
for i = 1, length do
  numbers[i], place = struct.unpack('>I7', ARGV[1], place)
end
local twin = twin_of(algorithm)
local policy = twin.prepare(unpack(numbers))
local state, offset, outcomes = false, 1, {}
while offset <= #ARGV[2] do
  local now, cost, least
  now, cost, least, offset = struct.unpack('>I7I5I5', ARGV[2], offset)
  local allowed, granted, remaining, retry_after, reset_at, changed, expires = twin.step(policy, state, now, cost, least)
  if changed and cost > 0 then
    state = changed
  end
  outcomes[#outcomes + 1] = { allowed and 1 or 0, granted, remaining, retry_after, reset_at, changed or '', expires or 0 }
end
return outcomes
