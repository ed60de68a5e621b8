-- twins.lua: the algorithms, each made when it is first asked for.
--
-- twins[id]    a function that makes the twin of that number; the algorithms' files put themselves here
-- twin_of(id)  the twin: { prepare, step, refund, penalize, reserve, seen }, see README.md. A windowed algorithm's number and
--              128 is the same with a burst
--
-- A call of the script runs its whole text, and a function that is named is made each time. Most calls need one algorithm.

local WITH_BURST, BUCKET = 128, 2

local twins, made = {}, {}

local function twin_of(id)
  local twin = made[id]
  if not twin then
    twin = id > WITH_BURST and with_burst(twin_of(id - WITH_BURST), twin_of(BUCKET)) or twins[id]()
    made[id] = twin
  end
  return twin
end
