-- A change of the size that was cancelled and has begun comes before what is written after it:
-- bytes whose write was acknowledged are not cut off.

local calls = require "spec.simulator.calls"
local halo = require "halo"
local fs = require "halo.fs"
local simulator = require "simulator"

return function(seed)
  halo.configure { engine = ({ "ring", "pool", "auto" })[seed % 3 + 1] }
  simulator.file("/file", "")
  local file = fs.open("/file", "r+")
  if not file then
    return
  end
  halo.timeout(seed % 50 / 1e6, seed % 2 == 0 and fs.ftruncate or fs.fallocate, file, 0, 1)
  local written = calls.pwrite(file, "written", 0)
  simulator.calm()
  halo.sleep(1000)
  local content = simulator.content "/file"
  if written and content ~= "written" then
    simulator.fail(("the file has %q"):format(content))
  end
  fs.close(file)
end
