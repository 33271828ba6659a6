-- The jobs in luv, with a coroutine for each task and libuv's threads below. Started by luajit:
--
--     luajit spec/bench/by_luv.lua JOB DIRECTORY COUNT TASKS

local uv = require "luv"
local layout = require "spec.bench.layout"

local PAGE = layout.PAGE

---A call of luv that a coroutine waits for.
local function awaited(call)
  return function(...)
    local running = coroutine.running()
    local arguments, n = { ... }, select("#", ...)
    arguments[n + 1] = function(err, value)
      assert(coroutine.resume(running, err, value))
    end
    assert(call(unpack(arguments, 1, n + 1)))
    local err, value = coroutine.yield()
    if err then error(err) end
    return value
  end
end

local open, close = awaited(uv.fs_open), awaited(uv.fs_close)
local read, write, fsync = awaited(uv.fs_read), awaited(uv.fs_write), awaited(uv.fs_fsync)
local fstat, lstat = awaited(uv.fs_fstat), awaited(uv.fs_lstat)
local rename, unlink = awaited(uv.fs_rename), awaited(uv.fs_unlink)
local scandir, copyfile = awaited(uv.fs_scandir), awaited(uv.fs_copyfile)

---As in by_halo.lua.
local jobs = {}

function jobs.string(job)
  local file = assert(uv.fs_open(job.directory .. "/read.data", "r", 0))
  local offsets = layout.offsets(job.count, layout.READ_SIZE)
  return function(next_item)
    for i in next_item do
      if #read(file, PAGE, offsets[i]) ~= PAGE then error "short read" end
    end
  end
end

function jobs.lstat(job)
  local _, paths = layout.tree(job.directory .. "/names", job.count)
  return function(next_item)
    for i in next_item do lstat(paths[i]) end
  end
end

function jobs.readfile(job)
  local _, paths = layout.tree(job.directory .. "/small", job.count)
  return function(next_item)
    for i in next_item do
      local file = open(paths[i], "r", 0)
      read(file, fstat(file).size, 0)
      close(file)
    end
  end
end

function jobs.write(job)
  local file = assert(uv.fs_open(job.directory .. "/write.data", "r+", 0))
  local offsets = layout.offsets(job.count, layout.WRITE_SIZE)
  local page = ("\0"):rep(PAGE)
  return function(next_item)
    for i in next_item do write(file, page, offsets[i]) end
  end
end

function jobs.write64(job)
  local files = {}
  for i = 1, layout.WRITE_FILES do
    files[i] = assert(uv.fs_open(("%s/write/%d"):format(job.directory, i - 1), "r+", 0))
  end
  local offsets = layout.offsets(job.count, layout.WRITE64_SIZE)
  local page = ("\0"):rep(PAGE)
  return function(next_item)
    for i in next_item do write(files[i % layout.WRITE_FILES + 1], page, offsets[i]) end
  end
end

function jobs.append(job)
  local line = ("x"):rep(layout.LINE)
  local logs, taken = {}, 0
  for i = 1, job.tasks do
    logs[i] = assert(uv.fs_open(("%s/logs/%d"):format(job.directory, i - 1), "a", 420))
  end
  return function(next_item)
    taken = taken + 1
    local log = logs[taken]
    for _ in next_item do
      write(log, line, -1)
      fsync(log)
    end
  end
end

function jobs.cycle(job)
  local first, second = layout.cycle(job.directory, job.count)
  local content = ("x"):rep(layout.CONTENT)
  return function(next_item)
    for i in next_item do
      local file = open(first[i], "wx", 420)
      write(file, content, 0)
      close(file)
      rename(first[i], second[i])
      unlink(second[i])
    end
  end
end

function jobs.copy(job)
  local _, paths = layout.tree(job.directory .. "/small", job.count)
  local folders, new_paths = layout.tree(job.directory .. "/small.copy", job.count)
  assert(uv.fs_mkdir(job.directory .. "/small.copy", 493))
  for _, folder in ipairs(folders) do assert(uv.fs_mkdir(folder, 493)) end
  return function(next_item)
    for i in next_item do copyfile(paths[i], new_paths[i]) end
  end
end

---A coroutine for each directory. How many of them wait at once nothing bounds but libuv's threads.
function jobs.walk(job)
  local entries, blocks = 0, 0
  local function walk(path)
    local listing = scandir(path)
    local name, kind = uv.fs_scandir_next(listing)
    while name do
      local child = path .. "/" .. name
      if kind == "directory" then coroutine.wrap(walk)(child) end
      entries, blocks = entries + 1, blocks + lstat(child).blocks
      name, kind = uv.fs_scandir_next(listing)
    end
  end
  return function()
    walk(job.directory)
  end
end

local name, directory, count, task_count = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
local work = jobs[name] { count = count, tasks = task_count, directory = directory }
local next_item = layout.counter(count)
collectgarbage()
local start = uv.hrtime()
for _ = 1, task_count do assert(coroutine.resume(coroutine.create(work), next_item)) end
uv.run()
print(("%.1f"):format((uv.hrtime() - start) / count))
