-- The jobs in plain LuaJIT: io, os and LuaFileSystem, one call after the other. Started by luajit:
--
--     luajit spec/bench/by_io.lua JOB DIRECTORY COUNT TASKS

local ffi = require "ffi"
local lfs = require "lfs"
local layout = require "spec.bench.layout"

local PAGE = layout.PAGE

ffi.cdef [[
  struct bench_timespec { long sec, nsec; };
  int clock_gettime(int clock, struct bench_timespec *time);
]]

local function now_nsec()
  local time = ffi.new("struct bench_timespec")
  ffi.C.clock_gettime(1, time) -- CLOCK_MONOTONIC
  return tonumber(time.sec) * 1e9 + tonumber(time.nsec)
end

---Each job prepares, and returns the function that does the item of that number.
local jobs = {}

function jobs.string(directory, count)
  local file = assert(io.open(directory .. "/read.data", "rb"))
  local offsets = layout.offsets(count, layout.READ_SIZE)
  return function(i)
    file:seek("set", offsets[i])
    if #file:read(PAGE) ~= PAGE then error "short read" end
  end
end

function jobs.lstat(directory, count)
  local _, paths = layout.tree(directory .. "/names", count)
  return function(i)
    assert(lfs.symlinkattributes(paths[i]))
  end
end

function jobs.readfile(directory, count)
  local _, paths = layout.tree(directory .. "/small", count)
  return function(i)
    local file = assert(io.open(paths[i], "rb"))
    assert(file:read("*a"))
    file:close()
  end
end

function jobs.write(directory, count)
  local file = assert(io.open(directory .. "/write.data", "r+b"))
  local offsets = layout.offsets(count, layout.WRITE_SIZE)
  local page = ("\0"):rep(PAGE)
  return function(i)
    file:seek("set", offsets[i])
    file:write(page)
    file:flush()
  end
end

function jobs.cycle(directory, count)
  local first, second = layout.cycle(directory, count)
  local content = ("x"):rep(layout.CONTENT)
  return function(i)
    local file = assert(io.open(first[i], "wb"))
    file:write(content)
    file:close()
    assert(os.rename(first[i], second[i]))
    assert(os.remove(second[i]))
  end
end

local function walk(path, sums)
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then
      local child = path .. "/" .. name
      local stat = assert(lfs.symlinkattributes(child))
      sums.entries, sums.blocks = sums.entries + 1, sums.blocks + stat.blocks
      if stat.mode == "directory" then walk(child, sums) end
    end
  end
end

function jobs.walk(directory)
  return function()
    walk(directory, { entries = 0, blocks = 0 })
  end
end

function jobs.lines(path)
  return function()
    local lines, bytes = 0, 0
    for line in io.lines(path) do lines, bytes = lines + 1, bytes + #line end
    return lines, bytes
  end
end

---A bare coroutine that ends.
function jobs.spawn()
  local function nothing() end
  return function()
    coroutine.resume(coroutine.create(nothing))
  end
end

function jobs.switch()
  local yielder = coroutine.wrap(function()
    while true do coroutine.yield() end
  end)
  return yielder
end

local name, directory, count = arg[1], arg[2], tonumber(arg[3])
local work = jobs[name](directory, count)
collectgarbage()
local start = now_nsec()
for i = 1, count do work(i) end
print(("%.1f"):format((now_nsec() - start) / count))
