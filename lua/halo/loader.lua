-- require, dofile and loadfile whose files are read through the loop and whose chunks may wait.
-- The standard ones run them from C, where nothing can be suspended. Two tasks that require one
-- module get the same one, loaded once: the second waits for the first. And load and loadstring
-- that take no bytecode, which could make LuaJIT do anything.

local core = require "halo.core"
local fs = require "halo.fs"
local guard = require("halo.wait").guard
local is_cancelled = require("halo.scope").is_cancelled
local waiters = require "halo.waiters"

local newproxy = select(2, ...) -- scripts may not have it

local loader = {}

---@class halo.Loading
---@field task halo.Task? the task that loads
---@field waiting halo.Waiters those that wait for it
---@field ok boolean? once it has ended
---@field value any of the module, or the error

---@type table<string, halo.Loading> by the module's name
local loading = {}
---@type table<halo.Task, halo.Loading> what a task waits for
local waits_for = {}

-- As for the standard ones, it is the tables of the start that count.
local package, loaded = package, package.loaded
local getinfo, metatable_of = debug.getinfo, debug.getmetatable
-- In the place of a module that is being run, or has failed.
local sentinel = newproxy()

local WRONG_MODE = "attempt to load chunk with wrong mode"
local REFUSED = "cannot load %s: it is bytecode, which only loadfile(path, 'b') loads"
local NO_BYTECODE = "not allowed: it is bytecode (--allow-bytecode)"

local installed, bytecode_allowed = false, false

---What the standard functions take for a string: also a number, and where it is optional also nil.
---To be called by the function that was called with these arguments, for one of them.
---@return string?
local function check_string(position, optional, ...)
  local value = select(position, ...)
  if type(value) == "number" then
    return tostring(value)
  elseif optional and value == nil or type(value) == "string" and not value:find "%z" then
    return value
  end
  local got = select("#", ...) < position and "no value" or type(value)
  local problem = type(value) == "string" and "it contains a NUL byte"
    or "string expected, got " .. got
  local name = getinfo(2, "n").name or "?"
  error(("bad argument #%d to '%s' (%s)"):format(position, name, problem), 3)
end

---The system's words for an error as the standard functions say them: without the code.
local function words_of(message)
  local text = message:match "^%w+: (.-): " or message
  if text:find "^not allowed" then
    return text
  end
  return text:sub(1, 1):upper() .. text:sub(2)
end

---@return string? source
---@return string? message
local function read_source(path)
  local file, message = fs.open(path)
  if not file then
    return nil, ("cannot open %s: %s"):format(path, words_of(message))
  end
  local source
  source, message = file:read "a"
  file:close()
  if not source then
    return nil, ("cannot read %s: %s"):format(path, words_of(message))
  end
  return source
end

local standard_load, standard_loadfile = load, loadfile

---The mode that is meant: without bytecode only text is one.
local function mode_of(mode)
  return bytecode_allowed and mode or "t"
end

---Loads a file; bytecode only where the mode says so.
---@return function? chunk
---@return string? message
local function load_file(path, mode, env)
  local chunk, source, message
  if path == nil then
    chunk, message = standard_loadfile(nil, mode_of(mode), env)
  else
    source, message = read_source(path)
    if source then
      chunk, message = standard_load(source, "@" .. path, mode_of(mode))
    end
  end
  if not chunk then
    local name = path or "standard input"
    if message == WRONG_MODE and not bytecode_allowed and mode ~= "t" then
      message = ("cannot load %s: %s"):format(name, NO_BYTECODE)
    elseif message == WRONG_MODE and mode == nil then
      message = REFUSED:format(name)
    end
    return nil, message
  elseif type(env) == "table" then
    setfenv(chunk, env)
  end
  return chunk
end

---As the standard loadfile, but bytecode is only loaded where the mode says so.
---@async
---@param path string? standard input without
---@param mode string? "t" for text, the default; "b" for bytecode, "bt" for either
---@param env table?
---@return function? chunk
---@return string? message
function loader.loadfile(path, mode, env)
  path, mode = check_string(1, true, path), check_string(2, true, path, mode)
  return load_file(path, mode, env)
end

---As the standard dofile, for text alone.
---@async
---@param path string? standard input without
---@return ... # what the chunk returns
function loader.dofile(path)
  path = check_string(1, true, path)
  local chunk, message = load_file(path)
  if not chunk then
    error(message, 0)
  end
  return chunk()
end

---Finds a module's file along package.path; in the place of the standard one in package.loaders.
local function search_lua(name)
  local templates = package.path
  if type(templates) ~= "string" and type(templates) ~= "number" then
    error("'package.path' must be a string", 0)
  end
  local path, message = package.searchpath(name, templates)
  if not path then
    return message
  end
  local chunk
  chunk, message = load_file(path)
  if not chunk then
    error(("error loading module '%s' from file '%s':\n\t%s"):format(name, path, message), 0)
  end
  return chunk
end

