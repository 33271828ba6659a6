-- A lock that was cancelled and yet granted is given back, and does not take along one that was
-- asked for after it on the same handle.

local calls = require "spec.simulator.calls"
local halo = require "halo"
local fs = require "halo.fs"
local simulator = require "simulator"

return function(seed)
  halo.configure { engine = ({ "ring", "pool", "auto" })[seed % 3 + 1] }
  simulator.file("/file", "")
  local file, other = fs.open "/file", fs.open "/file"
  if not file or not other then
    return
  end
  halo.timeout(seed % 40 / 1e6, calls.lock, file, "shared")
  if seed % 2 == 0 then
    halo.timeout(seed % 7 / 1e6, calls.lock, file, "exclusive")
  end
  local locked = calls.lock(file, "exclusive")
  halo.sleep(1000)
  if locked and calls.lock(other, "exclusive", 0) then
    simulator.fail("two handles hold an exclusive lock")
  end
  simulator.calm()
  fs.close(file)
  if not calls.lock(other, "exclusive", 0) then
    simulator.fail("a lock outlived its handle")
  end
  fs.close(other)
end
