-- Iterators that several tasks share: one of them fetches what comes next, and the others wait
-- until it is there. Two at once would overwrite what the other has brought.

local core = require "halo.core"
local guard = require("halo.wait").guard
local waiters = require "halo.waiters"

local turns = {}

---@class halo.fs.Turns
---@field busy boolean a task fetches
---@field waiting halo.Waiters? the others

---Waits while another task fetches.
---@async
---@param self halo.fs.Turns
function turns.await(self)
  self.waiting = self.waiting or waiters.new()
  while self.busy do
    waiters.wait(self.waiting, { task = core.current(), next = false, prev = false }, "read")
  end
end

---Lets those go on that wait; each sees for itself what is there.
local function leave(self, ...)
  local entry = self.waiting and waiters.pop(self.waiting)
  self.busy = false
  while entry do
    core.wake(entry.task)
    entry = waiters.pop(self.waiting)
  end
  return ...
end

---Calls fn(...), which fetches, while the others wait.
---@async
---@param self halo.fs.Turns
---@return boolean ok
---@return ...
function turns.alone(self, fn, ...)
  self.busy = true
  return leave(self, guard(fn, ...))
end

return turns
