-- Calls below a directory that is held open: its name may change, or another directory take it, and
-- they still reach the same one. No path is looked up twice, and none gets too long.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local errors = require "halo.fs.errors"
local modules = require "halo.fs.modules"
local wait = require "halo.wait"

local checked = wait.checked
local flags, confine = core.flags, core.confine_flags
local at_options = { beneath = true, mounts = true }

---@class halo.fs
local fs = {}

---A directory, for calls on paths that begin in it; an absolute path begins at "/". They take and
---return what those of halo.fs do.
---@class halo.Dir
---@field private file halo.File
---@field stat async fun(self, path: string, ...: string): halo.Stat|any, string?, string?
---@field lstat async fun(self, path: string, ...: string): halo.Stat|any, string?, string?
---@field open async fun(self, path: string, mode?, perm?: halo.Perm): halo.File?, string?, string?
---@field create async fun(self, path: string, perm?: halo.Perm): halo.File?, string?, string?
---@field hash async fun(self, path: string, algorithm?): string?, string?, string?
---@field readfile async fun(self, path: string): string?, string?, string?
---@field readfile_into async fun(self, path: string, buffer): integer?, string?, string?
---@field writefile async fun(self, path: string, data, options?): true?, string?, string?
---@field lines async fun(self, path: string, keep_newline?, offset?): (fun(): string?), halo.File
---@field dir async fun(self, path: string): (fun(): string?, string?), halo.File
---@field glob async fun(self, pattern: string, options?): string[]?, string?, string?
---@field mkstemp async fun(self, template?: string): halo.File?, string, string?
---@field mkdtemp async fun(self, template?: string): string?, string?, string?
---@field tempfile async fun(self, dir?: string): halo.File?, string?, string?
---@field access async fun(self, path: string, how?: string): true?, string?, string?
---@field exists async fun(self, path: string): boolean?, string?, string?
---@field chmod async fun(self, path: string, mode: halo.Perm): true?, string?, string?
---@field chown async fun(self, path: string, uid?, gid?): true?, string?, string?
---@field lchown async fun(self, path: string, uid?, gid?): true?, string?, string?
---@field utime async fun(self, path: string, atime?, mtime?): true?, string?, string?
---@field lutime async fun(self, path: string, atime?, mtime?): true?, string?, string?
---@field truncate async fun(self, path: string, size: integer): true?, string?, string?
---@field statfs async fun(self, path: string): halo.StatFs?, string?, string?
---@field getxattr async fun(self, path: string, name: string): string?, string?, string?
---@field setxattr async fun(self, path: string, name, value, options?): true?, string?, string?
---@field listxattr async fun(self, path: string): string[]?, string?, string?
---@field removexattr async fun(self, path: string, name: string): true?, string?, string?
---@field mkdir async fun(self, path: string, perm?): true?, string?, string?
---@field rmdir async fun(self, path: string): true?, string?, string?
---@field remove async fun(self, path: string, options?): true?, string?, string?
---@field rmtree async fun(self, path: string, options?): true?, string?, string?
---@field copytree async fun(self, from: string, to: string, options?): true?, string?, string?
---@field move async fun(self, from: string, to: string, options?): true?, string?, string?
---@field walk async fun(self, path: string, options?): halo.Walk
---@field lgetxattr async fun(self, path: string, name: string): string?, string?, string?
---@field lsetxattr async fun(self, path: string, name, value, options?): true?, string?, string?
---@field llistxattr async fun(self, path: string): string[]?, string?, string?
---@field lremovexattr async fun(self, path: string, name: string): true?, string?, string?
---@field readlink async fun(self, path: string): string?, string?, string?
---@field mkfifo async fun(self, path: string, perm?: halo.Perm): true?, string?, string?
---@field mknod async fun(self, path: string, kind?, perm?, major?, minor?): true?, string?, string?
---@field rename async fun(self, from: string, to: string, options?): true?, string?, string?
---@field copy async fun(self, from: string, to: string, options?): integer?, string?, string?
---@field watch async fun(self, path: string, options?: halo.WatchOptions): halo.Watch
---@field poll async fun(self, path: string, seconds?: number): fun(): halo.Stat|false
---@field link async fun(self, path: string, new: string): true?, string?, string?
---@field symlink async fun(self, target: string, path: string): true?, string?, string?
local Dir = {}
Dir.__index = Dir

