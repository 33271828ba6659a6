-- Standard input, output and error as Files that yield. Each is made when it is first asked for,
-- since a script that does without should not take them over.

local core = require "halo.core"

local descriptors = { stdin = 0, stdout = 1, stderr = 2 }

---@class halo.stdio
---@field stdin halo.File
---@field stdout halo.File it knows nothing of what print has in its buffer: see io.stdout:flush()
---@field stderr halo.File
local stdio = {}

setmetatable(stdio, {
  __index = function(_, name)
    local fd = descriptors[name]
    if not fd then
      return nil
    end
    local file, message = core.adopt(fd, name)
    if not file then
      core.raise(message)
    end
    stdio[name] = file
    return file
  end,
})

return stdio
