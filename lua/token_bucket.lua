-- token_bucket.lua: the twin of src/algorithm/token_bucket.rs, which explains the algorithm.
--
-- prepare(limit, window, burst) -> policy. Window in microseconds.
-- step(policy, state, now, cost, least) -> allowed, granted, remaining, retry_after, reset_at, changed, expires
--   state      what GET returned: a string, or false for a key that was never seen
--   cost       units to take, 0 only looks; least: units without which the call is refused
--   changed    the state to write, or nil where nothing was taken and nothing needs repair
--   expires    the expiry to set with it, or nil where the one that is set lasts
--   An unreadable state answers nil.
--
-- State: '>BI7I7I5' version, kept (see expiry.lua), theoretical arrival time as whole microseconds and a remainder over `limit`.
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

-- The decision where every span can be counted in 1/limit microseconds, which most policies allow: `missing` is what the
-- bucket lacks, so it holds burst - ceil(missing / window) units. Answers allowed, granted, free, retry_after, and the new
-- theoretical arrival time.
local function decide_scaled(policy, now, tat, tat_rest, cost, least)
  local limit, window = policy.limit, policy.window
  local missing = (tat - now) * limit + tat_rest
  local part = missing % window
  local free = policy.burst - (missing - part) / window
  if part > 0 then
    free = free - 1
  end
  if free < least then
    -- In this order each difference stays below 2^53.
    local wait = missing - (policy.full - least * window)
    local rest = wait % limit
    return false, 0, free, up((wait - rest) / limit, rest), tat, tat_rest
  end
  local granted = cost < free and cost or free
  missing = missing + granted * window
  local rest = missing % limit
  return true, granted, free, 0, now + (missing - rest) / limit, rest
end

-- The same decision for any policy.
local function decide_exactly(policy, now, tat, tat_rest, cost, least)
  local empty, empty_rest = now + policy.fill_whole, policy.fill_rest
  local free = units(policy, minus(policy, empty, empty_rest, tat, tat_rest))
  if free < least then
    local needed, needed_rest = plus(policy, tat, tat_rest, span(policy, least))
    return false, 0, free, up(minus(policy, needed, needed_rest, empty, empty_rest)), tat, tat_rest
  end
  local granted = cost < free and cost or free
  return true, granted, free, 0, plus(policy, tat, tat_rest, span(policy, granted))
end

local function step(policy, state, now, cost, least)
  local kept, tat, tat_rest = 0, now, 0
  local repaired = false
  if state then
    local version, whole, rest
    if #state == 20 then
      version, kept, whole, rest = unpack('>BI7I7I5', state)
    end
    if version ~= VERSION then
      return nil
    end
    if rest >= policy.limit then
      -- Written under another limit: rounding up by less than a microsecond grants nothing.
      whole, rest = whole + 1, 0
    end
    local empty = now + policy.fill_whole
    if whole > empty or (whole == empty and rest > policy.fill_rest) then
      -- Further ahead than an empty bucket: the clock jumped back, or the burst was lowered.
      kept, tat, tat_rest, repaired = 0, empty, policy.fill_rest, true
    elseif whole >= now then
      tat, tat_rest = whole, rest
    end
  end

  local allowed, granted, free, retry_after
  allowed, granted, free, retry_after, tat, tat_rest = policy.decide(policy, now, tat, tat_rest, cost, least)
  local reset_at = tat_rest > 0 and tat + 1 or tat
  if granted == 0 and not repaired then
    return allowed, 0, free, retry_after, reset_at, nil
  end
  local expires
  kept, expires = keep(kept, reset_at, policy.window)
  return allowed, granted, free - granted, retry_after, reset_at, pack('>BI7I7I5', VERSION, kept, tat, tat_rest), expires
end

local function prepare(limit, window, burst)
  local unit_rest = window % limit
  local policy = {
    limit = limit,
    window = window,
    burst = burst,
    unit_whole = (window - unit_rest) / limit,
    unit_rest = unit_rest,
    -- What an empty bucket lacks, in 1/limit microseconds.
    full = burst * window,
  }
  policy.decide = policy.full < EXACT and decide_scaled or decide_exactly
  policy.fill_whole, policy.fill_rest = span(policy, burst)
  return policy
end

return { prepare = prepare, step = step }
