-- A semaphore: at most so many tasks at a time.

local core = require "halo.core"
local Queue = require "halo.queue"
local guard = require("halo.wait").guard

---@class halo.Semaphore
local Semaphore = {}
Semaphore.__index = Semaphore

---Takes a permit, waiting for one in the order of the calls.
---@async
---@return true
function Semaphore:acquire()
  if self.free > 0 then
    self.free = self.free - 1
    return true
  end
  local task = core.current()
  self.waiting:push(task)
  local ok, err = core.park "semaphore"
  if not ok then
    self.waiting:remove(task)
    error(err, 0)
  end
  return true
end

---Takes a permit where one is free.
---@return boolean
function Semaphore:try_acquire()
  if self.free == 0 then
    return false
  end
  self.free = self.free - 1
  return true
end

---Gives a permit back, to the task that has waited longest.
---@return true
function Semaphore:release()
  if self.free == self.permits then
    core.raise("this semaphore was released more often than acquired")
  end
  local task = self.waiting:pop()
  -- One that has been cancelled and does not know it yet cannot take it.
  while task and not core.wake(task) do
    task = self.waiting:pop()
  end
  if not task then
    self.free = self.free + 1
  end
  return true
end

local function release(self, ok, ...)
  self:release()
  if ok then
    return ...
  end
  error((...), 0)
end

---Calls fn(...) with a permit, which is given back however it ends.
---@async
---@return ... # what fn returns
function Semaphore:with(fn, ...)
  self:acquire()
  return release(self, guard(fn, ...))
end

---@param permits integer at least 1
---@return halo.Semaphore
return function(permits)
  if type(permits) ~= "number" or permits < 1 or permits % 1 ~= 0 then
    core.raise("bad argument #1 to 'semaphore' (a whole number of at least 1 expected)")
  end
  return setmetatable({ permits = permits, free = permits, waiting = Queue.new() }, Semaphore)
end
