-- Calls on names and directories.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local dir_cache = require "halo.fs.dir_cache"
local paths = require "halo.fs.paths"
local perms = require "halo.fs.perm"
local stat = require "halo.fs.stat"
local wait = require "halo.wait"

local checked = wait.checked
local AT_FDCWD = core.AT_FDCWD
local mkdir_options = { parents = true, perm = "any" }
local remove_options = { recursive = true, force = true }
local PLACE, NOFOLLOW = core.flags.PATH + core.flags.DIRECTORY, core.flags.NOFOLLOW
local PATH_MAX = 4096 -- bytes, with the NUL behind
local TRIES_MAX = 100 -- while others remove what has been made

---@class halo.fs
local fs = {}

---Renames; what has the new name already is replaced.
---@async
---@param from string
---@param to string
---@param options { noreplace: boolean?, exchange: boolean? }? refuse to replace (EEXIST), or let
---the two change places
---@return true?
---@return string? message
---@return string? code
function fs.rename(from, to, options, ...)
  check.no_more(4, "rename", ...)
  return by_path.rename(AT_FDCWD, from, to, options)
end

---@class halo.RemoveOptions
---@field recursive boolean? a directory too, with all that is in it, as fs.rmtree does
---@field force boolean? it is no failure that there is nothing

---As fs.remove, with the directory in which the path begins before it.
---@async
function by_path.remove(base, path, options)
  if options == nil then
    return checked(core.remove(base, path))
  end
  check.path(path, 1, "remove")
  check.options(options, 2, "remove", remove_options)
  local ok, message, code = checked(core.remove(base, path))
  if code == "EISDIR" and options.recursive then
    ok, message, code = core.module("halo.fs.rmtree").remove_any(base, path)
  end
  if code == "ENOENT" and options.force then
    return true
  end
  return checked(ok, message, code)
end

---Removes a file, or with the option whatever there is. (An empty directory alone: fs.rmdir.)
---@async
---@param path string a symbolic link is removed itself
---@param options halo.RemoveOptions?
---@return true?
---@return string? message
---@return string? code
function fs.remove(path, options, ...)
  check.no_more(3, "remove", ...)
  return by_path.remove(AT_FDCWD, path, options)
end

-- ---- making directories with those above them --------------------------------------------------

---A name in the directory that is open, which the next one is opened in.
---@async
local function make_one(names, i)
  local base, last = core.as_base(names.file), i == #names
  if names[i] == ".." and core.confines(base) then -- which must not go up from itself
    return nil, "ENOENT: no such file or directory", "ENOENT" -- the path will lead there
  end
  local ok, message, code = checked(core.mkdir(base, names[i], last and names.perm or nil))
  if last and ok or not ok and code ~= "EEXIST" then
    return ok, message, code
  end
  local file, problem, why = dir_cache.with_room(core.open, base, names[i], PLACE + NOFOLLOW)
  if not file and why == "ENOTDIR" then
    local is_link = stat.ask(core.lstat, "lstat", names[i], base, "is_symlink")
    if is_link and stat.ask(core.stat, "stat", names[i], base, "is_dir") then
      return nil, "ENOENT: no such file or directory", "ENOENT" -- the path will lead through it
    elseif is_link or last then
      return nil, message, code, i
    end
  end
  if not file then
    return nil, problem, why
  end
  pcall(core.close, names.file) -- it raises in a task that was cancelled, once it has closed
  names.file = file
  return true
end

---@async
local function make_names(names)
  local ok, message, code, taken = true, nil, nil, nil
  for i = 1, #names do
    ok, message, code, taken = make_one(names, i)
    if not ok then
      break
    end
  end
  return ok, message, code, taken
end

