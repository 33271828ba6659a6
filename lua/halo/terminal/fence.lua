-- The fence that options of the command put around a script: the kernel's (Landlock), the loop's
-- own, which holds what that one does not, and the libraries that go around both.

local core = require "halo.core"

local fence = {}

local READ, WRITE, EXECUTE, ADOPT = 1, 2, 4, 8
local EACCES = 13

-- What halo itself reads: where file systems are mounted, and the umask.
local OWN = { "/proc/self/mountinfo", "/proc/self/status" }

---The directories that modules are looked for in; not those relative to the working directory,
---which would let the script read all that is below it.
---@return string[]
local function module_directories(means)
  local list = {}
  for template in (package.path .. ";" .. package.cpath):gmatch "[^;]+" do
    local directory = template:match "^(/[^?]*)/"
    directory = directory and means.real_path(directory)
    if directory and directory ~= "/" then
      list[#list + 1] = directory
    end
  end
  return list
end

---All that may be reached, as {path, rights}. What was asked for is to be there.
---@return table[] rules
local function collect(given, means, script)
  local rules = { { "/dev/null", WRITE } }
  local function add(paths, rights)
    for _, path in ipairs(paths or {}) do
      rules[#rules + 1] = { path, rights }
    end
  end
  add(module_directories(means), READ)
  if script and means.real_path(script) then
    add({ script }, READ)
  end
  add(given.allow_read, READ)
  add(given.allow_write, WRITE)
  return rules
end

---What the modules of the command that may be needed later ask for is gone then.
local function load_own_modules()
  for _, name in ipairs { "doctor", "luajit", "manual", "prompt" } do
    core.module("halo.terminal." .. name)
  end
end

local function take_ffi(means)
  load_own_modules()
  local kept = { traceback = debug.traceback, getinfo = debug.getinfo }
  means.remove "internals ffi loadlib debug"
  _G.debug, package.loaded.debug = kept, kept
end

local NO_EXEC = "not allowed (--no-exec)"

-- luacheck: push ignore 122
local function take_exec()
  os.execute = function(command)
    if command == nil then
      return 0 -- there is no shell
    end
    return nil, NO_EXEC, EACCES
  end
  io.popen = function(command)
    return nil, ("%s: %s"):format(tostring(command), NO_EXEC), EACCES
  end
end

---Lua's own calls on files are C's, which only the kernel holds: it would not say who refuses.
local function name_refusals(means)
  local allows = means.allows
  local function refusal(path, writes)
    local is_path = type(path) == "string" and not path:find "%z"
    if is_path and not allows(path, writes and WRITE or READ) then
      return ("%s: not allowed (--allow-%s)"):format(path, writes and "write" or "read")
    end
  end
  local function refusing(fn, writes)
    return function(path, ...)
      local message = refusal(path, writes)
      if message then
        return nil, message, EACCES
      end
      return fn(path, ...)
    end
  end
  local function raising(fn, writes)
    return function(path, ...)
      local message = refusal(path, writes)
      if message then
        error(message, 2)
      end
      return fn(path, ...)
    end
  end
  local open, rename = io.open, os.rename
  io.open = function(path, mode, ...)
    local message = refusal(path, type(mode) == "string" and mode:find "[wa+]")
    if message then
      return nil, message, EACCES
    end
    return open(path, mode, ...)
  end
  os.rename = function(from, to, ...)
    local message = refusal(from, true) or refusal(to, true)
    if message then
      return nil, message, EACCES
    end
    return rename(from, to, ...)
  end
  os.remove = refusing(os.remove, true)
  local tmpfile, tmpname = io.tmpfile, os.tmpname
  io.tmpfile = function()
    local message = refusal("/tmp", true)
    if message then
      return nil, message, EACCES
    end
    return tmpfile()
  end
  os.tmpname = function()
    local message = refusal("/tmp", true)
    if message then
      error(message, 2)
    end
    return tmpname()
  end
  local searchpath = package.searchpath
  package.searchpath = function(...)
    local path, message = searchpath(...)
    if path then
      return path
    end
    return nil, (message:gsub("no file '([^\n]*)'", function(tried)
      return refusal(tried) and ("no file '%s': not allowed (--allow-read)"):format(tried)
    end))
  end
  io.lines, io.input = raising(io.lines), raising(io.input)
  io.output = raising(io.output, true)
end
-- luacheck: pop

---Of what the kernel refuses beside the script's paths.
local function own_rules(rules, means)
  local all = { unpack(rules) }
  for _, path in ipairs(OWN) do
    if means.real_path(path) then
      all[#all + 1] = { path, READ }
    end
  end
  return all
end

local function allow(means, rules, execute)
  local rights = ADOPT + (execute and EXECUTE or 0)
  local ok, message = means.allow(nil, rights)
  for _, rule in ipairs(rules) do
    if ok then
      ok, message = means.allow(rule[1], rule[2])
    end
  end
  return ok, message
end

---Before any thread is there, and before the loop.
---@param given halo.GivenOptions
---@param means table what C does for it
---@param script string? the path of what is to be run
---@return boolean? ok
---@return string? message
function fence.put_up(given, means, script)
  local holds_paths = (given.allow_read or given.allow_write) and true or false
  local no_ffi = given.no_ffi or holds_paths and not given.allow_ffi
  local no_exec = given.no_exec or holds_paths and not given.allow_exec
  if not (no_ffi or no_exec or holds_paths) then
    return true
  end
  local rules = holds_paths and collect(given, means, script) or { { "/", WRITE } }
  if holds_paths or no_exec then
    os.date() -- which reads the time zone's file once
    means.close_others()
    local ok, message = means.kernel(own_rules(rules, means), holds_paths, no_exec)
    if ok then
      ok, message = allow(means, rules, not no_exec)
    end
    if not ok then
      return nil, "cannot put up the fence: " .. message
    end
  end
  if holds_paths then
    name_refusals(means)
  end
  if no_exec then
    take_exec()
  end
  if no_ffi then
    take_ffi(means)
  end
  return true
end

return fence
