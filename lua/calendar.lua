-- calendar.lua: the twin of src/algorithm/calendar.rs, which explains the algorithm.
--
-- prepare(limit, before, begin, finish, after) -> policy. The bounds of three periods, in microseconds since the epoch: they
--   begin at `before`, `begin` and `finish`, and the last of them ends at `after`
-- step(policy, state, now, cost, least) -> allowed, granted, remaining, retry_after, reset_at, changed, expires
--   state      what GET returned: a string, or false for a key that was never seen
--   cost       units to take, 0 only looks; least: units without which the call is refused
--   changed    the state to write, or nil where nothing was taken and nothing needs repair
--   expires    the expiry to set with it, or nil where the one that is set lasts
--   An unreadable state answers nil; a moment that lies in none of the periods nil and why.
-- refund(policy, state, now, units), penalize(…) -> changed, expires, of a state and a moment at which a step can be taken
--   changed    the state to write, '' for a key that is as good as new, or nil where nothing changes
-- seen(state) -> when the period began in which something was last taken, 0 where there is no state
--
-- State: '>BI7I7I5' version, kept (see expiry.lua), the period's start, the units counted in it.

local LENGTH, VERSION = 20, 1

local function prepare(limit, before, begin, finish, after)
  return { limit = limit, before = before, begin = begin, finish = finish, after = after }
end

-- Where the present period begins and ends. Nil and why where that cannot be told.
local function period(policy, now)
  if now >= policy.begin then
    if now < policy.finish then
      return policy.begin, policy.finish
    elseif now < policy.after then
      return policy.finish, policy.after
    end
  elseif now >= policy.before then
    return policy.before, policy.begin
  end
  return nil, 'CALENDAR the moment is more than a period of the calendar away from the clock of the process that asks'
end

-- The period's start, what is counted in it, until when the value is kept, whether the clock had jumped back, and the period's
-- end. Nil for what cannot be read, or cannot be told.
local function present(policy, state, now)
  local begin, finish = period(policy, now)
  if not begin then
    return nil, finish
  end
  if not state then
    return begin, 0, 0, false, finish
  end
  local version, kept, start, count
  if #state == LENGTH then
    version, kept, start, count = unpack('>BI7I7I5', state)
  end
  if version ~= VERSION then
    return nil
  end
  if count == 0 or start < begin then
    return begin, 0, kept, false, finish
  end
  return begin, count, start > begin and 0 or kept, start > begin, finish
end

-- The state that is to be written, and its expiry. Where nothing is counted there is none.
local function write(kept, begin, count, finish)
  if count == 0 then
    return '', nil
  end
  local expires
  kept, expires = keep(kept, finish, finish - begin)
  return pack('>BI7I7I5', VERSION, kept, begin, count), expires
end

local function step(policy, state, now, cost, least)
  local begin, count, kept, repaired, finish = present(policy, state, now)
  if not begin then
    return nil, count
  end
  local free = policy.limit - count
  if free < 0 then
    free = 0
  end
  local allowed, granted, retry_after = true, cost < free and cost or free, 0
  if free < least then
    allowed, granted, retry_after = false, 0, finish - now
  end
  if granted == 0 and not repaired then
    return allowed, 0, free, retry_after, count > 0 and finish or now, nil
  end
  count = count + granted
  return allowed, granted, free - granted, retry_after, count > 0 and finish or now, write(kept, begin, count, finish)
end

-- The rest is the fixed window's, over the `present` of this file.
local function seldom(twin, name)
  return twin_of(3).__index(twin, name)
end

local twin = { prepare = prepare, step = step, present = present, __index = seldom }
return setmetatable(twin, twin)
