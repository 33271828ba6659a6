-- What os has of files and programs.

local core = require "halo.core"
local files = require "halo.io.files"
local fs = require "halo.fs"
local handle = require "halo.process.handle"
local open = require "halo.io.open"
local scope = require "halo.scope"

local refused = files.refused
local is_text, c_string = files.is_text, files.c_string
local AT_FDCWD = core.AT_FDCWD
local SIGNALED = 128 -- what halo adds to a signal's number; and wait(2) where a core was left
local GRACE_S = 2

local system = {}

---LuaJIT's own.
system.stock = {
  remove = os.remove,
  rename = os.rename,
  tmpname = os.tmpname,
  execute = os.execute,
}
local stock = system.stock

local function result(path, ok, message, code)
  if ok then
    return true
  end
  local _, text, number = refused(message, code)
  return nil, path .. ": " .. text, number
end

---As LuaJIT's own: a file, or an empty directory.
---@async
function system.remove(...)
  local path = ...
  if not is_text(path) then
    return stock.remove(...)
  end
  path = c_string(path)
  local ok, message, code = core.remove(AT_FDCWD, path)
  if code == "EISDIR" then
    ok, message, code = core.rmdir(AT_FDCWD, path)
  end
  return result(path, ok, message, code)
end

---As LuaJIT's own.
---@async
function system.rename(...)
  local from, to = ...
  if not is_text(from) or not is_text(to) then
    return stock.rename(...)
  end
  from, to = c_string(from), c_string(to)
  return result(from, core.rename(AT_FDCWD, from, to, 0))
end

---As LuaJIT's own, which makes the file.
---@async
function system.tmpname(...)
  local file, path = fs.mkstemp "/tmp/lua_XXXXXX"
  if not file then
    return stock.tmpname(...)
  end
  file:close()
  return path
end

---@async
---@return integer as wait(2) says it, or -1
local function execute(command)
  core.settle_stdout()
  local argv = open.shell(command)
  local pid, file, code = core.spawn_process(argv[1], argv, { keeps_ignored = true })
  if code == "ENOSYS" then -- as for io.popen
    return stock.execute(command)
  elseif not pid then
    refused(file, code)
    return -1
  end
  local process = handle.new(file, pid, argv[1], GRACE_S)
  local status, signal = process:wait()
  if not status then
    return -1
  end
  if signal then
    return process.dumped and status or status - SIGNALED
  end
  return status * 256
end

local function execute_in(_, command)
  return execute(command)
end

---As LuaJIT's own: by a shell, in this process's group. A task that is cancelled ends it.
---@async
function system.execute(...)
  local command = ...
  if not is_text(command) or files.as_lua52 then
    return stock.execute(...)
  elseif core.can_wait() then
    return scope.scope(execute_in, c_string(command))
  end
  return execute(c_string(command))
end

return system
