-- A read that fails on its way gives what it has got, or leaves the position where it was: whoever
-- reads on gets each byte once, whatever fails.

local calls = require "spec.simulator.calls"
local halo = require "halo"
local fs = require "halo.fs"
local simulator = require "simulator"

local CONTENT = ("0123456789"):rep(30)

return function(seed)
  halo.configure { engine = ({ "ring", "pool", "auto" })[seed % 3 + 1] }
  simulator.file("/file", CONTENT)
  local file = fs.open "/file"
  if not file then
    return
  end
  local pieces = {}
  repeat
    local data = calls.read(file, 40)
    table.insert(pieces, data)
  until data == ""
  if table.concat(pieces) ~= CONTENT then
    simulator.fail("bytes were lost between two reads")
  end
  fs.close(file)
end
