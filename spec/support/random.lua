-- Random numbers of one's own: math.random is shared by all tasks, so that what each gets depends
-- on the order in which they run.

local bit = require "bit"

local random = {}

---The seed of a run, in the environment as HALO_SEED or of now. It is printed, so that the run can
---be made again.
---@param name string of what is run
---@return integer
function random.seed(name)
  local seed = tonumber(os.getenv "HALO_SEED") or os.time() % 2 ^ 31
  print(("\n%s: HALO_SEED=%d"):format(name, seed))
  return seed
end

---@param seed integer
---@return fun(from: integer, to: integer?): integer # from 1 to from, where there is no to
function random.new(seed)
  local state = bit.tobit(seed * 2654435761 % 2 ^ 32)
  if state == 0 then
    state = 1
  end
  return function(from, to)
    if not to then
      from, to = 1, from
    end
    state = bit.bxor(state, bit.lshift(state, 13)) -- xorshift32
    state = bit.bxor(state, bit.rshift(state, 17))
    state = bit.bxor(state, bit.lshift(state, 5))
    return from + state % (to - from + 1)
  end
end

---A function that calls one of the functions, each as often as its weight says.
---@param choices { [1]: integer, [2]: fun(...): ... }[]
---@return fun(number: fun(from: integer): integer, ...): ...
function random.chooser(choices)
  local total = 0
  for _, choice in ipairs(choices) do
    total = total + choice[1]
  end
  return function(number, ...)
    local at = number(total)
    for _, choice in ipairs(choices) do
      at = at - choice[1]
      if at <= 0 then
        return choice[2](...)
      end
    end
  end
end

return random
