-- Calls below a directory that is held open: its name may change, or another directory take it, and
-- they still reach the same one. No path is looked up twice, and none gets too long.

local check = require "halo.fs.check"
local core = require "halo.core"
local refusal = require "halo.fs.refusal"
local sum_of = require("halo.fs.options").sum_of
local stat = require "halo.fs.stat"
local wait = require "halo.wait"

local checked = wait.checked

local flags = core.flags

local fs = {}

---@class halo.Dir a directory, for calls on paths that begin in it; an absolute path begins at "/"
---@field private file halo.File
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
      return nil, refusal.about(message, ".", core.path(dir)), code
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

-- ---- calls of one path ----------------------------------------------------------------------

---As fs.open.
---@async
---@param path string
---@param mode string|integer?
---@param perm integer?
---@return halo.File? file
---@return string? message
---@return string? code
function Dir:open(path, mode, perm)
  return checked(core.open(file_of(self, "open"), path, mode, perm))
end

---As fs.create.
---@async
---@param path string
---@param perm integer?
---@return halo.File? file
---@return string? message
---@return string? code
function Dir:create(path, perm)
  local base = file_of(self, "create")
  check.path(path, 1, "create")
  return checked(core.open(base, path, "w", check.perm(perm, 2, "create")))
end

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

---As fs.access.
---@async
---@param path string
---@param how string? any of "r", "w", "x"
---@return true?
---@return string? message
---@return string? code
function Dir:access(path, how)
  local bits = check.access(how, 2, "access")
  return checked(core.access(file_of(self, "access"), path, bits))
end

---As fs.exists.
---@async
---@param path string
---@return boolean?
---@return string? message
---@return string? code
function Dir:exists(path)
  local ok, message, code = checked(core.access(file_of(self, "exists"),
    check.path(path, 1, "exists"), 0))
  if not ok and (code == "ENOENT" or code == "ENOTDIR") then
    return false
  end
  return ok, message, code
end

---As fs.mkdir, one directory at a time.
---@async
---@param path string
---@param perm integer?
---@return true?
---@return string? message
---@return string? code
function Dir:mkdir(path, perm)
  return checked(core.mkdir(file_of(self, "mkdir"), path, perm))
end

---As fs.rmdir.
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function Dir:rmdir(path)
  return checked(core.rmdir(file_of(self, "rmdir"), path))
end

---As fs.remove.
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function Dir:remove(path)
  return checked(core.remove(file_of(self, "remove"), path))
end

---As fs.readlink.
---@async
---@param path string
---@return string? target
---@return string? message
---@return string? code
function Dir:readlink(path)
  return checked(core.readlink(file_of(self, "readlink"), path))
end

---As fs.readdir, of the directory itself where no path is given.
---@async
---@param path string?
---@return halo.Entry[]? entries
---@return string? message
---@return string? code
function Dir:readdir(path)
  return checked(core.readdir(file_of(self, "readdir"), path == nil and "." or path))
end

---As fs.chmod.
---@async
---@param path string
---@param mode integer
---@return true?
---@return string? message
---@return string? code
function Dir:chmod(path, mode)
  return checked(core.chmod(file_of(self, "chmod"), path, mode))
end

---As fs.chown.
---@async
---@param path string
---@param uid integer?
---@param gid integer?
---@return true?
---@return string? message
---@return string? code
function Dir:chown(path, uid, gid)
  return checked(core.chown(file_of(self, "chown"), path, uid, gid))
end

---As fs.lchown.
---@async
---@param path string
---@param uid integer?
---@param gid integer?
---@return true?
---@return string? message
---@return string? code
function Dir:lchown(path, uid, gid)
  return checked(core.lchown(file_of(self, "lchown"), path, uid, gid))
end

---As fs.utime.
---@async
---@param path string
---@param atime halo.Time?
---@param mtime halo.Time?
---@return true?
---@return string? message
---@return string? code
function Dir:utime(path, atime, mtime)
  return checked(core.utime(file_of(self, "utime"), path, atime, mtime))
end

---As fs.lutime.
---@async
---@param path string
---@param atime halo.Time?
---@param mtime halo.Time?
---@return true?
---@return string? message
---@return string? code
function Dir:lutime(path, atime, mtime)
  return checked(core.lutime(file_of(self, "lutime"), path, atime, mtime))
end

---As fs.mkfifo.
---@async
---@param path string
---@param perm integer?
---@return true?
---@return string? message
---@return string? code
function Dir:mkfifo(path, perm)
  return checked(core.mkfifo(file_of(self, "mkfifo"), path, perm))
end

-- ---- calls of two paths, which both begin in the directory ------------------------------------

local rename_flags = { noreplace = 1, exchange = 2 } -- RENAME_NOREPLACE, RENAME_EXCHANGE

---As fs.rename.
---@async
---@param from string
---@param to string
---@param options { noreplace: boolean?, exchange: boolean? }?
---@return true?
---@return string? message
---@return string? code
function Dir:rename(from, to, options)
  local sum = sum_of(check.options(options, 3, "rename", rename_flags), rename_flags)
  return checked(core.rename(file_of(self, "rename"), from, to, sum))
end

---As fs.link.
---@async
---@param path string
---@param new string
---@return true?
---@return string? message
---@return string? code
function Dir:link(path, new)
  return checked(core.link(file_of(self, "link"), path, new))
end

---As fs.symlink: only the link's own name begins in the directory.
---@async
---@param target string what it says
---@param path string
---@return true?
---@return string? message
---@return string? code
function Dir:symlink(target, path)
  return checked(core.symlink(file_of(self, "symlink"), target, path))
end

return fs
