-- Calls below a directory that is held open: its name may change, or another directory take it, and
-- they still reach the same one. No path is looked up twice, and none gets too long.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local errors = require "halo.fs.errors"
local stat = require "halo.fs.stat"
local wait = require "halo.wait"

require "halo.fs.hash" -- which define calls by path, too
require "halo.fs.readfile"
require "halo.fs.walk"

local checked = wait.checked
local flags = core.flags

---@class halo.fs
local fs = {}

---A directory, for calls on paths that begin in it; an absolute path begins at "/". They take and
---return what those of halo.fs do. (mkdir makes one directory at a time.)
---@class halo.Dir
---@field private file halo.File
---@field open async fun(self, path: string, mode?, perm?: integer): halo.File?, string?, string?
---@field create async fun(self, path: string, perm?: integer): halo.File?, string?, string?
---@field hash async fun(self, path: string, algorithm?): string?, string?, string?
---@field walk async fun(self, path: string, options?): fun(): string?, halo.WalkEntry?
---@field readfile async fun(self, path: string): string?, string?, string?
---@field readfile_into async fun(self, path: string, buffer): integer?, string?, string?
---@field access async fun(self, path: string, how?: string): true?, string?, string?
---@field exists async fun(self, path: string): boolean?, string?, string?
---@field chmod async fun(self, path: string, mode: integer): true?, string?, string?
---@field chown async fun(self, path: string, uid?, gid?): true?, string?, string?
---@field lchown async fun(self, path: string, uid?, gid?): true?, string?, string?
---@field utime async fun(self, path: string, atime?, mtime?): true?, string?, string?
---@field lutime async fun(self, path: string, atime?, mtime?): true?, string?, string?
---@field mkdir async fun(self, path: string, perm?: integer): true?, string?, string?
---@field rmdir async fun(self, path: string): true?, string?, string?
---@field remove async fun(self, path: string): true?, string?, string?
---@field readlink async fun(self, path: string): string?, string?, string?
---@field mkfifo async fun(self, path: string, perm?: integer): true?, string?, string?
---@field mknod async fun(self, path: string, kind?, perm?, major?, minor?): true?, string?, string?
---@field rename async fun(self, from: string, to: string, options?): true?, string?, string?
---@field copy async fun(self, from: string, to: string, options?): integer?, string?, string?
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
    core.raise(("calling '%s' on bad self (Dir expected, got %s)"):format(name, type(self)))
  end
  return self.file
end

---@param base string|halo.File
---@param path string? below base
local function open_dir(base, path)
  local wanted = flags.PATH + flags.DIRECTORY
  local file, message, code
  if path then
    file, message, code = checked(core.open(base, path, wanted))
  else
    file, message, code = checked(core.open(base, wanted))
  end
  if not file then
    return nil, message, code
  end
  return setmetatable({ file = core.as_base(file) }, Dir)
end

---A directory to work below, whatever becomes of its name meanwhile.
---@async
---@param dir string|halo.File its path, or a File of it, which stays open beside
---@return halo.Dir? dir
---@return string? message
---@return string? code
function fs.at(dir)
  if check.is_file(dir) then
    local opened, message, code = open_dir(core.as_base(dir), ".")
    if not opened then
      return nil, errors.with_path(message, ".", core.path(dir)), code
    end
    return opened
  end
  return open_dir(check.path(dir, 1, "at"))
end

---The same of a directory below this one.
---@async
---@param path string
---@return halo.Dir? dir
---@return string? message
---@return string? code
function Dir:at(path)
  return open_dir(file_of(self, "at"), check.path(path, 1, "at"))
end

---@async
---@return true?
---@return string? message
---@return string? code
function Dir:close()
  return checked(core.close(file_of(self, "close")))
end

function Dir:__tostring()
  local file = file_of(self, "tostring")
  local open = core.is_open(file)
  return (open and "dir (%s)" or "dir (closed, %s)"):format(core.path(file))
end

-- ---- calls by path --------------------------------------------------------------------------

---As fs.stat.
---@async
---@param path string
---@param ... string
---@return halo.Stat|any? stat
---@return string? message
---@return string? code
function Dir:stat(path, ...)
  return stat.ask(core.stat, "stat", path, file_of(self, "stat"), ...)
end

---As fs.lstat.
---@async
---@param path string
---@param ... string
---@return halo.Stat|any? stat
---@return string? message
---@return string? code
function Dir:lstat(path, ...)
  return stat.ask(core.lstat, "lstat", path, file_of(self, "lstat"), ...)
end

---As fs.readdir, of the directory itself where no path is given.
---@async
---@param path string?
---@return halo.Entry[]? entries
---@return string? message
---@return string? code
function Dir:readdir(path)
  return by_path.readdir(file_of(self, "readdir"), path == nil and "." or path)
end

for name, call in pairs(by_path) do
  Dir[name] = Dir[name] or function(self, a, b, c, d, e)
    return call(file_of(self, name), a, b, c, d, e)
  end
end

return fs