---@return function? chunk
---@return string? tried where there is none
local function find(name)
  local tried = ""
  for _, search in ipairs(package.loaders) do
    if type(search) ~= "function" and not (metatable_of(search) or {}).__call then
      error(("attempt to call a %s value"):format(type(search)), 0)
    end
    local found = search(name)
    if type(found) == "function" then
      return found
    elseif type(found) == "string" or type(found) == "number" then
      tried = tried .. found
    end
  end
  return nil, tried
end

---Whether the task that loads a module waits, over others, for this one.
local function waits_for_me(task, me)
  while task do
    if task == me then
      return true
    end
    local entry = waits_for[task]
    task = entry and entry.task
  end
  return false
end

---@async
local function wait_for(loading_entry, me)
  local entry = { task = me, next = false, prev = false }
  waiters.push(loading_entry.waiting, entry)
  waits_for[me] = loading_entry
  local ok, err = core.park "require"
  waits_for[me] = nil
  if not ok then
    waiters.remove(entry)
    error(err, 0)
  end
end

---The module of that name where somebody else loads it just now: true and its value.
---@async
local function join_loading(name, me)
  local entry = loading[name]
  while entry and me and not waits_for_me(entry.task, me) do
    wait_for(entry, me)
    if entry.ok then
      return true, entry.value
    elseif not is_cancelled(entry.value) then
      error(entry.value, 0)
    end
    entry = loading[name] -- that task was cancelled: it is another's turn
  end
  return false
end

local function finish(name, entry, ok, value)
  if not ok and is_cancelled(value) then
    loaded[name] = nil -- which says nothing about the module
  elseif ok and value ~= nil then
    loaded[name] = value
  elseif ok and loaded[name] == sentinel then
    loaded[name] = true
  end
  entry.ok, entry.value = ok, value
  if ok then
    entry.value = loaded[name]
  end
  loading[name] = nil
  local waiter = waiters.pop(entry.waiting)
  while waiter do
    core.wake(waiter.task)
    waiter = waiters.pop(entry.waiting)
  end
end

---Finds and runs a module.
---@async
---@return boolean ok
---@return any value or what to raise
---@return string? tried where it was not found
local function load_module(name, me)
  local entry = { task = me, waiting = waiters.new() }
  loading[name] = entry
  local ok, chunk, tried = guard(find, name)
  local value = chunk
  if chunk == nil and ok then
    ok, value = false, ("module '%s' not found:%s"):format(name, tried)
  elseif ok then
    loaded[name] = sentinel
    ok, value = guard(chunk, name)
  end
  finish(name, entry, ok, value)
  return ok, value, tried
end

---As the standard require.
---@async
---@param ... string the module's name
---@return any
function loader.require(...)
  local name = check_string(1, false, ...)
  local me = core.current()
  local joined, result = join_loading(name, me)
  if joined then
    return result
  end
  local value = loaded[name]
  if value == sentinel or loading[name] and not value then
    error(("loop or previous error loading module '%s'"):format(name), 2)
  elseif value then
    return value
  elseif type(package.loaders) ~= "table" then
    error("'package.loaders' must be a table", 2)
  end
  local ok, err, tried = load_module(name, me)
  if not ok then
    error(err, tried and 2 or 0)
  end
  return loaded[name]
end

local takes_chunk = { ["function"] = true, string = true, number = true }
local takes_name = { ["nil"] = true, string = true, number = true }

---What the standard ones raise for such an argument.
local function check_loaded(fn, takes, wanted, position, ...)
  local value = select(position, ...)
  if not takes[type(value)] then
    local got = select("#", ...) < position and "no value" or type(value)
    local text = "bad argument #%d to '%s' (%s expected, got %s)"
    error(text:format(position, fn, wanted, got), 3)
  end
end

local function told(mode, chunk, message, ...)
  if message == WRONG_MODE and mode ~= "t" then
    message = NO_BYTECODE
  end
  return chunk, message, ...
end

local function load_text(fn, ...)
  check_loaded(fn, takes_chunk, "function", 1, ...)
  check_loaded(fn, takes_name, "string", 2, ...)
  local chunk, name, mode = ...
  return told(mode, standard_load(chunk, name, "t", select(4, ...)))
end

---As the standard load, for text alone.
---@param ... any chunk, name, mode, env
---@return function? chunk
---@return string? message
function loader.load(...)
  return load_text("load", ...)
end

---As the standard loadstring, for text alone.
---@param ... any chunk, name, mode, env
---@return function? chunk
---@return string? message
function loader.loadstring(...)
  return load_text("loadstring", ...)
end

---Puts them into the place of the standard ones. What was said first remains so.
---@param bytecode boolean? whether it may be loaded
function loader.install(bytecode)
  if installed then
    return
  end
  installed, bytecode_allowed = true, bytecode or false
  package.loaders[2] = search_lua
  _G.require = loader.require
  _G.dofile = loader.dofile
  _G.loadfile = loader.loadfile
  if not bytecode_allowed then
    _G.load, _G.loadstring = loader.load, loader.loadstring
  end
end

return loader
