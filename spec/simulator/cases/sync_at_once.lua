-- Of several syncs at once that fail, each may be told something else by the kernel: the first
-- failure is what all are told, and what every later one is.

local halo = require "halo"
local fs = require "halo.fs"
local simulator = require "simulator"

local TASKS = 6
local tells_nothing = { EINTR = true, ECANCELED = true }

return function(seed)
  halo.configure { engine = ({ "ring", "pool", "auto" })[seed % 3 + 1] }
  simulator.file("/file", "data")
  local file = fs.open("/file", "r+")
  if not file then
    return
  end
  local first
  local function sync()
    local _, _, code = fs.fsync(file)
    if code and not tells_nothing[code] then
      first = first or code
      if code ~= first then
        simulator.fail(("a sync was told %s, and another one %s"):format(first, code))
      end
    end
  end
  halo.scope(function(scope)
    for _ = 1, TASKS do
      scope:spawn(sync)
    end
  end)
  sync()
  fs.close(file)
end
