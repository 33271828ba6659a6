-- Waits for what has to come about while other tasks run and the loop turns: no fixed sleep, and
-- no waiting for ever.
--
--     eventually("the file is closed", function() return not file:is_open() end)

local halo = require "halo"
local slowness = require "spec.support.slowness"

local PATIENCE_S = 20 * slowness -- far more than anything here takes, sanitizers included

---@param what string for the failure's message
---@param condition fun(): boolean
return function(what, condition)
  local deadline = halo.now() + PATIENCE_S
  while not condition() do
    if halo.now() > deadline then
      error("it did not come about that " .. what, 2)
    end
    halo.yield()
  end
end
