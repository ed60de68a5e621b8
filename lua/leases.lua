-- leases.lua: calls that take units for those that come after them.
--
-- leases(open, save, decide_on) -> lease, over three functions of verbs.lua
-- lease(i, policy, cost, more, term, value) -> an answer, packed as engine.lua says. Decides a call of `cost` units, and leases it
--   up to `more` for those that come after it in the next `term`, a part of what can be spared at most. Where that is none it is
--   decided as any. `value` is what the key holds, where that was read and something was found.

local function leases(open, save, decide_on)
  local LEASED = 8
  -- Of what is to spare, one part in so many is leased at a time.
  local PART = 8

  return function(i, policy, cost, more, term, value)
    local state, till, length = open(KEYS[i], value)
    if state == nil then
      return fail(i, till)
    end
    local numbers, twin = policy.numbers, policy.twin
    -- Nothing is leased of what others hold.
    if till > 0 or not twin.lease or (state and string.byte(state) == HELD) then
      return decide_on(i, policy, cost, cost, 0, state, till, length)
    end
    local allowed, _, free = policy.step(numbers, state, now, 0, cost)
    if allowed == nil then
      return fail(i, UNREADABLE)
    end
    local spare = allowed and twin.spare(numbers, state, now, free, term) - cost or 0
    spare = spare > 0 and (spare - spare % PART) / PART or 0
    more = more < spare and more or spare
    if more == 0 then
      return decide_on(i, policy, cost, cost, 0, state, till, length)
    end
    local changed, expires = twin.lease(numbers, state, now, cost + more, term)
    local failure = save(KEYS[i], changed, 0, expires, length)
    if failure then
      return fail(i, failure)
    end
    local _, _, remaining, _, reset_at = policy.step(numbers, changed, now, 0, 0)
    return pack('>BI5I5I7I7', LEASED, cost + more, remaining, reset_at, now)
  end
end