---Opens the deepest directory on a path that exists. Returns its file and the names below it.
---@async
local function open_deepest(base, path)
  local names, stops = {}, { [0] = 1 }
  for name, stop in path:gmatch "([^/]+)()" do
    names[#names + 1], stops[#stops + 1] = name, stop
  end
  local file, message, code
  for i = #names - 1, 0, -1 do
    local at = path:sub(1, stops[i] - 1)
    if #at < PATH_MAX then
      local above = i > 0 and at or path:sub(1, 1) == "/" and "/" or "."
      file, message, code = dir_cache.pin(core.open, base, above, PLACE)
      if file or code ~= "ENOENT" then
        return file, message, code, { unpack(names, i + 1) }
      end
    end
  end
  return nil, message or "ENOENT: no such file or directory: ", code or "ENOENT"
end

---@async
local function make_missing(base, path, perm)
  local file, message, code, names = open_deepest(base, path)
  if not file then
    return nil, message, code
  end
  names.file, names.perm = file, perm
  local returned, ok, taken
  returned, ok, message, code, taken = wait.guard(make_names, names)
  pcall(core.close, names.file)
  if not returned then
    error(ok, 0)
  end
  for _ = taken or #names, #names - 1 do
    path = paths.parent(path)
  end
  return ok, message, code, taken and path
end

---@async
local function make_once(base, path, perm)
  local ok, message, code = checked(core.mkdir(base, path, perm))
  if code == "ENOENT" or code == "ENAMETOOLONG" then
    return make_missing(base, path, perm)
  elseif code ~= "EEXIST" then
    return ok, message, code
  end
  local is_dir, problem, why = stat.ask(core.stat, "stat", path, base, "is_dir")
  local leads_nowhere = why == "ELOOP"
    or why == "ENOENT" and stat.ask(core.lstat, "lstat", path, base, "is_symlink")
  if why and not leads_nowhere then
    return nil, problem, why
  end
  return is_dir or nil, message, code
end

---Others may remove what was there or has just been made: then it is looked again.
---@async
local function make_with_parents(base, path, perm)
  local ok, message, code, taken
  for _ = 1, TRIES_MAX do
    ok, message, code, taken = make_once(base, path, perm)
    if code ~= "ENOENT" then
      break
    end
  end
  if ok then
    return true
  end
  return nil, (message:match "^%w+: [^:]*" or message) .. ": " .. (taken or path), code
end

---As fs.mkdir, with the directory in which the path begins before it.
---@async
function by_path.mkdir(base, path, perm)
  if type(perm) ~= "table" then
    return checked(core.mkdir(base, path, perms.of_new(perm, perms.DIR, 2, "mkdir")))
  end
  check.path(path, 1, "mkdir")
  check.options(perm, 2, "mkdir", mkdir_options)
  local bits = perms.of_new(perm.perm, perms.DIR, 2, "mkdir")
  if not perm.parents then
    return checked(core.mkdir(base, path, bits))
  end
  return make_with_parents(base, path, bits)
end

---@class halo.MkdirOptions
---@field parents boolean? make those above it too
---@field perm halo.Perm? of the directory itself; the others get "777" less the umask

---Makes a directory. With parents, those above it too where they are missing, and it is no failure
---that it is there already.
---@async
---@param path string
---@param perm (halo.Perm|halo.MkdirOptions)? less the umask; "777" by default
---@return true?
---@return string? message
---@return string? code
function fs.mkdir(path, perm, ...)
  check.no_more(3, "mkdir", ...)
  return by_path.mkdir(AT_FDCWD, path, perm)
end

---Removes an empty directory.
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.rmdir(path, ...)
  check.no_more(2, "rmdir", ...)
  return by_path.rmdir(AT_FDCWD, path)
end

---@class halo.Entry
---@field name string
---@field type "file"|"dir"|"symlink"|"fifo"|"socket"|"char"|"block"|"unknown"

---The entries of a directory without "." and "..", in the file system's order.
---@async
---@param path string
---@return halo.Entry[]? entries
---@return string? message
---@return string? code
function fs.readdir(path, ...)
  check.no_more(2, "readdir", ...)
  return by_path.readdir(AT_FDCWD, path)
end

---Gives a file another name: a hard link.
---@async
---@param path string
---@param new string
---@return true?
---@return string? message
---@return string? code
function fs.link(path, new, ...)
  check.no_more(3, "link", ...)
  return by_path.link(AT_FDCWD, path, new)
end

---Makes a symbolic link.
---@async
---@param target string what it says
---@param path string its name
---@return true?
---@return string? message
---@return string? code
function fs.symlink(target, path, ...)
  check.no_more(3, "symlink", ...)
  return by_path.symlink(AT_FDCWD, target, path)
end

---What a symbolic link says.
---@async
---@param path string
---@return string? target
---@return string? message
---@return string? code
function fs.readlink(path, ...)
  check.no_more(2, "readlink", ...)
  return by_path.readlink(AT_FDCWD, path)
end

---The absolute path without symbolic links, "." and "..".
---@async
---@param path string
---@return string? path
---@return string? message
---@return string? code
function fs.realpath(path, ...)
  check.no_more(2, "realpath", ...)
  return checked(core.realpath(path))
end

---Makes a FIFO.
---@async
---@param path string
---@param perm halo.Perm? "644" by default, less the umask
---@return true?
---@return string? message
---@return string? code
function fs.mkfifo(path, perm, ...)
  check.no_more(3, "mkfifo", ...)
  return by_path.mkfifo(AT_FDCWD, path, perm)
end

---Makes a device, or another node.
---@async
---@param path string
---@param kind "file"|"fifo"|"socket"|"char"|"block"
---@param perm halo.Perm? "644" by default, less the umask
---@param major integer?
---@param minor integer?
---@return true?
---@return string? message
---@return string? code
function fs.mknod(path, kind, perm, major, minor, ...)
  check.no_more(6, "mknod", ...)
  return by_path.mknod(AT_FDCWD, path, kind, perm, major, minor)
end

---The working directory.
---@return string? path
---@return string? message
---@return string? code
function fs.cwd(...)
  check.no_more(1, "cwd", ...)
  return core.cwd()
end

---Changes the working directory of the process. It is refused (EBUSY) while operations on relative
---paths are under way: the kernel looks those up late, and they would lead elsewhere.
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.chdir(path, ...)
  check.no_more(2, "chdir", ...)
  return core.chdir(path)
end

return fs
