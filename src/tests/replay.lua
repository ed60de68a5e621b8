-- replay.lua: a schedule of calls on one key, step by step on the Lua twin, without the engine and without a clock.
--
-- ARGV[1]   policies of one algorithm, each as the engine is given it
-- ARGV[2]   the calls, each '>BBI7I5I5I7': what is done, under which of the policies from 1, now, cost, least, term or when it was booked. Done is one of the kinds below; a change has units as
--           its cost, and is answered by what a call of one unit is told when it is done.
-- Returns for each call { allowed, granted, remaining, retry_after, reset_at, delay, changed, expires, seen }: changed is false
-- where nothing is written and '' where the key is deleted, expires 0 where the one that is set lasts; seen is read from the
-- state that stands then. Below `twin_of`, and what that needs.

local kinds = { 'step', 'refund', 'penalize', 'reserve', 'lease', 'give_back' }

local twin, policies, place = nil, {}, 1
while place <= #ARGV[1] do
  local algorithm, length
  algorithm, length, place = unpack('>BB', ARGV[1], place)
  twin = twin_of(algorithm)
  policies[#policies + 1] = twin.prepare(unpack('>' .. string.rep('I7', length), ARGV[1], place))
  place = place + 7 * length
end
local state, offset, outcomes = false, 1, {}
while offset <= #ARGV[2] do
  local kind, number, now, cost, least, time
  kind, number, now, cost, least, time, offset = unpack('>BBI7I5I5I7', ARGV[2], offset)
  local policy = policies[number]
  local call = twin[kinds[kind]]
  local allowed, granted, remaining, retry_after, reset_at, changed, expires, delay, _
  if kind == 1 then
    allowed, granted, remaining, retry_after, reset_at, changed, expires, delay = call(policy, state, now, cost, least)
  else
    if kind ~= 6 or state then
      changed, expires = call(policy, state, now, cost, time)
    end
  end
  if changed and cost > 0 then
    state = changed ~= '' and changed
  end
  if kind ~= 1 then
    allowed, granted, remaining, retry_after, reset_at, _, _, delay = twin.step(policy, state, now, 0, 1)
  end
  outcomes[#outcomes + 1] = {
    allowed and 1 or 0, granted, remaining, retry_after, reset_at, delay or 0,
    changed or false, expires or 0, twin.seen(state),
  }
end
return outcomes
