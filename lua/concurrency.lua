-- concurrency.lua: the twin of src/algorithm/concurrency.rs, which explains the algorithm.
--
-- prepare(limit) -> policy
-- step(policy, state, now, cost, least) -> allowed, granted, remaining, retry_after, reset_at. There is no state, and nothing to write:
--   all that counts lies in holds, see holds.lua.

local function step(limit, state, now, cost, least)
  if state then
    return nil
  end
  if least > limit then
    return false, 0, limit, 0, now
  end
  local granted = cost < limit and cost or limit
  return true, granted, limit - granted, 0, now
end

local function prepare(limit)
  return limit
end

local function nothing() end

local function seen()
  return 0
end

return { prepare = prepare, step = step, refund = nothing, penalize = nothing, seen = seen }
