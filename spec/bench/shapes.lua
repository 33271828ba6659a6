-- The same work, a stat of each path, in the shapes in which scripts write it: what LuaJIT makes of
-- a loop depends on them. Each shape makes a pass over all paths, and returns what it has found.

local halo = require "halo"
local fs = require "halo.fs"

local shapes = {}

function shapes.sum_for(paths)
  local total = 0
  for i = 1, #paths do
    local stat = fs.lstat(paths[i])
    total = total + stat.size
  end
  return total
end

function shapes.sum_ipairs(paths)
  local total = 0
  for _, path in ipairs(paths) do total = total + fs.lstat(path).size end
  return total
end

function shapes.sum_assert(paths)
  local total = 0
  for _, path in ipairs(paths) do total = total + assert(fs.lstat(path)).size end
  return total
end

function shapes.sum_if(paths)
  local total = 0
  for _, path in ipairs(paths) do
    local stat = fs.lstat(path)
    if stat and stat.is_file then total = total + stat.size end
  end
  return total
end

function shapes.types(paths)
  local counts = {}
  for _, path in ipairs(paths) do
    local stat = fs.lstat(path)
    counts[stat.type] = (counts[stat.type] or 0) + 1
  end
  return counts
end

function shapes.newest(paths)
  local newest, time = nil, -math.huge
  for _, path in ipairs(paths) do
    local stat = fs.lstat(path)
    if stat.mtime > time then newest, time = path, stat.mtime end
  end
  return newest
end

function shapes.two_kept(paths)
  local found = {}
  for i, path in ipairs(paths) do
    local stat = fs.lstat(path)
    found[i] = { size = stat.size, mtime = stat.mtime }
  end
  return found
end

function shapes.all_kept(paths)
  local found = {}
  for i, path in ipairs(paths) do found[i] = fs.lstat(path) end
  return found
end

function shapes.two_fields(paths)
  local total, newest = 0, -math.huge
  for _, path in ipairs(paths) do
    local size, mtime = fs.lstat(path, "size", "mtime")
    total, newest = total + size, math.max(newest, mtime)
  end
  return total, newest
end

function shapes.in_map(paths)
  local total = 0
  halo.map(paths, function(path)
    local stat = fs.lstat(path)
    total = total + stat.size
  end)
  return total
end

---All tasks take the next path from one index.
function shapes.shared(paths)
  local total, i = 0, 0
  local function work()
    while i < #paths do
      i = i + 1
      local stat = fs.lstat(paths[i])
      total = total + stat.size
    end
  end
  halo.scope(function(scope)
    for _ = 1, 64 do scope:spawn(work) end
  end)
  return total
end

return shapes
