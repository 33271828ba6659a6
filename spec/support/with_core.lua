-- Calls with a function of the core replaced; for what no file system here would answer.

local core = require "halo.core"

---@param name string of the function
---@param replacement function called with the original before the arguments
---@param fn function to call while it is
return function(name, replacement, fn)
  local original = core[name]
  core[name] = function(...)
    return replacement(original, ...)
  end
  local ok, err = pcall(fn)
  core[name] = original
  assert(ok, err)
end
