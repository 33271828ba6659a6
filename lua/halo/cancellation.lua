-- What a call does first that may wait: it raises the cancellation of the running task. One that
-- waits has that from the scheduler; this is for those that may have what they want at once.

local core = require "halo.core"
local settle = require("halo.wait").settle

local has_ffi, ffi = pcall(require, "ffi")
local may_be

if has_ffi then
  local _, ask, state = core.cancellation()
  local call = ffi.cast("bool (*)(const void *)", ask)
  state = ffi.cast("const void *", state)
  function may_be()
    return call(state)
  end
else
  may_be = core.cancellation
end

---Raises the cancellation, outside of a shield.
---@async
return function()
  if may_be() then
    settle(core.yield())
  end
end
