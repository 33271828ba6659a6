-- require, dofile and loadfile whose files are read through the loop and whose chunks may wait.
-- The standard ones run them from C, where nothing can be suspended. Two tasks that require one
-- module get the same one, loaded once: the second waits for the first.

local core = require "halo.core"
local fs = require "halo.fs"
local guard = require("halo.wait").guard

local loader = {}

---@class halo.Loading
---@field task halo.Task? the task that loads
---@field waiting halo.Task[] those that wait for it

---@type table<string, halo.Loading> by the module's name
local loading = {}
---@type table<halo.Task, string> the module that a task waits for
local waits_for = {}

local READ_BYTES = 1048576

---@return string? source
---@return string? message
local function read_source(path)
  local file, message = fs.open(path)
  if not file then
    return nil, message
  end
  local pieces = {}
  repeat
    local data
    data, message = file:read(READ_BYTES)
    pieces[#pieces + 1] = data
  until not data or data == ""
  file:close()
  if message then
    return nil, message
  end
  -- A line for the shell stays as an empty one, so that the others keep their numbers.
  return (table.concat(pieces):gsub("^#[^\n]*", ""))
end

local standard_loadfile = loadfile

---As the standard loadfile.
---@async
---@param path string? standard input without
---@param mode string? "t" for text, "b" for binary chunks
---@param env table?
---@return function? chunk
---@return string? message
function loader.loadfile(path, mode, env)
  if path == nil then
    return standard_loadfile(path, mode, env)
  end
  local source, message = read_source(path)
  if not source then
    return nil, ("cannot open %s (%s)"):format(path, message)
  end
  local chunk
  chunk, message = load(source, "@" .. path, mode)
  if chunk and env then
    setfenv(chunk, env)
  end
  return chunk, message
end

---As the standard dofile.
---@async
---@param path string? standard input without
---@return ... # what the chunk returns
function loader.dofile(path)
  local chunk, message = loader.loadfile(path)
  if not chunk then
    core.raise(message)
  end
  return chunk()
end

---Finds a module's file along package.path; in the place of the standard one in package.loaders.
local function search_lua(name)
  local path, message = package.searchpath(name, package.path)
  if not path then
    return message
  end
  local chunk
  chunk, message = loader.loadfile(path)
  if not chunk then
    error(("error loading module '%s' from file '%s':\n\t%s"):format(name, path, message), 0)
  end
  return chunk
end

local function find(name)
  local tried = {}
  for _, search in ipairs(package.loaders) do
    local found = search(name)
    if type(found) == "function" then
      return found
    elseif type(found) == "string" then
      tried[#tried + 1] = found
    end
  end
  core.raise(("module '%s' not found:%s"):format(name, table.concat(tried)))
end

---Whether the task that loads a module waits, over others, for this one.
local function waits_for_me(task, me)
  while task do
    if task == me then
      return true
    end
    local name = waits_for[task]
    task = name and loading[name] and loading[name].task
  end
  return false
end

local function wait_for(name, me)
  local entry = loading[name]
  if not me or waits_for_me(entry.task, me) then
    core.raise(("loop or previous error loading module '%s'"):format(name))
  end
  table.insert(entry.waiting, me)
  waits_for[me] = name
  local ok, err = core.park "require"
  waits_for[me] = nil
  if not ok then
    for i, task in ipairs(entry.waiting) do
      if task == me then
        table.remove(entry.waiting, i)
        break
      end
    end
    error(err, 0)
  end
end

local function finish(name, entry, ok, value)
  loading[name] = nil
  for _, task in ipairs(entry.waiting) do
    core.wake(task)
  end
  if not ok then
    error(value, 0)
  end
  if value ~= nil then
    package.loaded[name] = value
  elseif package.loaded[name] == nil then
    package.loaded[name] = true
  end
  return package.loaded[name]
end

---As the standard require.
---@async
---@param name string
---@return any
function loader.require(name)
  if type(name) ~= "string" then
    local problem = "bad argument #1 to 'require' (string expected, got %s)"
    core.raise(problem:format(type(name)))
  end
  local me = core.current()
  while package.loaded[name] == nil and loading[name] do
    wait_for(name, me)
  end
  if package.loaded[name] ~= nil then
    return package.loaded[name]
  end
  local entry = { task = me, waiting = {} }
  loading[name] = entry
  local found, chunk = guard(find, name)
  if not found then
    return finish(name, entry, false, chunk)
  end
  return finish(name, entry, guard(chunk, name))
end

---Puts them into the place of the standard ones.
function loader.install()
  if package.loaders[2] ~= search_lua then
    package.loaders[2] = search_lua
    _G.require = loader.require
    _G.dofile = loader.dofile
    _G.loadfile = loader.loadfile
  end
end

return loader
