-- Calls on what is known of a file beside its data.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local fast = require "halo.fs.fast"
local status = require "halo.fs.status"
local wait = require "halo.wait"

local AT_FDCWD = core.AT_FDCWD
local checked = wait.checked
local to_stat, pick, check_field = status.table, status.field, status.check_field

---@class halo.fs
local fs = {}

---The metadata of what a path leads to.
---@async
---@param path string
---@param field string? the name of the one field that is wanted
---@return halo.Stat|any? stat
---@return string? message
---@return string? code
function fs.stat(path, field)
  local found = fast.stat(path, field, true)
  if found then
    return found
  elseif field == nil then
    return to_stat(core.stat(path))
  end
  check_field(field, "stat")
  return pick(field, core.stat(path))
end

---The metadata of a path's last component itself, though it be a symbolic link.
---@async
---@param path string
---@param field string? the name of the one field that is wanted
---@return halo.Stat|any? stat
---@return string? message
---@return string? code
function fs.lstat(path, field)
  local found = fast.stat(path, field, false)
  if found then
    return found
  elseif field == nil then
    return to_stat(core.lstat(path))
  end
  check_field(field, "lstat")
  return pick(field, core.lstat(path))
end

---The metadata of an open file.
---@async
---@param file halo.File
---@param field string? the name of the one field that is wanted
---@return halo.Stat|any? stat
---@return string? message
---@return string? code
function fs.fstat(file, field)
  local found = fast.fstat(file, field)
  if found then
    return found
  elseif field == nil then
    return to_stat(core.fstat(file))
  end
  check.file(file, 1, "fstat")
  check_field(field, "fstat")
  return pick(field, core.fstat(file))
end

---Changes the permission bits of what a path leads to. (Linux has none for symbolic links.)
---@async
---@param path string
---@param mode integer
---@return true?
---@return string? message
---@return string? code
function fs.chmod(path, mode)
  return by_path.chmod(AT_FDCWD, path, mode)
end

---Changes the permission bits of an open file.
---@async
---@param file halo.File
---@param mode integer
---@return true?
---@return string? message
---@return string? code
function fs.fchmod(file, mode)
  return checked(core.fchmod(file, mode))
end

---Changes the owner and group of what a path leads to.
---@async
---@param path string
---@param uid integer? nil leaves it
---@param gid integer? nil leaves it
---@return true?
---@return string? message
---@return string? code
function fs.chown(path, uid, gid)
  return by_path.chown(AT_FDCWD, path, uid, gid)
end

---The same of a symbolic link itself.
---@async
---@param path string
---@param uid integer? nil leaves it
---@param gid integer? nil leaves it
---@return true?
---@return string? message
---@return string? code
function fs.lchown(path, uid, gid)
  return by_path.lchown(AT_FDCWD, path, uid, gid)
end

---The same of an open file.
---@async
---@param file halo.File
---@param uid integer? nil leaves it
---@param gid integer? nil leaves it
---@return true?
---@return string? message
---@return string? code
function fs.fchown(file, uid, gid)
  return checked(core.fchown(file, uid, gid))
end

---@alias halo.Time number|{ [1]: integer, [2]: integer }|"now"

---Sets the times of access and modification of what a path leads to.
---@async
---@param path string
---@param atime halo.Time? seconds, {seconds, nanoseconds} or "now"; nil leaves it
---@param mtime halo.Time? seconds, {seconds, nanoseconds} or "now"; nil leaves it
---@return true?
---@return string? message
---@return string? code
function fs.utime(path, atime, mtime)
  return by_path.utime(AT_FDCWD, path, atime, mtime)
end

---The same of a symbolic link itself.
---@async
---@param path string
---@param atime halo.Time? seconds, {seconds, nanoseconds} or "now"; nil leaves it
---@param mtime halo.Time? seconds, {seconds, nanoseconds} or "now"; nil leaves it
---@return true?
---@return string? message
---@return string? code
function fs.lutime(path, atime, mtime)
  return by_path.lutime(AT_FDCWD, path, atime, mtime)
end

---The same of an open file.
---@async
---@param file halo.File
---@param atime halo.Time? seconds, {seconds, nanoseconds} or "now"; nil leaves it
---@param mtime halo.Time? seconds, {seconds, nanoseconds} or "now"; nil leaves it
---@return true?
---@return string? message
---@return string? code
function fs.futime(file, atime, mtime)
  return checked(core.futime(file, atime, mtime))
end

---Whether this process's real user may use a path in a way; EACCES where not.
---@async
---@param path string
---@param how string? any of "r", "w", "x"; without it, whether it is there
---@return true?
---@return string? message
---@return string? code
function fs.access(path, how)
  return by_path.access(AT_FDCWD, path, how)
end

---Whether a path leads to something.
---@async
---@param path string
---@return boolean? # nil, message, code where it cannot be told
---@return string? message
---@return string? code
function fs.exists(path)
  return by_path.exists(AT_FDCWD, path)
end

---Cuts a file, or makes it longer with a hole.
---@async
---@param path string
---@param size integer bytes
---@return true?
---@return string? message
---@return string? code
function fs.truncate(path, size)
  return checked(core.truncate(path, size))
end

---@class halo.StatFs
---@field type integer
---@field bsize integer bytes that are best read or written at once
---@field frsize integer bytes in a block, as they are counted here
---@field blocks integer
---@field bfree integer
---@field bavail integer free for everybody
---@field files integer inodes
---@field ffree integer
---@field namelen integer

---What is known of the file system that holds a path or an open file.
---@async
---@param path string|halo.File
---@return halo.StatFs?
---@return string? message
---@return string? code
function fs.statfs(path)
  return checked(core.statfs(path))
end

---The process's mask of permission bits for what is created; set where one is given.
---@param mask integer?
---@return integer before
function fs.umask(mask)
  return core.umask(mask)
end

---Writes everything that is mounted to its disks.
---@async
---@return true?
---@return string? message
---@return string? code
function fs.sync()
  return checked(core.sync())
end

---The value of an extended attribute, such as "user.note".
---@async
---@param path string|halo.File
---@param name string
---@return string? value
---@return string? message
---@return string? code
function fs.getxattr(path, name)
  return checked(core.getxattr(path, name))
end

---Sets an extended attribute.
---@async
---@param path string|halo.File
---@param name string
---@param value string
---@param options { create: boolean?, replace: boolean? }? it must not, or must, be there
---@return true?
---@return string? message
---@return string? code
function fs.setxattr(path, name, value, options)
  local flags = check.flags(options, 4, "setxattr", core.setxattr_flags)
  return checked(core.setxattr(path, name, value, flags))
end

---The names of the extended attributes.
---@async
---@param path string|halo.File
---@return string[]? names
---@return string? message
---@return string? code
function fs.listxattr(path)
  return checked(core.listxattr(path))
end

---Removes an extended attribute.
---@async
---@param path string|halo.File
---@param name string
---@return true?
---@return string? message
---@return string? code
function fs.removexattr(path, name)
  return checked(core.removexattr(path, name))
end

return fs
