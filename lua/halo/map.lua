-- Many calls at once: map, all and race. Each is a group of tasks that is waited for.

local check_cancelled = require "halo.cancellation"
local core = require "halo.core"
local keys = require "halo.keys"
local scope = require "halo.scope"
local wait = require "halo.wait"
local waiters = require "halo.waiters"

local error, wake = error, core.wake
local check_function, is_cancelled = scope.check_function, scope.is_cancelled
local supervise = scope.supervise
local guard, settle = wait.guard, wait.settle
local pop, push, remove = waiters.pop, waiters.push, waiters.remove

local MAP_LIMIT = 64
local next_place = ipairs {}

local map = {}

---A script's arguments have its name in [0], and that is no place either, but meant so.
local function check_list(values, name)
  local key = keys.other(values, #values)
  if key ~= nil and values ~= rawget(_G, "arg") then
    local problem = "bad argument #1 to '%s' (a list expected: %s is no place from 1 to %d)"
    core.raise(problem:format(name, keys.name_of(key), #values))
  end
end

local function check_functions(fns, name)
  if type(fns) ~= "table" then
    local problem = "bad argument #1 to '%s' (array of functions expected, got %s)"
    core.raise(problem:format(name, type(fns)))
  end
  check_list(fns, name)
  for i = 1, #fns do
    if type(fns[i]) ~= "function" then
      core.raise(("bad argument #1 to '%s' (element %d is a %s)"):format(name, i, type(fns[i])))
    end
  end
end

-- Not by getmetatable(), which LuaJIT compiles wrongly for the files of io.
local is_iterator = core.is_callable

---What the workers of one map over an iterator share. One at a time is in the iterator; the others
---run fn, or stand by. The one that has got an item runs fn with it at once, having seen to it that
---another is ready to follow: that one goes on where fn waits, and has nothing to do where fn does
---not.
---@class halo.map.Work
---@field iterator fun(): any
---@field fn fun(item: any): any
---@field limit number
---@field group userdata
---@field results any[]
---@field count integer items taken
---@field done integer items that fn has returned for
---@field workers integer
---@field taker halo.Task? the one in the iterator
---@field idle halo.Waiters those that stand by
---@field called boolean one of them, or a new one, is to follow and has not come yet
---@field ended boolean no item is to be taken any more

---@return boolean called
local function call_idle(self)
  local entry = pop(self.idle)
  if not entry then
    return false
  elseif wake(entry.task) then
    self.called = true
    return true
  end
  return call_idle(self)
end

local work

local function call_next(self)
  if not call_idle(self) and self.workers < self.limit then
    self.workers, self.called = self.workers + 1, true
    core.group_spawn(self.group, work, self)
  end
end

local function stand_by(self, task)
  local entry = { task = task, next = false, prev = false }
  push(self.idle, entry)
  local ok, err = core.park "map"
  if not ok then
    remove(entry)
    error(err, 0)
  end
  self.called = false
end

local function take_and_run(self, task)
  local iterator, fn, results = self.iterator, self.fn, self.results
  while not self.ended do
    if self.taker then
      stand_by(self, task)
    else
      check_cancelled()
      self.taker = task
      local item = iterator()
      self.taker = nil
      if item == nil then
        self.ended = true
        return
      end
      local i = self.count + 1
      self.count = i
      if not self.called then
        call_next(self)
      end
      results[i] = fn(item)
      self.done = self.done + 1
    end
  end
end

function work(self)
  local task = core.current()
  self.called = false
  local ok, err = guard(take_and_run, self, task)
  if self.taker == task then
    self.taker = nil
  end
  self.ended = self.ended or not (ok or is_cancelled(err))
  -- At the end all may go; where only this one has been cancelled, another takes its place.
  while call_idle(self) and self.ended do
  end
  if not ok then
    error(err, 0)
  end
end

---A worker may have been cancelled and this task not, or not yet: then there are not all results.
local function check_complete(complete)
  if not complete then
    error(core.cancelled, 0)
  end
end

local function map_iterator(iterator, fn, limit)
  local self = {
    iterator = iterator,
    fn = fn,
    limit = limit,
    group = core.group(),
    results = {},
    count = 0,
    done = 0,
    workers = 0,
    idle = waiters.new(),
    called = false,
    ended = false,
  }
  call_next(self)
  supervise(self.group)
  check_complete(self.ended and self.done == self.count)
  return self.results
end

local function map_array(list, fn, limit)
  local results, group = {}, core.group()
  local i, count, done = 0, #list, 0
  local function work_array()
    while i < count do
      check_cancelled()
      i = i + 1
      local place = i
      results[place] = fn(list[place])
      done = done + 1
    end
  end
  for _ = 1, math.min(limit, count) do
    core.group_spawn(group, work_array)
  end
  supervise(group)
  check_complete(done == count)
  return results
end

---Calls fn(item) for each item, at most limit of them at a time, beginning in their order. Nothing
---else is passed, so that fn may be any function: halo.map(paths, fs.hash).
---
---The first call that fails, or the cancellation of this one, cancels those under way; the results
---are dropped, and no other item is taken. An item that has been taken is given to fn, whatever
---happens meanwhile: none is lost between a channel and fn.
---@async
---@param list any[]|fun(): any an array, or an iterator: a function, a channel
---@param fn fun(item: any): any
---@param limit integer? 64 by default
---@return any[] # the first result of each call, in the order of the list
function map.map(list, fn, limit)
  local iterator = is_iterator(list)
  if list == next or list == next_place then
    core.raise("bad argument #1 to 'map' (the function of pairs or ipairs, which needs the table: "
      .. "pass a list, or an iterator that is called without arguments)")
  end
  if type(list) ~= "table" and not iterator then
    core.raise(("bad argument #1 to 'map' (array or iterator expected, got %s)"):format(type(list)))
  elseif not iterator then
    check_list(list, "map")
  end
  check_function(fn, 2, "map")
  limit = limit or MAP_LIMIT
  if type(limit) ~= "number" or limit ~= limit or limit < 1 then
    core.raise("bad argument #3 to 'map' (a limit of at least 1 expected)")
  end
  return (iterator and map_iterator or map_array)(list, fn, limit)
end

---Calls all functions at the same time.
---@async
---@param fns (fun(): any)[]
---@return any[] # the first result of each, in the order of the list
function map.all(fns)
  check_functions(fns, "all")
  return map.map(fns, function(fn)
    return fn()
  end, math.max(#fns, 1))
end

---Calls all functions at the same time and cancels the others as soon as one has ended.
---@async
---@param fns (fun(): ...)[]
---@return ... # what the first one returns; its error is raised. The others' results are dropped:
---to take from one of several channels there is halo.select.
function map.race(fns)
  if type(fns) == "table" then
    check_functions(fns, "race")
  end
  if type(fns) ~= "table" or #fns == 0 then
    core.raise("bad argument #1 to 'race' (array of at least one function expected)")
  end
  local group = core.group()
  for i = 1, #fns do
    core.group_spawn(group, fns[i])
  end
  return settle(core.outcome(supervise(group, true)))
end

return map
