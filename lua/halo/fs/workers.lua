-- Workers over a queue of jobs that may add jobs: a bounded number of tasks. The youngest job goes
-- first, so that a tree is gone through in depth and little of it is queued at a time.
--
-- The first worker is the caller's task. Others start only as jobs are queued, and where no task
-- can be waited for (outside of any, in a callback from C) it does them all by itself.

local core = require "halo.core"
local scope = require "halo.scope"

local remove = table.remove

local WORKERS_MAX = 32

---@class halo.fs.Workers
---@field private jobs table[]
---@field private count integer of workers
---@field private scope halo.Scope?
local Workers = {}
Workers.__index = Workers

local function work(self)
  local jobs = self.jobs
  local job = remove(jobs)
  while job do
    job[1](job[2], job[3], job[4])
    job = remove(jobs)
  end
  self.count = self.count - 1
end

---Adds a job: fn(a, b, c).
function Workers:add(fn, a, b, c)
  self.jobs[#self.jobs + 1] = { fn, a, b, c }
  if self.scope and self.count < WORKERS_MAX then
    self.count = self.count + 1
    self.scope:spawn(work, self)
  end
end

---How many jobs are queued. Where there are many, a worker that finds another should do it itself.
---@return integer
function Workers:queued()
  return #self.jobs
end

local workers = {}

---@return halo.fs.Workers
function workers.new()
  return setmetatable({ jobs = {}, count = 1 }, Workers)
end

---Does a job, fn(a, b, c), and all that are added meanwhile, and returns when they are done.
---@async
---@param self halo.fs.Workers
function workers.run(self, fn, a, b, c)
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

return workers
