-- The module halo: tasks and time. See README.md for a tour.

local core = require "halo.core"
local channel = require "halo.channel"
local check = require "halo.fs.check"
local coroutines = require "halo.coroutines"
local dump = require "halo.dump"
local map = require "halo.map"
local scope = require "halo.scope"
local wait = require "halo.wait"

---@class halo
---@field fs halo.fs the filesystem calls
---@field path table paths as texts: see halo.path
---@field process halo.process other programs
---@field lfs halo.lfs LuaFileSystem's functions on halo's calls
---@field copy async fun(from, to, change?): integer?, string?, string? see halo.streams
---@field poll async fun(fd: integer, events?: string, seconds?: number): string?, string?, string?
---@field lines async fun(...): fun(): string?, any the lines of several streams
---@field stdin halo.File
---@field stdout halo.File in order with print and io.write. In the command it has a buffer, but on
---a terminal: see its method setvbuf
---@field stderr halo.File
local halo = {}

local settle = wait.settle

---Runs a function as a task, and the loop until it and every task has ended. For plain luajit and
---for hosts; the command `halo` runs each script in this way already.
---@param fn fun(...): ...
---@param ... any passed to fn
---@return ... # what fn returns; its error is raised
function halo.run(fn, ...)
  if core.current() then
    return scope.run_inside(fn, ...)
  end
  return settle(core.run(fn, ...))
end

---Starts a task. It runs when the current one waits the next time. Scopes and timeouts around this
---call do not end it; scope:spawn() starts one that they do.
---@param fn fun(...): ...
---@param ... any passed to fn
---@return halo.Task
function halo.spawn(fn, ...)
  return core.spawn(fn, ...)
end

halo.scope = scope.scope
halo.map = map.map
halo.all = map.all
halo.race = map.race
halo.timeout = scope.timeout
halo.shield = scope.shield
halo.is_cancelled = scope.is_cancelled
halo.semaphore = require "halo.semaphore"
halo.channel = channel.channel
halo.select = channel.select

---The task that is running, or nil outside of any.
---@return halo.Task?
function halo.current()
  return core.current()
end

---Lets every task that is ready run before this one goes on.
---@async
---@return true
function halo.yield()
  settle(core.yield())
  return true
end

---Waits.
---@async
---@param seconds number
---@return true
function halo.sleep(seconds, ...)
  check.no_more(2, "sleep", ...)
  settle(core.sleep(seconds))
  return true
end

---The monotonic clock, in seconds.
---@return number
function halo.now()
  return core.now()
end

---@class halo.Options
---@field max_files integer? files open at once; 65,536 by default
---@field max_in_flight integer? operations with the engine; 1,024 by default
---@field pool_threads integer? worker threads at most; 32 by default
---@field engine "auto"|"ring"|"pool"? what the user has chosen goes before it
---@field max_tasks integer? alive at once, or halo.spawn raises; no limit by default
---@field max_bytes integer? that a call may make, at least 262,144; no limit by default
---@field warn_blocking_ms integer? tell on standard error which task holds the loop for longer, and
---which call waits on the spot; not by default. What the user has chosen goes before it

---Sets limits and the engine: the first four only before the first operation. What is not named is
---as it was in the beginning; what a host has given can be lowered, and not raised.
---@param options halo.Options
---@return true
function halo.configure(options)
  core.configure(options)
  return true
end

---Counters of the loop: submitted, retired, in_flight, in_flight_most (at once, so far), queued,
---files_open, timers, tasks, turns, and direct, ring, pool for the three ways in which operations
---have run.
---@return table<string, number>
function halo.stats()
  return core.stats()
end

---The engine in use, why it was chosen, the kernel's release and halo's version.
---@return "ring"|"pool" name
---@return string reason
---@return string kernel
---@return string version
function halo.engine()
  return core.engine()
end

---Memory to read into and write from, at most 1 GiB. It is aligned for O_DIRECT.
---@param size integer bytes
---@return halo.Buffer
function halo.buffer(size)
  return core.buffer(size)
