-- Calls on what is known of a file beside its data.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local fast = require "halo.fs.fast"
local perm = require "halo.fs.perm"
local stat = require "halo.fs.stat"
local wait = require "halo.wait"

local AT_FDCWD = core.AT_FDCWD
local checked = wait.checked
local places, of_mode, pick = stat.places, stat.of_mode, stat.pick

local function one_field(field, number)
  local make = of_mode[field]
  if make then
    return make(number)
  end
  return number
end

---@class halo.fs
local fs = {}

---The metadata of what a path leads to: an object that reads as a table of its fields, and whose
---method table() makes one; or the fields that are named, in their order.
---@async
---@param path string
---@param field string? the name of a field, where not all of it is wanted
---@param ... string further ones
---@return halo.Stat|any? stat or the fields
---@return string? message
---@return string? code
function fs.stat(path, field, ...)
  local place = places[field]
  if place and select("#", ...) == 0 then
    local number = fast.stat_number(path, true, place)
    if number then
      return one_field(field, number)
    end
  else
    local self = fast.stat(path, true)
    if self then
      return pick(self, "stat", field, ...)
    end
  end
  return by_path.stat(AT_FDCWD, path, field, ...)
end

---The metadata of a path's last component itself, though it be a symbolic link.
---@async
---@param path string
---@param field string? the name of a field, where not all of it is wanted
---@param ... string further ones
---@return halo.Stat|any? stat or the fields
---@return string? message
---@return string? code
function fs.lstat(path, field, ...)
  local place = places[field]
  if place and select("#", ...) == 0 then
    local number = fast.stat_number(path, false, place)
    if number then
      return one_field(field, number)
    end
  else
    local self = fast.stat(path, false)
    if self then
      return pick(self, "lstat", field, ...)
    end
  end
  return by_path.lstat(AT_FDCWD, path, field, ...)
end

---The metadata of an open file.
---@async
---@param file halo.File
---@param field string? the name of a field, where not all of it is wanted
---@param ... string further ones
---@return halo.Stat|any? stat or the fields
---@return string? message
---@return string? code
function fs.fstat(file, field, ...)
  local place = places[field]
  if place and select("#", ...) == 0 then
    local number = fast.fstat_number(file, place)
    if number then
      return one_field(field, number)
    end
  else
    local self = fast.fstat(file)
    if self then
      return pick(self, "fstat", field, ...)
    end
  end
  check.file(file, 1, "fstat")
  return stat.ask(core.fstat, "fstat", file, nil, field, ...)
end

---Permission bits: a number; octal digits ("644"); or words as chmod(1) has them ("u=rw,go=r",
---"+x", "g=u"). Words change the bits that are there: for what is created, those it has by default.
---A number that is meant as octal and written as decimal, such as 644, raises.
---@alias halo.Perm integer|string

---Changes the permission bits of what a path leads to. (Linux has none for symbolic links.)
---@async
---@param path string
---@param mode halo.Perm a stat's perm or mode, too
---@return true?
---@return string? message
---@return string? code
function fs.chmod(path, mode, ...)
  check.no_more(3, "chmod", ...)
  return by_path.chmod(AT_FDCWD, path, mode)
end

---Changes the permission bits of an open file.
---@async
---@param file halo.File
---@param mode halo.Perm a stat's perm or mode, too
---@return true?
---@return string? message
---@return string? code
function fs.fchmod(file, mode, ...)
  check.no_more(3, "fchmod", ...)
  check.file(file, 1, "fchmod")
  local bits, message, code = perm.of_present(mode, 2, "fchmod", fs.fstat, file)
  if not bits then
    return nil, message, code
  end
  return checked(core.fchmod(file, bits))
end

---Changes the owner and group of what a path leads to.
---@async
---@param path string
---@param uid integer? nil leaves it
---@param gid integer? nil leaves it
---@return true?
---@return string? message
---@return string? code
function fs.chown(path, uid, gid, ...)
  check.no_more(4, "chown", ...)
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
function fs.lchown(path, uid, gid, ...)
  check.no_more(4, "lchown", ...)
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
function fs.fchown(file, uid, gid, ...)
  check.no_more(4, "fchown", ...)
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
function fs.utime(path, atime, mtime, ...)
  check.no_more(4, "utime", ...)
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
function fs.lutime(path, atime, mtime, ...)
  check.no_more(4, "lutime", ...)
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
function fs.futime(file, atime, mtime, ...)
  check.no_more(4, "futime", ...)
  return checked(core.futime(file, atime, mtime))
