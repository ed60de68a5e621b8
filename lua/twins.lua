-- twins.lua: the algorithms, each made when it is first asked for.
--
-- make(id, twin_of)  stands above: makes the twin of that number. The algorithms' files are its branches
-- twin_of(id)        the twin: { prepare, step, refund, penalize, reserve, seen }, see README.md
--
-- A call of the script runs its whole text, and a function that is named is made each time. Most calls need one algorithm.

local made = {}

local function twin_of(id)
  local twin = made[id]
  if not twin then
    twin = make(id, twin_of)
    made[id] = twin
  end
  return twin
end
