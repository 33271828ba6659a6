-- A semaphore: at most so many tasks at a time.

local check_cancelled = require "halo.cancellation"
local core = require "halo.core"
local scope = require "halo.scope"
local guard = require("halo.wait").guard
local waiters = require "halo.waiters"

local check_self = scope.check_self

---@class halo.Semaphore
local Semaphore = {}
Semaphore.__index = Semaphore

function Semaphore:__tostring()
  return ("semaphore (%d free)"):format(self.free)
end

---Takes a permit, waiting for one in the order of the calls.
---@async
---@return true
function Semaphore:acquire()
  check_self(self, Semaphore, "acquire", "Semaphore")
  check_cancelled()
  if self.free > 0 then
    self.free = self.free - 1
    return true
  end
  waiters.wait(self.waiting, { task = core.current(), next = false, prev = false }, "semaphore")
  return true
end

---Takes a permit where one is free.
---@return boolean
function Semaphore:try_acquire()
  check_self(self, Semaphore, "try_acquire", "Semaphore")
  if self.free == 0 then
    return false
  end
  self.free = self.free - 1
  return true
end

---Gives a permit to the first that waits. One that has been cancelled and does not know it yet
---cannot take it.
---@return boolean given
local function pass_on(list)
  local entry = waiters.pop(list)
  if not entry then
    return false
  elseif core.wake(entry.task) then
    return true
  end
  return pass_on(list)
end

---Gives a permit back, to the task that has waited longest.
---@return true
function Semaphore:release()
  check_self(self, Semaphore, "release", "Semaphore")
  if self.free == self.permits then
    core.raise("this semaphore was released more often than acquired")
  end
  if not pass_on(self.waiting) then
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
  check_self(self, Semaphore, "with", "Semaphore")
  scope.check_function(fn, 1, "with")
  self:acquire()
  return release(self, guard(fn, ...))
end

---@param permits integer at least 1
---@return halo.Semaphore
return function(permits)
  if type(permits) ~= "number" or permits < 1 or permits % 1 ~= 0 then
    core.raise("bad argument #1 to 'semaphore' (a whole number of at least 1 expected)")
  end
  return setmetatable({ permits = permits, free = permits, waiting = waiters.new() }, Semaphore)
end
