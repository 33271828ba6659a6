-- The module halo.fs. Each call suspends its task and lets the others run; one that the operating
-- system refuses returns nil, a message and the code. The plain calls are in halo.fs.calls, what
-- is made of them in the modules that halo.fs.parts names.

local core = require "halo.core"
local calls = require "halo.fs.calls"
local parts = require "halo.fs.parts"

local fs = {}

for name, value in pairs(calls) do
  if not parts[name] then
    fs[name] = value
  end
end

setmetatable(fs, {
  __index = function(_, name)
    local part = parts[name]
    if not part then
      return nil
    end
    local value = require(part)[name]
    fs[name] = value
    return value
  end,
})

---As fs.lines, from the file's own position or an offset on.
---@async
---@param ... any as for fs.lines
---@return fun(): string?
function core.File:lines(...)
  return fs.lines(self, ...)
end

return fs
