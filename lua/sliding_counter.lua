-- sliding_counter.lua: the twin of src/algorithm/sliding_counter.rs, which explains the algorithm.
--
-- prepare(limit, window, slot) -> policy. Window and slot in microseconds.
-- step(policy, state, now, cost, least) -> allowed, granted, remaining, retry_after, reset_at, changed, expires
--   state      what GET returned: a string, or false for a key that was never seen
--   cost       units to take, 0 only looks; least: units without which the call is refused
--   changed    the state to write, or nil where nothing was taken and nothing needs repair
--   expires    the expiry to set with it, or nil where the one that is set lasts
--   An unreadable state answers nil.
-- refund(policy, state, now, units), penalize(…) -> changed, expires, of a state that a step can read
--   changed    the state to write, '' for a key that is as good as new, or nil where nothing changes
-- seen(state) -> when the window began in which something was last taken, 0 where there is no state
-- counted(policy, state, now) -> the units that are counted now: as many as a refund can give back
--
-- State: '>BI7I7I5I5' version, kept (see expiry.lua), the window's start, the units of the window before, those of this one.
--
-- A window has at most 65,536 slots and a count is at most 2^33, so every product is exact.

local LENGTH, VERSION = 25, 1

local function prepare(limit, window, slot)
  return { limit = limit, window = window, slot = slot, slots = (window - window % slot) / slot }
end

-- The window's start and both counts as they stand now, until when the value is kept, and whether the clock had jumped back.
-- Nil for what cannot be read.
local function present(policy, state, now)
  local window = policy.window
  if not state then
    return now - now % window, 0, 0, 0, false
  end
  local version, kept, start, before, count
  if #state == LENGTH then
    version, kept, start, before, count = unpack('>BI7I7I5I5', state)
  end
  if version ~= VERSION then
    return nil
  end
  local following = start + window
  if before + count == 0 or following + window <= now or (following <= now and count == 0) then
    return now - now % window, 0, 0, kept, false
  end
  if following <= now then
    return following, count, 0, kept, false
  end
  if start > now then
    return now - now % window, before, count, 0, true
  end
  return start, before, count, kept, false
end

-- Units in use.
local function used(policy, now, start, before, count)
  if before == 0 then
    return count
  end
  local slot, slots = policy.slot, policy.slots
  local left = start + policy.window - now + slot - 1
  local share = (left - left % slot) / slot
  if share > slots then
    share = slots
  end
  local weight = before * share + slots - 1
  return (weight - weight % slots) / slots + count
end

-- When `least` units fit that do not now.
local function room_at(policy, start, before, count, least)
  local room = policy.limit - least
  if room < 0 then
    room = 0
  end
  local waning, gone_at = before, start + policy.window
  if count <= room then
    room = room - count
  else
    waning, gone_at = count, gone_at + policy.window
  end
  if waning == 0 then
    waning = 1
  end
  local left = room * policy.slots
  return gone_at - (left - left % waning) / waning * policy.slot
end

local function reset(policy, now, start, before, count)
  if count > 0 then
    return start + policy.window + policy.window
  end
  return before > 0 and start + policy.window or now
end

-- The state that is to be written, and its expiry. Where nothing is counted there is none.
local function write(policy, kept, reset_at, start, before, count)
  if before + count == 0 then
    return '', nil
  end
  local expires
  kept, expires = keep(kept, reset_at, policy.window)
  return pack('>BI7I7I5I5', VERSION, kept, start, before, count), expires
end

local function step(policy, state, now, cost, least)
  local start, before, count, kept, repaired = present(policy, state, now)
  if not start then
    return nil
  end
  local free = policy.limit - used(policy, now, start, before, count)
  if free < 0 then
    free = 0
  end
  local allowed, granted, retry_after = true, cost < free and cost or free, 0
  if free < least then
    allowed, granted, retry_after = false, 0, room_at(policy, start, before, count, least) - now
  end
  count = count + granted
  local reset_at = reset(policy, now, start, before, count)
  if granted == 0 and not repaired then
    return allowed, 0, free, retry_after, reset_at, nil
  end
  return allowed, granted, free - granted, retry_after, reset_at, write(policy, kept, reset_at, start, before, count)
end

-- What is seldom asked of a key, by its name. A script makes whatever it names anew each time it runs, and most runs only take
-- steps, so these are made when they are asked for.
local function seldom(_, name)
  local function refund(policy, state, now, units)
    if not state then
      return nil
    end
    local start, before, count, kept = present(policy, state, now)
    local oldest = units < before and units or before
    before, units = before - oldest, units - oldest
    count = units < count and count - units or 0
    return write(policy, kept, reset(policy, now, start, before, count), start, before, count)
  end

  local function penalize(policy, state, now, units)
    local start, before, count, kept, repaired = present(policy, state, now)
    local room = policy.limit * 2 - used(policy, now, start, before, count)
    if room < 0 then
      room = 0
    end
    count = count + (units < room and units or room)
    if (units == 0 or room == 0) and not repaired then
      return nil
    end
    return write(policy, kept, reset(policy, now, start, before, count), start, before, count)
  end

  local function seen(state)
    return state and #state == LENGTH and select(3, unpack('>BI7I7', state)) or 0
  end

  local function counted(policy, state, now)
    local _, before, count = present(policy, state, now)
    return before + count
  end

  return ({ refund = refund, penalize = penalize, seen = seen, counted = counted })[name]
end

local twin = { prepare = prepare, step = step, __index = seldom }
return setmetatable(twin, twin)
