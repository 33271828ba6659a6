-- Work on a tree: jobs that add jobs, done by a bounded number of tasks. The youngest job goes
-- first, so that a tree is gone through in depth and little of it waits in memory at a time.
--
-- The first task is the caller's. Others start only as jobs wait for somebody, and where no task
-- can be waited for (outside of any, in a callback from C) it does them all by itself.

local core = require "halo.core"
local scope = require "halo.scope"

local remove = table.remove

local WORKERS = 32

---@class halo.fs.Crew
---@field private jobs table[]
---@field private workers integer
---@field private scope halo.Scope?
local Crew = {}
Crew.__index = Crew

local function work(self)
  local jobs = self.jobs
  local job = remove(jobs)
  while job do
    job[1](job[2], job[3], job[4])
    job = remove(jobs)
  end
  self.workers = self.workers - 1
end

---Adds a job: fn(a, b, c).
function Crew:add(fn, a, b, c)
  self.jobs[#self.jobs + 1] = { fn, a, b, c }
  if self.scope and self.workers < WORKERS then
    self.workers = self.workers + 1
    self.scope:spawn(work, self)
  end
end

---How many jobs wait: whoever could do a job itself should, where they are many.
---@return integer
function Crew:waiting()
  return #self.jobs
end

local crew = {}

---@return halo.fs.Crew
function crew.new()
  return setmetatable({ jobs = {}, workers = 1 }, Crew)
end

---Does a job, fn(a, b, c), and all that are added meanwhile, and returns when they are done.
---@async
---@param self halo.fs.Crew
function crew.run(self, fn, a, b, c)
  if not core.can_wait() then
    self:add(fn, a, b, c)
    return work(self)
  end
  return scope.scope(function(tasks)
    self.jobs[1] = { fn, a, b, c }
    self.scope = tasks
    work(self)
  end)
end

return crew