end

---@class halo.Task
local Task = core.Task

---Waits until the task has ended.
---@async
---@return ... # what its function returned; its error is raised
function Task:join()
  return settle(core.join(self))
end

---Cancels the task: the call it waits in, and each later one that may wait, raises the
---cancellation until the task has ended.
---@return true?
---@return string? message where it has ended already
---@return string? code
function Task:cancel()
  return core.cancel(self)
end

---What the task is doing: "ready", "running", "waiting", "ended", "failed" or "cancelled"; and for
---one that waits, the word for what, and since when on the clock of halo.now().
---@return string
---@return string? waits_for
---@return number? since
function Task:status()
  return core.status(self)
end

---@class halo.Buffer
---@field string fun(self: halo.Buffer, i: integer?, n: integer?): string n bytes from offset i
---@field set fun(self: halo.Buffer, data: string, i: integer?): halo.Buffer copies data to offset i
---@field search fun(self: halo.Buffer, text: string, i: integer?, n: integer?): integer? the offset
---of the text, which is no pattern, in n bytes from offset i; nil where it is not there
---@field size fun(self: halo.Buffer): integer
local Buffer = core.Buffer

---A pointer to the memory, for FFI. It is valid as long as the buffer is.
---@return ffi.cdata* # uint8_t *
function Buffer:ptr()
  local has_ffi, ffi = pcall(require, "ffi")
  if not has_ffi then
    core.raise "ptr: there is no ffi here"
  end
  return ffi.cast("uint8_t *", Buffer.address(self))
end

---@class halo.TaskInfo
---@field task halo.Task
---@field id integer
---@field status string
---@field at string file:line where it is
---@field spawned_at string? file:line where it was started
---@field waits_for string?
---@field since number? on the clock of halo.now()
---@field children halo.TaskInfo[] the live tasks that it has started

---The live tasks as a tree: those whose starter has ended stand at the top.
---@return halo.TaskInfo[]
function halo.tasks()
  local list, by_id, roots = core.tasks(), {}, {}
  table.sort(list, function(a, b)
    return a.id < b.id
  end)
  for _, info in ipairs(list) do
    info.children = {}
    by_id[info.id] = info
  end
  for _, info in ipairs(list) do
    table.insert(by_id[info.parent] and by_id[info.parent].children or roots, info)
    info.parent = nil
  end
  return roots
end

local function describe_cancellation()
  return core.interrupted() and "interrupted" or "cancelled"
end

local MAYBE = ": what was under way may have happened, or not"

core.cancelled.message = "cancelled"
core.uncertain.message = "cancelled" .. MAYBE
setmetatable(core.cancelled, { __tostring = describe_cancellation })
setmetatable(core.uncertain, {
  __tostring = function()
    return describe_cancellation() .. MAYBE
  end,
})

coroutines.install()
dump.install()

halo.fs = require "halo.fs"
halo.path = require "halo.path"

local STDOUT_BYTES = 65536
local standard_files = { stdin = 0, stdout = 1, stderr = 2 }

local on_demand = {
  lfs = "halo.lfs",
  process = "halo.process",
  io = "halo.io",
  poll = "halo.poll",
  copy = "halo.streams",
  lines = "halo.streams",
}

-- Each is adopted when it is first asked for: a script that does without should not take it over.
setmetatable(halo, {
  __index = function(_, name)
    local module = on_demand[name]
    if module then
      local value = core.module(module)
      halo[name] = module == "halo.streams" and value[name] or value
      return halo[name]
    end
    local fd = standard_files[name]
    if not fd then
      return nil
    end
    local file, message = core.adopt(fd, name)
    if not file then
      core.raise(message)
    end
    if name == "stdout" and not core.mark_stdout(file) and core.is_command then
      core.set_buffer(file, STDOUT_BYTES)
    end
    halo[name] = file
    return file
  end,
})

return halo
