-- A copy that is to keep its owner has that one, or fails: where the owner could not be changed, a
-- mode that was meant for him would let others in.

local halo = require "halo"
local fs = require "halo.fs"
local simulator = require "simulator"

local USER = 1000

return function(seed)
  halo.configure { engine = ({ "ring", "pool", "auto" })[seed % 3 + 1] }
  simulator.mkdir "/guarded"
  simulator.guard("/guarded", USER)
  simulator.file("/from", "secret")
  simulator.own("/from", USER)
  if fs.copy("/from", "/guarded/copy", { owner = true, mode = true })
    and simulator.owner "/guarded/copy" ~= USER then
    simulator.fail "a copy has not its owner"
  end
end