---The file of a Dir. What is no Dir was mostly called with a dot where a colon should be.
---@param self any
---@param name string of the method
---@return halo.File
local function file_of(self, name)
  if type(self) ~= "table" or getmetatable(self) ~= Dir then
    local problem = "calling '%s' on bad self (Dir expected, got %s): a colon before %s passes it"
    core.raise(problem:format(name, type(self), name))
  end
  return self.file
end

---The limits that options ask for. What is inherited is not lifted.
---@return integer # 0 for none
local function limits(base, options)
  options = check.options(options, 2, "at", at_options)
  if options.mounts == false and not options.beneath and not core.confines(base) then
    check.fail("mounts = false goes with beneath = true", 2, "at")
  end
  return (options.beneath and confine.beneath or 0)
    + (options.mounts == false and confine.no_mounts or 0)
end

---@param base halo.File
---@param path string below base
---@param options halo.AtOptions?
local function open_dir(base, path, options)
  local how = limits(base, options)
  local file, message, code = checked(core.open(base, path, flags.PATH + flags.DIRECTORY))
  if not file then
    return nil, message, code
  elseif how > 0 then
    core.confine(file, how)
  end
  return setmetatable({ file = core.as_base(file) }, Dir)
end

---@class halo.AtOptions
---@field beneath boolean? nothing outside of the directory is reached through it
---@field mounts boolean? with beneath: false leaves out what is mounted below it, too

---A directory to work below, whatever becomes of its name meanwhile.
---
---With beneath it confines: what a path leads out to, by "..", by a slash at its start, by a
---symbolic link or one of /proc, is refused (EXDEV, or ELOOP), whoever changes names at the same
---time. Links that stay inside are followed. What is opened through it confines, too.
---@async
---@param dir string|halo.File its path, or a File of it, which stays open beside
---@param options halo.AtOptions?
---@return halo.Dir? dir
---@return string? message
---@return string? code
function fs.at(dir, options)
  if check.is_file(dir) then
    local opened, message, code = open_dir(core.alias(dir), ".", options)
    if not opened then
      return nil, errors.with_path(message, ".", core.path(dir)), code
    end
    return opened
  end
  return open_dir(core.AT_FDCWD, check.path(dir, 1, "at"), options)
end

---The same of a directory below this one. Where this one confines, that one does, to itself.
---@async
---@param path string
---@param options halo.AtOptions?
---@return halo.Dir? dir
---@return string? message
---@return string? code
function Dir:at(path, options)
  return open_dir(file_of(self, "at"), check.path(path, 1, "at"), options)
end

---@async
---@return true?
---@return string? message
---@return string? code
function Dir:close(...)
  check.no_more(1, "close", ...)
  return checked(core.close(file_of(self, "close")))
end

function Dir:__tostring()
  local file = file_of(self, "tostring")
  local open = core.is_open(file)
  return (open and "dir (%s)" or "dir (closed, %s)"):format(core.path(file))
end

-- ---- calls by path --------------------------------------------------------------------------

---As fs.readdir, of the directory itself where no path is given.
---@async
---@param path string?
---@return halo.Entry[]? entries
---@return string? message
---@return string? code
function Dir:readdir(path, ...)
  check.no_more(2, "readdir", ...)
  return by_path.readdir(file_of(self, "readdir"), path == nil and "." or path)
end

local two_paths = {
  copy = true, copytree = true, link = true, move = true, rename = true, symlink = true,
}

---None of them takes a function but among options.
local function check_last(name, count, ...)
  if count > (two_paths[name] and 2 or 1) and type(select(count, ...)) == "function" then
    check.no_more(count, name, (select(count, ...)))
  end
end

---The method that makes a call by path, whose module may not be loaded yet.
local function find_method(_, name)
  if not by_path[name] and modules[name] then
    core.module(modules[name])
  end
  local call = by_path[name]
  if call then
    Dir[name] = function(self, ...)
      check_last(name, select("#", ...), ...)
      return call(file_of(self, name), ...)
    end
  end
  return rawget(Dir, name)
end

setmetatable(Dir, { __index = find_method })

return fs
