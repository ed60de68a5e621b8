-- sliding_window.lua: the twin of src/algorithm/sliding_window.rs, which explains the algorithm.
--
-- prepare(limit, window, slot) -> policy. Window and slot in microseconds.
-- step(policy, state, now, cost, least) -> allowed, granted, remaining, retry_after, reset_at, changed
--   state      what GET returned: a string, or false for a key that was never seen
--   cost       units to take, 0 only looks; least: units without which the call is refused
--   changed    the state to write, or nil where nothing was taken and nothing needs repair
--   An unreadable state answers nil.
--
-- State: '>BI5' version, total; then for each group, oldest first, '>I7I5' newest, count. Groups have a fixed width, so that
-- a step touches only the ends of the string, however many there are.

local pack, unpack, sub, byte = struct.pack, struct.unpack, string.sub, string.byte

local HEADER, GROUP, VERSION = 6, 12, 1

local function prepare(limit, window, slot)
  return { limit = limit, window = window, slot = slot }
end

-- After the clock jumped back, groups ahead of `now` become one group of the present. Answers the string up to the groups
-- that remain, and what they counted.
local function clamp(state, first, now)
  local stop, ahead = #state, 0
  while stop >= first do
    local newest, count = unpack('>I7I5', state, stop - GROUP + 1)
    if newest <= now then
      break
    end
    ahead = ahead + count
    stop = stop - GROUP
  end
  return sub(state, 1, stop), ahead
end

-- The groups from `first` with `count` units of the present added, merged where the last group is of the same slot.
local function append(policy, state, first, now, count)
  local stop = #state
  if stop >= first then
    local newest, last = unpack('>I7I5', state, stop - GROUP + 1)
    if newest - newest % policy.slot == now - now % policy.slot then
      count = count + last
      stop = stop - GROUP
    end
  end
  return sub(state, first, stop) .. pack('>I7I5', now, count)
end

-- When enough has been forgotten for `least` units to fit.
local function room_at(policy, state, first, total, least)
  local missing = total + least - policy.limit
  for offset = first, #state, GROUP do
    local newest, count = unpack('>I7I5', state, offset)
    missing = missing - count
    if missing <= 0 then
      return newest + policy.window
    end
  end
end

local function step(policy, state, now, cost, least)
  local window = policy.window
  local first, total, newest = HEADER + 1, 0, nil
  if state then
    local length = #state
    if length < HEADER + GROUP or (length - HEADER) % GROUP ~= 0 or byte(state) ~= VERSION then
      return nil
    end
    total = unpack('>I5', state, 2)
    -- Forget groups whose newest member has left the window.
    while first <= length do
      local oldest, count = unpack('>I7I5', state, first)
      if oldest + window > now then
        break
      end
      total = total - count
      first = first + GROUP
    end
    if first <= length then
      newest = unpack('>I7', state, length - GROUP + 1)
    end
  else
    state = ''
  end

  local repaired = false
  if newest and newest > now then
    local kept, ahead = clamp(state, first, now)
    state = pack('>BI5', VERSION, 0) .. append(policy, kept, first, now, ahead)
    first, newest, repaired = HEADER + 1, now, true
  end

  local free = policy.limit - total
  if free < 0 then
    free = 0
  end
  if free < least then
    local retry_after = (room_at(policy, state, first, total, least) or now + window) - now
    local changed = repaired and pack('>BI5', VERSION, total) .. sub(state, first) or nil
    return false, 0, free, retry_after, newest and newest + window or now, changed
  end
  local granted = cost < free and cost or free
  if granted == 0 then
    return true, 0, free, 0, newest and newest + window or now, nil
  end
  local groups = append(policy, state, first, now, granted)
  return true, granted, free - granted, 0, now + window, pack('>BI5', VERSION, total + granted) .. groups
end

return { prepare = prepare, step = step }
