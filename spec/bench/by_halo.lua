-- The jobs in halo. Started as the C loops are, by the command halo:
--
--     halo spec/bench/by_halo.lua JOB DIRECTORY COUNT TASKS
--
-- It prints nanoseconds per item; for what is one piece of work, the whole.

local halo = require "halo"
local fs = require "halo.fs"
local layout = require "spec.bench.layout"
local shapes = require "spec.bench.shapes"
local bit = require "bit"
local ffi = require "ffi"

local band, bxor, rshift = bit.band, bit.bxor, bit.rshift

local PAGE = layout.PAGE

---@class bench.Job
---@field count integer
---@field tasks integer
---@field directory string

-- Where results go: LuaJIT would not make a string or an object that nobody can see.
local kept

---Each job returns the function that a task runs; it takes the function that hands out the items,
---1 to COUNT and then nil, so that all tasks together keep the order of the other columns.
local jobs = {}

function jobs.read(job)
  local file = assert(fs.open(job.directory .. "/read.data"))
  local offsets = layout.offsets(job.count, layout.READ_SIZE)
  return function(next_item)
    local buffer = halo.buffer(PAGE)
    for i in next_item do
      if file:pread_into(buffer, PAGE, offsets[i]) ~= PAGE then error "short read" end
    end
  end
end

function jobs.string(job)
  local file = assert(fs.open(job.directory .. "/read.data"))
  local offsets = layout.offsets(job.count, layout.READ_SIZE)
  return function(next_item)
    for i in next_item do
      kept = assert(file:pread(PAGE, offsets[i]))
      if #kept ~= PAGE then error "short read" end
    end
  end
end

---The length is all that is wanted of the string.
function jobs.string_used(job)
  local file = assert(fs.open(job.directory .. "/read.data"))
  local offsets = layout.offsets(job.count, layout.READ_SIZE)
  local total = 0
  return function(next_item)
    for i in next_item do
      local length = #file:pread(PAGE, offsets[i]) -- others may change the total up to here
      total = total + length
    end
  end
end

function jobs.direct(job)
  local flags = fs.flags.RDONLY + fs.flags.DIRECT
  local file = assert(fs.open(job.directory .. "/read.data", flags))
  local offsets = layout.offsets(job.count, layout.READ_SIZE)
  return function(next_item)
    local buffer = halo.buffer(PAGE)
    for i in next_item do
      if file:pread_into(buffer, PAGE, offsets[i]) ~= PAGE then error "short read" end
    end
  end
end

---Reads one field: LuaJIT then makes no object.
function jobs.lstat(job)
  local _, paths = layout.tree(job.directory .. "/names", job.count)
  local total = 0
  return function(next_item)
    for i in next_item do
      local size = assert(fs.lstat(paths[i])).size -- others may change the total up to here
      total = total + size
    end
  end
end

function jobs.lstat_table(job)
  local _, paths = layout.tree(job.directory .. "/names", job.count)
  return function(next_item)
    for i in next_item do kept = assert(fs.lstat(paths[i])) end
  end
end

function jobs.field(job)
  local _, paths = layout.tree(job.directory .. "/names", job.count)
  return function(next_item)
    for i in next_item do assert(fs.lstat(paths[i], "size")) end
  end
end

function jobs.readfile(job)
  local _, paths = layout.tree(job.directory .. "/small", job.count)
  return function(next_item)
    for i in next_item do kept = assert(fs.readfile(paths[i])) end
  end
end

function jobs.readfile_used(job)
  local _, paths = layout.tree(job.directory .. "/small", job.count)
  local total = 0
  return function(next_item)
    for i in next_item do
      local length = #fs.readfile(paths[i])
      total = total + length
    end
  end
end

function jobs.readfile_into(job)
  local _, paths = layout.tree(job.directory .. "/small", job.count)
  return function(next_item)
    local buffer = halo.buffer(layout.SMALL_MAX)
    for i in next_item do assert(fs.readfile_into(paths[i], buffer)) end
  end
end

---The CRC-32 of gzip, a byte at a time, as in C.
function jobs.checksum(job)
  local _, paths = layout.tree(job.directory .. "/small", job.count)
  local remainders = ffi.new "int32_t[256]"
  for byte = 0, 255 do
    local rest = byte
    for _ = 1, 8 do rest = bxor(rshift(rest, 1), band(-band(rest, 1), 0xedb88320)) end
    remainders[byte] = rest
  end
  return function(next_item)
    local buffer = halo.buffer(layout.SMALL_MAX)
    local bytes = buffer:ptr()
    for i in next_item do
      local crc = -1
      for at = 0, assert(fs.readfile_into(paths[i], buffer)) - 1 do
        crc = bxor(remainders[band(bxor(crc, bytes[at]), 255)], rshift(crc, 8))
      end
    end
  end
end

function jobs.write(job)
  local file = assert(fs.open(job.directory .. "/write.data", "r+"))
  local offsets = layout.offsets(job.count, layout.WRITE_SIZE)
  local page = ("\0"):rep(PAGE)
  return function(next_item)
    for i in next_item do assert(file:pwrite(page, offsets[i])) end
  end
