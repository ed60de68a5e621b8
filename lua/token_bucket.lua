-- token_bucket.lua: the twin of src/algorithm/token_bucket.rs, which explains the algorithm.
--
-- prepare(limit, window, burst) -> policy. Window in microseconds.
-- step(policy, state, now, cost, least) -> allowed, granted, remaining, retry_after, reset_at, changed
--   state      what GET returned: a string, or false for a key that was never seen
--   cost       units to take, 0 only looks; least: units without which the call is refused
--   changed    the state to write, or nil where nothing was taken and nothing needs repair
--   An unreadable state answers nil.
--
-- State: '>BI7I5' version, theoretical arrival time as whole microseconds and a remainder over `limit`.
--
-- A Lua number is exact below 2^53, and products of a cost and a window are not always. Where one might not be, it is made
-- of two halves; elsewhere of one multiplication. `a % b` divides first, but below 2^53 the quotient of whole numbers never
-- rounds up to the next one, so the remainder is exact (and a call of math.fmod would cost as much as ten additions).

local pack, unpack, floor = struct.pack, struct.unpack, math.floor

local VERSION = 1
local EXACT = 9007199254740992 -- 2^53
local HALF = 65536

-- a * b / divisor as whole part and remainder, for a, b and divisor up to 2^32 and b < divisor.
local function muldiv(a, b, divisor)
  local product = a * b
  if product < EXACT then
    local rest = product % divisor
    return (product - rest) / divisor, rest
  end
  local low = a % HALF
  local high = (a - low) / HALF * b
  local carried = high % divisor
  local sum = carried * HALF + low * b
  local rest = sum % divisor
  return (high - carried) / divisor * HALF + (sum - rest) / divisor, rest
end

-- How long `count` units take to come back: count * window / limit.
local function span(policy, count)
  if count == 1 then
    return policy.unit_whole, policy.unit_rest
  end
  local whole, rest = muldiv(count, policy.unit_rest, policy.limit)
  return count * policy.unit_whole + whole, rest
end

-- How many whole units come back within a span.
local function units(policy, whole, rest)
  local scaled = whole * policy.limit + rest
  if scaled < EXACT then
    return (scaled - scaled % policy.window) / policy.window
  end
  -- The quotient of rounded numbers is off by at most one unit: settle it by exact spans.
  local count = floor(scaled / policy.window) + 1
  repeat
    local needed, needed_rest = span(policy, count)
    local fits = needed < whole or (needed == whole and needed_rest <= rest)
    if not fits then
      count = count - 1
    end
  until fits
  return count
end

local function plus(policy, whole, rest, other, other_rest)
  rest = rest + other_rest
  if rest >= policy.limit then
    return whole + other + 1, rest - policy.limit
  end
  return whole + other, rest
end

local function minus(policy, whole, rest, other, other_rest)
  if rest < other_rest then
    return whole - other - 1, rest + policy.limit - other_rest
  end
  return whole - other, rest - other_rest
end

-- The first whole microsecond that is not earlier.
local function up(whole, rest)
  return rest > 0 and whole + 1 or whole
end

local function prepare(limit, window, burst)
  local unit_rest = window % limit
  local policy = {
    limit = limit,
    window = window,
    burst = burst,
    unit_whole = (window - unit_rest) / limit,
    unit_rest = unit_rest,
    -- What an empty bucket lacks, in 1/limit microseconds, where that is exact.
    full = burst * window < EXACT and burst * window or nil,
  }
  policy.fill_whole, policy.fill_rest = span(policy, burst)
  return policy
end

-- The step where every span can be counted in 1/limit microseconds, which most policies allow: `missing` is what the bucket
-- lacks, so it holds burst - ceil(missing / window) units.
local function step_scaled(policy, now, missing, cost, least, repaired)
  local limit, window = policy.limit, policy.window
  local part = missing % window
  local free = policy.burst - (missing - part) / window
  if part > 0 then
    free = free - 1
  end
  local granted = 0
  if free >= least then
    granted = cost < free and cost or free
    missing = missing + granted * window
  end
  local rest = missing % limit
  local tat = now + (missing - rest) / limit
  local reset_at = rest > 0 and tat + 1 or tat
  local changed = (granted > 0 or repaired) and pack('>BI7I5', VERSION, tat, rest) or nil
  if free >= least then
    return true, granted, free - granted, 0, reset_at, changed
  end
  -- In this order each difference stays below 2^53.
  local wait = missing - (policy.full - least * window)
  rest = wait % limit
  return false, 0, free, up((wait - rest) / limit, rest), reset_at, changed
end

local function step(policy, state, now, cost, least)
  local limit = policy.limit
  local tat, tat_rest = now, 0
  local empty, empty_rest = now + policy.fill_whole, policy.fill_rest
  local repaired = false
  if state then
    local version, whole, rest
    if #state == 13 then
      version, whole, rest = unpack('>BI7I5', state)
    end
    if version ~= VERSION then
      return nil
    end
    if rest >= limit then
      -- Written under another limit: rounding up by less than a microsecond grants nothing.
      whole, rest = whole + 1, 0
    end
    if whole > empty or (whole == empty and rest > empty_rest) then
      -- Further ahead than an empty bucket: the clock jumped back, or the burst was lowered.
      tat, tat_rest, repaired = empty, empty_rest, true
    elseif whole >= now then
      tat, tat_rest = whole, rest
    end
  end
  if policy.full then
    return step_scaled(policy, now, (tat - now) * limit + tat_rest, cost, least, repaired)
  end

  local free = units(policy, minus(policy, empty, empty_rest, tat, tat_rest))
  if free < least then
    local needed, needed_rest = plus(policy, tat, tat_rest, span(policy, least))
    local retry_after = up(minus(policy, needed, needed_rest, empty, empty_rest))
    return false, 0, free, retry_after, up(tat, tat_rest), repaired and pack('>BI7I5', VERSION, tat, tat_rest) or nil
  end
  local granted = cost < free and cost or free
  if granted == 0 then
    return true, 0, free, 0, up(tat, tat_rest), nil
  end
  tat, tat_rest = plus(policy, tat, tat_rest, span(policy, granted))
  return true, granted, free - granted, 0, up(tat, tat_rest), pack('>BI7I5', VERSION, tat, tat_rest)
end

return { prepare = prepare, step = step }