end

---Whether this process's real user may use a path in a way; EACCES where not.
---@async
---@param path string
---@param how string? any of "r", "w", "x"; without it, whether it is there
---@return true?
---@return string? message
---@return string? code
function fs.access(path, how, ...)
  check.no_more(3, "access", ...)
  return by_path.access(AT_FDCWD, path, how)
end

---Whether a path leads to something.
---@async
---@param path string
---@return boolean? # nil, message, code where it cannot be told
---@return string? message
---@return string? code
function fs.exists(path, ...)
  check.no_more(2, "exists", ...)
  return by_path.exists(AT_FDCWD, path)
end

---Cuts a file, or makes it longer with a hole.
---@async
---@param path string
---@param size integer bytes
---@return true?
---@return string? message
---@return string? code
function fs.truncate(path, size, ...)
  check.no_more(3, "truncate", ...)
  return by_path.truncate(AT_FDCWD, path, size)
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
function fs.statfs(path, ...)
  check.no_more(2, "statfs", ...)
  return checked(core.statfs(path))
end

---The process's mask of permission bits for what is created; set where one is given.
---@param mask (integer|string)? a number, or octal digits
---@return integer before
function fs.umask(mask, ...)
  check.no_more(2, "umask", ...)
  return core.umask(mask ~= nil and perm.of_mask(mask, 1, "umask") or nil)
end

---Writes everything that is mounted to its disks.
---@async
---@return true?
---@return string? message
---@return string? code
function fs.sync(...)
  check.no_more(1, "sync", ...)
  return checked(core.sync())
end

---The value of an extended attribute, such as "user.note".
---@async
---@param path string|halo.File
---@param name string
---@return string? value
---@return string? message
---@return string? code
function fs.getxattr(path, name, ...)
  check.no_more(3, "getxattr", ...)
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
function fs.setxattr(path, name, value, options, ...)
  check.no_more(5, "setxattr", ...)
  local flags = check.flags(options, 4, "setxattr", core.setxattr_flags)
  return checked(core.setxattr(path, name, value, flags))
end

---The names of the extended attributes.
---@async
---@param path string|halo.File
---@return string[]? names
---@return string? message
---@return string? code
function fs.listxattr(path, ...)
  check.no_more(2, "listxattr", ...)
  return checked(core.listxattr(path))
end

---Removes an extended attribute.
---@async
---@param path string|halo.File
---@param name string
---@return true?
---@return string? message
---@return string? code
function fs.removexattr(path, name, ...)
  check.no_more(3, "removexattr", ...)
  return checked(core.removexattr(path, name))
end

---As fs.getxattr, of a symbolic link itself.
---@async
---@param path string
---@param name string
---@return string? value
---@return string? message
---@return string? code
function fs.lgetxattr(path, name, ...)
  check.no_more(3, "lgetxattr", ...)
  return by_path.lgetxattr(AT_FDCWD, path, name)
end

---As fs.setxattr, of a symbolic link itself.
---@async
---@param path string
---@param name string
---@param value string
---@param options { create: boolean?, replace: boolean? }? it must not, or must, be there
---@return true?
---@return string? message
---@return string? code
function fs.lsetxattr(path, name, value, options, ...)
  check.no_more(5, "lsetxattr", ...)
  return by_path.lsetxattr(AT_FDCWD, path, name, value, options)
end

---As fs.listxattr, of a symbolic link itself.
---@async
---@param path string
---@return string[]? names
---@return string? message
---@return string? code
function fs.llistxattr(path, ...)
  check.no_more(2, "llistxattr", ...)
  return by_path.llistxattr(AT_FDCWD, path)
end

---As fs.removexattr, of a symbolic link itself.
---@async
---@param path string
---@param name string
---@return true?
---@return string? message
---@return string? code
function fs.lremovexattr(path, name, ...)
  check.no_more(3, "lremovexattr", ...)
  return by_path.lremovexattr(AT_FDCWD, path, name)
end

return fs
