-- LuaFileSystem's interface on halo's calls, for Lua that is written for it: the same results, the
-- same words and numbers of errors, but a task that waits lets the others run. With `halo --lfs` it
-- is what a program finds that asks for LuaFileSystem.

local core = require "halo.core"
local errors = require "halo.fs.errors"
local fs = require "halo.fs"
local scope = require "halo.scope"
local wait = require "halo.wait"

local floor = math.floor
local newproxy = select(2, ...) -- scripts may not have it
local getinfo = debug.getinfo
local type_of_file = io and io.type or function() end
local lock_stdio = core.lfs.lock_stdio
local hold_link, release_link = core.lfs.hold_link, core.lfs.release_link
local error_of = core.stdio.error_of

local DIR_PERM = 509 -- rwxrwxr-x
local LOCK_NAME = "lockfile.lfs"
local PATIENCE_S, LOOK_S = 1, 0.005 -- of a chdir, for operations that a change would lead astray

---@class halo.lfs
---@field _VERSION string the version of LuaFileSystem whose interface it has
---@field _DESCRIPTION string
local lfs = {
  _VERSION = "LuaFileSystem 1.8.0",
  _DESCRIPTION = "LuaFileSystem's interface, by halo",
}

-- ---- arguments ----------------------------------------------------------------------------------

---Raises as C functions do, at the line that has called the function which has called the check.
local function refuse(position, problem)
  local info = getinfo(3, "n")
  local name = info.name or "?"
  if info.namewhat == "method" then
    position = position - 1
  end
  if position == 0 then
    error(("calling '%s' on bad self (%s)"):format(name, problem), 4)
  end
  error(("bad argument #%d to '%s' (%s)"):format(position, name, problem), 4)
end

local function expected(what, position, ...)
  local value = select(position, ...)
  local got = select("#", ...) < position and "no value" or type(value)
  return ("%s expected, got %s"):format(what, got)
end

---A string, or a number as one.
local function check_text(position, ...)
  local value = select(position, ...)
  if type(value) == "number" then
    value = tostring(value)
  elseif type(value) ~= "string" then
    refuse(position, expected("string", position, ...))
  end
  return value
end

---As C takes it: up to a NUL byte.
local function check_path(position, ...)
  local value = select(position, ...)
  if type(value) ~= "string" and type(value) ~= "number" then
    refuse(position, expected("string", position, ...))
  end
  return tostring(value):match "^[^%z]*"
end

---A number, or what reads as one, without its fraction.
local function check_whole(position, fallback, ...)
  local value = select(position, ...)
  if value == nil then
    return fallback
  end
  local number = type(value) ~= "table" and tonumber(value)
  if not number then
    refuse(position, expected("number", position, ...))
  end
  return number < 0 and -floor(-number) or floor(number)
end

---One of io's files that is open.
local function check_file(name, ...)
  local state = type_of_file((...))
  if state == nil then
    refuse(1, expected("FILE*", 1, ...))
  elseif state == "closed file" then
    error(name .. ": closed file", 3)
  end
  return (...)
end

-- ---- results ------------------------------------------------------------------------------------

---The system's words and its number; but where a fence has refused a call, which.
local function words_of(message, code)
  local text, number = error_of(code)
  return errors.refusal(message) or text, number
end

