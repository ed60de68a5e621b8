-- leaky_bucket.lua: the twin of src/algorithm/leaky_bucket.rs, which explains the algorithm.
--
-- prepare(limit, window, burst) -> policy. Window in microseconds.
-- step(policy, state, now, cost, least) -> allowed, granted, remaining, retry_after, reset_at, changed, expires, delay
--   delay      microseconds until the caller's turn, where allowed
--   The rest is as in token_bucket.lua, and so are refund, penalize, reserve, seen and the state.
-- turn(policy, state, now) -> microseconds until the turn of who comes next

local bucket = twin_of(2)
local full_at = bucket.full_at

local function step(policy, state, now, cost, least)
  local allowed, granted, remaining, retry_after, reset_at, changed, expires =
    bucket.step(policy, state, now, cost, least)
  local delay = allowed and full_at(policy, state, now) - now or nil
  return allowed, granted, remaining, retry_after, reset_at, changed, expires, delay
end

local function prepare(limit, window, burst)
  -- Room for those that wait, and for one that leaves at once.
  return bucket.prepare(limit, window, burst + 1)
end

local function turn(policy, state, now)
  return full_at(policy, state, now) - now
end

-- A place in the queue is for whoever comes next, and cannot be leased.
local queue = { prepare = prepare, step = step, turn = turn, lease = false, give_back = false }
return setmetatable(queue, { __index = bucket })
