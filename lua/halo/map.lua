-- Many calls at once: map, all and race. Each is a group of tasks that is waited for.

local core = require "halo.core"
local scope = require "halo.scope"
local semaphore = require "halo.semaphore"
local settle = require("halo.wait").settle

local check_function, supervise = scope.check_function, scope.supervise

local MAP_LIMIT = 64

local map = {}

local function check_functions(fns, name)
  if type(fns) ~= "table" then
    local problem = "bad argument #1 to '%s' (array of functions expected, got %s)"
    core.raise(problem:format(name, type(fns)))
  end
  for i = 1, #fns do
    if type(fns[i]) ~= "function" then
      core.raise(("bad argument #1 to '%s' (element %d is a %s)"):format(name, i, type(fns[i])))
    end
  end
end

-- Not by getmetatable(), which LuaJIT compiles wrongly for the files of io.
local function is_iterator(list)
  return type(list) == "function" or (debug.getmetatable(list) or {}).__call ~= nil
end

---A function that gives an iterator's items with their places, to one caller at a time.
local function take_from_iterator(iterator)
  local turn, i, ended = semaphore(1), 0, false
  local function take()
    local item
    if not ended then
      item = iterator()
    end
    ended = item == nil
    if not ended then
      i = i + 1
      return i, item
    end
  end
  return function()
    return turn:with(take)
  end
end

local function take_from_array(list)
  local i, count = 0, #list
  return function()
    i = i + 1
    if i <= count then
      return i, list[i]
    end
  end
end

---Calls fn(item, i) for each item, at most limit of them at a time.
---@async
---@param list any[]|fun(): any an array, or an iterator
---@param fn fun(item: any, i: integer): any
---@param limit integer? 64 by default
---@return any[] # the first result of each call, in the order of the list
function map.map(list, fn, limit)
  if type(list) ~= "table" and not is_iterator(list) then
    core.raise(("bad argument #1 to 'map' (array or iterator expected, got %s)"):format(type(list)))
  end
  check_function(fn, 2, "map")
  limit = limit or MAP_LIMIT
  if type(limit) ~= "number" or limit ~= limit or limit < 1 then
    core.raise("bad argument #3 to 'map' (a limit of at least 1 expected)")
  end
  local results, group = {}, core.group()
  local iterator = is_iterator(list)
  local take = iterator and take_from_iterator(list) or take_from_array(list)
  local workers = iterator and 1 or math.min(limit, #list)
  local function work()
    for i, item in take do
      -- Nobody knows how many items an iterator has: who finds one starts another worker.
      if iterator and workers < limit then
        workers = workers + 1
        core.group_spawn(group, work)
      end
      results[i] = fn(item, i)
    end
  end
  for _ = 1, workers do
    core.group_spawn(group, work)
  end
  supervise(group)
  return results
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
---@return ... # what the first one returns; its error is raised
function map.race(fns)
  if type(fns) ~= "table" or #fns == 0 then
    core.raise("bad argument #1 to 'race' (array of at least one function expected)")
  end
  check_functions(fns, "race")
  local group = core.group()
  for i = 1, #fns do
    core.group_spawn(group, fns[i])
  end
  return settle(core.join(supervise(group, true)))
end

return map