---Of a value, or nil, message, code: true, or nil, the system's words and its number. Those of a
---fence name the path, too, as the system's never do here.
local function answer(value, message, code)
  if value ~= nil then
    return true
  end
  local text, number = error_of(code)
  return nil, errors.refusal(message) and message:sub(#"EACCES: " + 1) or text, number
end

-- ---- attributes ---------------------------------------------------------------------------------

local kinds = {
  file = "file", dir = "directory", symlink = "link", socket = "socket", fifo = "named pipe",
  char = "char device", block = "block device",
}

---A 64-bit number as one with a sign.
local function signed(number)
  return number >= 2 ^ 63 and number - 2 ^ 64 or number
end

local LETTERS = "rwxrwxrwx"

local function permissions(perm)
  local letters = {}
  for i = 1, #LETTERS do
    local is_set = floor(perm / 2 ^ (#LETTERS - i)) % 2 == 1
    letters[i] = is_set and LETTERS:sub(i, i) or "-"
  end
  return table.concat(letters)
end

---Each attribute, of a stat.
local members = {
  mode = function(st) return kinds[st.type] or "other" end,
  dev = function(st) return signed(st.dev) end,
  ino = function(st) return signed(st.ino) end,
  nlink = function(st) return st.nlink end,
  uid = function(st) return st.uid end,
  gid = function(st) return st.gid end,
  rdev = function(st) return signed(st.rdev) end,
  access = function(st) return st.atime end,
  modification = function(st) return st.mtime end,
  change = function(st) return st.ctime end,
  size = function(st) return st.size end,
  permissions = function(st) return permissions(st.perm) end,
  blocks = function(st) return st.blocks end,
  blksize = function(st) return st.blksize end,
}

---What a stat of halo's says in the form that is wanted: one attribute, or a table of all.
local function pick(path, wanted, st, problem, code)
  if not st then
    local text, number = words_of(problem, code)
    return nil, ("cannot obtain information from file '%s': %s"):format(path, text), number
  end
  if type(wanted) == "string" or type(wanted) == "number" then
    local member = members[tostring(wanted)]
    if not member then
      error(("invalid attribute name '%s'"):format(wanted), 3)
    end
    local value = member(st)
    return value
  end
  local attributes = type(wanted) == "table" and wanted or {}
  for name, member in pairs(members) do
    rawset(attributes, name, member(st))
  end
  return attributes
end

---What is known of a file: all of it in a table, or the attribute that is named.
---@async
---@param ... any the path; and the name of an attribute, or a table to fill
---@return table|string|integer|nil
---@return string? message
---@return integer? errno
function lfs.attributes(...)
  local path = check_path(1, ...)
  local _, wanted = ...
  local first, message, number = pick(path, wanted, fs.stat(path))
  if first == nil then
    return first, message, number
  end
  return first
end

---The same of a symbolic link itself, and its target.
---@async
---@param ... any the path; and the name of an attribute, "target" too, or a table to fill
---@return table|string|integer|nil
---@return string? message
---@return integer? errno
function lfs.symlinkattributes(...)
  local path = check_path(1, ...)
  local _, wanted = ...
  if wanted == "target" then
    local target, problem, code = fs.readlink(path)
    if not target then
      local _, text, number = answer(nil, problem, code)
      return nil, "could not obtain link target: " .. text, number
    end
    return target
  end
  local first, message, number = pick(path, wanted, fs.lstat(path))
  if first == nil then
    return first, message, number
  elseif type(first) == "table" then
    local target = first.mode == "link" and fs.readlink(path)
    if target then
      first.target = target
    end
  end
  return first
end

-- ---- names --------------------------------------------------------------------------------------

---Changes the working directory of the process. Where operations of other tasks on relative paths
---are under way it waits for them a while.
---@async
---@param ... string the directory
---@return true?
---@return string? message
function lfs.chdir(...)
  local path = check_path(1, ...)
  local ok, message, code = fs.chdir(path)
  local deadline = core.now() + PATIENCE_S
  while code == "EBUSY" and core.current() and core.now() < deadline do
    wait.settle(core.sleep(LOOK_S))
    ok, message, code = fs.chdir(path)
  end
  if ok then
    return true
  end
  local text = words_of(message, code)
  return nil, ("Unable to change working directory to '%s'\n%s\n"):format(path, text)
end

---The working directory.
---@return string? path
---@return string? message
---@return integer? errno
function lfs.currentdir()
  local path, _, code = fs.cwd()
  if path then
    return path
  end
  local text, number = error_of(code)
  return nil, "get_dir getcwd() failed: " .. text, number
end

---Makes a directory.
---@async
---@param ... string its path
---@return true?
---@return string? message
---@return integer? errno
function lfs.mkdir(...)
  local path = check_path(1, ...)
  return answer(fs.mkdir(path, DIR_PERM))
end

---Removes an empty directory.
---@async
---@param ... string its path
---@return true?
---@return string? message
---@return integer? errno
function lfs.rmdir(...)
  local path = check_path(1, ...)
  return answer(fs.rmdir(path))
end

---Makes a link.
---@async
---@param ... any what it leads to; its own path; and whether it is a symbolic one
---@return true?
---@return string? message
---@return integer? errno
function lfs.link(...)
  local old, new = check_path(1, ...), check_path(2, ...)
  local is_symbolic = select(3, ...)
  return answer((is_symbolic and fs.symlink or fs.link)(old, new))
end

---Sets the times of access and modification: to now, or to these seconds.
---@async
---@param ... any the path; the time of access; and that of modification, as the other without it
---@return true?
---@return string? message
---@return integer? errno
function lfs.touch(...)
  local path = check_path(1, ...)
  if select("#", ...) == 1 then
    return answer(fs.utime(path, "now", "now"))
  end
  local access = check_whole(2, 0, ...)
  local modification = check_whole(3, access, ...)
  return answer(fs.utime(path, { access, 0 }, { modification, 0 }))
end

-- ---- directories --------------------------------------------------------------------------------

---What stands behind each object, which is a userdata as LuaFileSystem's is.
---@class halo.lfs.Directory
---@field file halo.File
---@field batch halo.Entry[]? read, and not given yet from `at` on
---@field at integer
---@field closed boolean

---@type table<userdata, halo.lfs.Directory>
local directories = setmetatable({}, { __mode = "k" })
local Directory = newproxy(true)

local function check_directory(...)
  local directory = directories[(...) or false]
  if not directory then
    refuse(1, expected("directory metatable", 1, ...))
  end
  return directory
end

local function check_open(...)
  local directory = directories[(...) or false]
  if not directory then
    refuse(1, expected("directory metatable", 1, ...))
  elseif directory.closed then
    refuse(1, "closed directory")
  end
  return directory
end

local function close_directory(directory)
  if not directory.closed then
    directory.closed = true
    scope.shield(fs.close, directory.file)
  end
end

---The entries that come next, or none: what cannot be read is the end.
local function read_batch(directory)
  local is_first = not directory.batch
  local batch, _, code = wait.checked(core.getdents(directory.file))
  batch = batch or {}
  if is_first and code ~= "ENOENT" then -- which is that of a directory that was removed
    table.insert(batch, 1, { name = "." })
    table.insert(batch, 2, { name = ".." })
  end
  directory.batch, directory.at = batch, 0
  return batch[1]
end

---The next name. Behind the last one the directory is closed.
---@async
---@param ... userdata the directory
---@return string?
local function next_name(...)
  local directory = check_open(...)
  local batch = directory.batch
  if not batch or not batch[directory.at + 1] then
    local ok, first = wait.guard(read_batch, directory)
    if not ok then
      close_directory(directory)
      error(first, 0)
    elseif not first then
      close_directory(directory)
      return
    end
  end
  directory.at = directory.at + 1
  return directory.batch[directory.at].name
end

---Closes the directory before its end.
local function close(...)
  close_directory(check_directory(...))
end

getmetatable(Directory).__index = { next = next_name, close = close }
-- A script's finalizer would run where nothing stops it.
getmetatable(Directory).__metatable = "directory"

---The names in a directory, "." and ".." included.
---@async
---@param ... string its path
---@return fun(directory: userdata): string?
---@return userdata directory with the methods next and close
function lfs.dir(...)
  local path = check_path(1, ...)
  local file, message, code = fs.open(path, core.flags.RDONLY + core.flags.DIRECTORY)
  if not file then
    local text = words_of(message, code)
    error(("cannot open %s: %s"):format(path, text), 2)
  end
  local object = newproxy(Directory)
  directories[object] = { file = file, at = 0, closed = false }
  return next_name, object
end

-- ---- locks --------------------------------------------------------------------------------------

local function lock(name, file, mode, start, length)
  local kind = mode:sub(1, 1)
  if kind ~= "r" and kind ~= "w" and kind ~= "u" then
    error(name .. ": invalid mode", 3)
  end
  return lock_stdio(file, kind, start, length)
end

---Locks a file of io's, or a part of it, against other processes. It never waits.
---@param ... any the file; "r" to read it or "w" to write; where it begins, and how long it is
---@return true?
---@return string? message
function lfs.lock(...)
  local file, mode = check_file("lock", ...), check_text(2, ...)
  local start, length = check_whole(3, 0, ...), check_whole(4, 0, ...)
  local ok, message = lock("lock", file, mode, start, length)
  if ok then
    return true
  end
  return nil, message
end

---Takes the lock away.
---@param ... any the file; where it begins, and how long it is
---@return true?
---@return string? message
function lfs.unlock(...)
  local file = check_file("unlock", ...)
  local start, length = check_whole(2, 0, ...), check_whole(3, 0, ...)
  return lock_stdio(file, "u", start, length)
end

---@class halo.lfs.Held
---@field path string? of the link by which a directory is locked
---@field link userdata? which removes it when it is collected

---@type table<userdata, halo.lfs.Held>
local locks = setmetatable({}, { __mode = "k" })
local Lock = newproxy(true)

local function check_lock(...)
  local held = locks[(...) or false]
  if not held then
    refuse(1, expected("lock metatable", 1, ...))
  end
  return held
end

---Gives the lock back.
local function free(...)
  local held = check_lock(...)
  local path, link = held.path, held.link
  held.path, held.link = nil, nil
  if path then
    release_link(link)
    scope.shield(fs.remove, path)
  end
end

getmetatable(Lock).__index = { free = free }

getmetatable(Lock).__metatable = "lock"

---Locks a directory against others who do it in this way, by a link in it.
---@async
---@param ... string its path
---@return userdata? lock with the method free
---@return string? message
function lfs.lock_dir(...)
  local path = check_path(1, ...)
  local object = newproxy(Lock)
  local held = {}
  locks[object] = held
  local dir, message, code = fs.at(path == "" and "/" or path)
  if not dir then
    local _, text = answer(nil, message, code)
    return nil, text
  end
  local ok
  ok, message, code = dir:symlink("lock", LOCK_NAME)
  if ok then
    held.path, held.link = path .. "/" .. LOCK_NAME, hold_link(dir.file, LOCK_NAME)
  end
  dir:close()
  if ok then
    return object
  end
  local text = words_of(message, code)
  return nil, errors.refusal(message) and ("%s: %s/%s"):format(text, path, LOCK_NAME) or text
end

---Does nothing on Linux, where both modes are the same.
---@param ... any a file of io's; "binary" or "text"
---@return true
---@return "binary" before
function lfs.setmode(...)
  check_file("setmode", ...)
  local mode = check_text(2, ...):match "^[^%z]*"
  if mode ~= "binary" and mode ~= "text" then
    local name = getinfo(1, "n")
    local position = name.namewhat == "method" and 1 or 2
    local problem = "bad argument #%d to '%s' (invalid option '%s')"
    error(problem:format(position, name.name or "?", mode), 2)
  end
  return true, "binary"
end

---Gives the module to those who ask for LuaFileSystem, which also sets the global of that name, as
---LuaFileSystem does.
function lfs.install()
  package.preload.lfs = function()
    rawset(_G, "lfs", lfs) -- whatever watches over globals minds none that C sets
    return lfs
  end
end

return lfs