end

function jobs.write64(job)
  local files = {}
  for i = 1, layout.WRITE_FILES do
    files[i] = assert(fs.open(("%s/write/%d"):format(job.directory, i - 1), "r+"))
  end
  local offsets = layout.offsets(job.count, layout.WRITE64_SIZE)
  local page = ("\0"):rep(PAGE)
  return function(next_item)
    for i in next_item do
      assert(files[i % layout.WRITE_FILES + 1]:pwrite(page, offsets[i]))
    end
  end
end

---Each task has a log of its own.
function jobs.append(job)
  local line = ("x"):rep(layout.LINE)
  local logs, taken = {}, 0
  for i = 1, job.tasks do
    logs[i] = assert(fs.open(("%s/logs/%d"):format(job.directory, i - 1), "a"))
  end
  return function(next_item)
    taken = taken + 1
    local log = logs[taken]
    for _ in next_item do
      assert(log:write(line))
      assert(log:fsync())
    end
  end
end

function jobs.cycle(job)
  local first, second = layout.cycle(job.directory, job.count)
  local content = ("x"):rep(layout.CONTENT)
  return function(next_item)
    for i in next_item do
      local file = assert(fs.open(first[i], "wx"))
      assert(file:write(content))
      file:close()
      assert(fs.rename(first[i], second[i]))
      assert(fs.remove(second[i]))
    end
  end
end

---What the loop in C does, file by file.
function jobs.copy(job)
  local _, paths = layout.tree(job.directory .. "/small", job.count)
  local folders, new_paths = layout.tree(job.directory .. "/small.copy", job.count)
  assert(fs.mkdir(job.directory .. "/small.copy"))
  for _, folder in ipairs(folders) do assert(fs.mkdir(folder)) end
  return function(next_item)
    for i in next_item do assert(fs.copy(paths[i], new_paths[i])) end
  end
end

---Nothing but a task that ends.
function jobs.spawn()
  local function nothing() end
  return function(next_item)
    for _ in next_item do halo.spawn(nothing):join() end
  end
end

---A task is woken up by another one's yield.
function jobs.switch()
  return function(next_item)
    for _ in next_item do halo.yield() end
  end
end

-- ---- jobs that are one piece of work ------------------------------------------------------------

local wholes = {}

---@return integer entries
---@return integer blocks
function wholes.walk(path)
  local entries, blocks = 0, 0
  for _, entry in fs.walk(path, { stat = "blocks" }) do
    entries, blocks = entries + 1, blocks + entry.blocks
  end
  return entries, blocks
end

---@return integer entries
function wholes.names(path)
  local entries = 0
  for _ in fs.walk(path) do entries = entries + 1 end
  return entries
end

---@return integer files that have the text in their first MiB
function wholes.grep(path)
  local count, buffer = 0, halo.buffer(1048576)
  for name, entry in fs.walk(path) do
    local size = entry.type == "file" and fs.readfile_into(name, buffer)
    if size and buffer:search("printf", 0, size) then count = count + 1 end
  end
  return count
end

function wholes.rmtree(path)
  return assert(fs.rmtree(path))
end

function wholes.lines(path)
  local lines, bytes = 0, 0
  for line in fs.lines(path) do lines, bytes = lines + 1, bytes + #line end
  return lines, bytes
end

function wholes.copytree(path)
  return assert(fs.copytree(path, path .. ".copy"))
end

function wholes.copytree_all(path)
  return assert(fs.copytree(path, path .. ".copy", { mode = true, times = true }))
end

-- ---- running them -------------------------------------------------------------------------------

local function run_tasks(work, count, task_count)
  local tasks, next_item = {}, layout.counter(count)
  for i = 1, task_count do tasks[i] = halo.spawn(work, next_item) end
  for i = 1, task_count do tasks[i]:join() end
end

local function time_tasks(name, directory, count, task_count)
  local work = jobs[name] { count = count, tasks = task_count, directory = directory }
  collectgarbage() -- what the preparation has left behind
  local start = halo.now()
  run_tasks(work, count, task_count)
  print(("%.1f"):format((halo.now() - start) / count * 1e9))
end

local function time_whole(name, path)
  local start = halo.now()
  local sums = { wholes[name](path) }
  print(("%.1f"):format((halo.now() - start) * 1e9), unpack(sums))
end

---The best of some passes. What a pass returns is kept until the next one has been timed.
local function time_passes(name, directory, count, passes)
  local _, paths = layout.tree(directory .. "/names", count)
  local best = math.huge
  collectgarbage()
  for _ = 1, passes do
    local start = halo.now()
    kept = shapes[name](paths)
    best = math.min(best, halo.now() - start)
  end
  print(("%.1f"):format(best / count * 1e9))
end

local name, directory = arg[1], arg[2]
if shapes[name] then
  time_passes(name, directory, tonumber(arg[3]), tonumber(arg[4]))
elseif wholes[name] then
  time_whole(name, directory)
else
  time_tasks(name, directory, tonumber(arg[3]), tonumber(arg[4]))
end
