-- Structured concurrency: the call that starts tasks here stays until they have ended, and takes
-- their failure. Everything below is a group of tasks (bindings/tasks/group.c) and a way to wait
-- for it.

local core = require "halo.core"
local wait = require "halo.wait"

local guard, settle = wait.guard, wait.settle

-- The outcome of a task that has ended is taken by core.outcome(), which does not raise a
-- cancellation as a join would: what it returned in time, a permit or what was received, is not
-- lost, and neither is its failure.

local scope = {}

---Waits until all members have ended, even if the running task is cancelled in the meantime.
local function wait_for_all(group)
  while core.group_state(group) > 0 do
    core.group_wait_on(group)
  end
end

---Ends the members early and waits for that.
local function cancel_all(group)
  core.group_cancel(group)
  wait_for_all(group)
end

---Waits until all members have ended; a failure or a cancellation of the running task cancels them.
---What fails in the clean-up is raised instead of the cancellation, which the next call raises.
---@param any boolean? the first end of any is enough: the others are cancelled then
---@return halo.Task? first the first member that ended, with any
local function supervise(group, any)
  local ok, err = core.group_wait(group, any)
  local live, first, failed = core.group_state(group)
  if live > 0 then
    cancel_all(group)
  end
  if not ok then
    failed = select(3, core.group_state(group))
  end
  if failed and not (ok and any) then
    settle(core.outcome(failed))
  elseif not ok then
    error(err, 0)
  end
  return first
end

local function check_function(value, position, name)
  if type(value) ~= "function" then
    local problem = "bad argument #%d to '%s' (function expected, got %s)"
    core.raise(problem:format(position, name, type(value)))
  end
end

---What is not of that class was mostly called with a dot where a colon should be.
---@param self any
---@param class table
---@param name string of the method
---@param kind string
local function check_self(self, class, name, kind)
  if type(self) ~= "table" or getmetatable(self) ~= class then
    local problem = "calling '%s' on bad self (%s expected, got %s): a colon before %s passes it"
    core.raise(problem:format(name, kind, type(self), name))
  end
end

---@class halo.Scope
---@field private group userdata
---@field private ended boolean
---@field private defers function[]|false
---@field private failed any[]?
local Scope = {}
Scope.__index = Scope

function Scope:__tostring()
  return self.ended and "scope (ended)" or "scope"
end

---Starts a task in the scope.
---@param fn fun(...): ...
---@param ... any passed to fn
---@return halo.Task
function Scope:spawn(fn, ...)
  check_self(self, Scope, "spawn", "Scope")
  check_function(fn, 1, "spawn")
  return core.group_spawn(self.group, fn, ...)
end

---Calls fn when the scope's last task has ended, however that was, before halo.scope returns. What
---was deferred last is called first. It is shielded: it may wait, also after a cancellation.
---@param fn fun()
---@return true
function Scope:defer(fn)
  check_self(self, Scope, "defer", "Scope")
  check_function(fn, 1, "defer")
  if self.ended then
    core.raise("this scope has ended: nothing can be deferred to its end")
  end
  self.defers = self.defers or {}
  table.insert(self.defers, fn)
  return true
end

---What has failed in the scope, of its tasks and what was deferred, in that order: the first is
---what halo.scope raises. The cancelled ones are not among them.
---@return any[] # the errors
function Scope:failures()
  check_self(self, Scope, "failures", "Scope")
  local errors = {}
  for i, task in ipairs(core.group_failures(self.group)) do
    errors[i] = select(2, core.outcome(task))
  end
  for _, err in ipairs(self.failed or {}) do
    table.insert(errors, err)
  end
  return errors
end

---Runs what was deferred. The first error is returned, unless a failure came before.
---@async
local function run_defers(self, ok, err)
  core.shield(1)
  self.failed = {}
  while #self.defers > 0 do
    local is_first = ok or scope.is_cancelled(err)
    local note = is_first and core.note or core.note_also
    local done, failure = xpcall(table.remove(self.defers), note)
    if not done then
      table.insert(self.failed, failure)
      ok, err = false, is_first and failure or err
    end
  end
  core.shield(-1)
  return ok, err
end

---Cancels the scope's tasks.
---@return true
function Scope:cancel()
  check_self(self, Scope, "cancel", "Scope")
  core.group_cancel(self.group)
  return true
end

---Runs fn(scope, ...) and returns when it and every task that scope:spawn() started have ended.
---The first failure cancels the others and is raised; its report tells of those that follow. One
---that comes while all are cancelled is raised as well: it is more than that.
---@async
---@param fn fun(scope: halo.Scope, ...): ...
---@return ... # what fn returns
function scope.scope(fn, ...)
  check_function(fn, 1, "scope")
  local group = core.group()
  local self = setmetatable({ group = group, ended = false, defers = false }, Scope)
  local body = core.group_spawn(group, function(...)
    return fn(self, ...)
  end, ...)
  local ok, err = pcall(supervise, group)
  if self.defers then
    ok, err = run_defers(self, ok, err)
  end
  self.ended = true
  if not ok then
    error(err, 0)
  end
  return settle(core.outcome(body))
end

---Runs fn, and waits until it and every task that it or its tasks have started have ended.
---@async
function scope.run_inside(fn, ...)
  check_function(fn, 1, "run")
  local group = core.group()
  local task = core.group_adopt(group, fn, ...)
  supervise(group)
  return settle(core.outcome(task))
end

local function unshield(...)
  core.shield(-1)
  return settle(...)
end

---Calls fn(...) and cancels it when the time is up.
---@async
---@param seconds number
---@param fn fun(...): ...
---@return ... # what fn returns, or nil, "ETIMEDOUT: ...", "ETIMEDOUT"
function scope.timeout(seconds, fn, ...)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    core.raise("bad argument #1 to 'timeout' (a number of seconds expected)")
  end
  check_function(fn, 2, "timeout")
  local group = core.group(seconds)
  local task = core.group_spawn(group, fn, ...)
  local ok, err = core.group_wait(group)
  local live, _, _, late = core.group_state(group)
  if live > 0 then
    cancel_all(group)
  end
  local status = core.status(task)
  if not ok and status == "cancelled" then
    error(err, 0)
  elseif late and status == "cancelled" then
    return nil, ("ETIMEDOUT: timed out after %g s"):format(seconds), "ETIMEDOUT"
  end
  return settle(core.outcome(task))
end

---Calls fn(...) out of the reach of a cancellation, which is raised at the next call after it.
---For clean-up that has to wait.
---@async
---@param fn fun(...): ...
---@return ... # what fn returns
function scope.shield(fn, ...)
  check_function(fn, 1, "shield")
  core.shield(1)
  return unshield(guard(fn, ...))
end

---True for the values that a cancelled task's calls raise.
---@param err any
---@return boolean
function scope.is_cancelled(err)
  return err == core.cancelled or err == core.uncertain
end

scope.check_function = check_function
scope.check_self = check_self
scope.supervise = supervise

return scope
