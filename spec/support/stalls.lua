-- When this machine has stood still, as far as stalls.c has noted it for test.sh: a spec's clock
-- means nothing then.

local posix = require "spec.support.posix"

local path, excused = os.getenv "HALO_STALLS", os.getenv "HALO_EXCUSED"

local NOTED_MS = 50 -- who notes it is woken when we are

local stalls = {}

---For how long it stood still since then.
---@param start number of halo.now()
---@return number seconds 0 where nobody notes it
function stalls.since(start)
  posix.wait(NOTED_MS)
  local file = path and io.open(path)
  if not file then
    return 0
  end
  local sum, till = 0, start -- of several processors at once, it counts once
  for line in file:lines() do
    local from, to = line:match "^(%S+) (%S+)$"
    from, to = tonumber(from), tonumber(to)
    if to and to > till then
      sum, till = sum + to - math.max(from, till), to
    end
  end
  file:close()
  return sum
end

---Tells test.sh of a failure in this file that may be owed to that: a line for each.
---@param spec string the file's path
function stalls.excuse(spec)
  local file = assert(io.open(excused, "a"))
  file:write(spec, "\n")
  file:close()
end

return stalls
