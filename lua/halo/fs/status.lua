-- What stat, lstat and fstat return, made of the numbers that the core returns.

local core = require "halo.core"
local bit = require "bit"
local refused = require("halo.wait").refused

local band, rshift = bit.band, bit.rshift

local status = {}

local types = {
  [1] = "fifo",
  [2] = "char",
  [4] = "dir",
  [6] = "block",
  [8] = "file",
  [10] = "symlink",
  [12] = "socket",
}

---@param mode integer as in halo.Stat
---@return string
function status.kind(mode)
  return types[rshift(band(mode, 0xf000), 12)] or "unknown"
end

---@class halo.Stat
---@field size integer bytes
---@field mode integer type and permission bits
---@field type "file"|"dir"|"symlink"|"fifo"|"socket"|"char"|"block"
---@field is_file boolean
---@field is_dir boolean
---@field is_symlink boolean
---@field uid integer
---@field gid integer
---@field nlink integer
---@field ino integer
---@field dev integer
---@field rdev integer
---@field blocks integer of 512 bytes
---@field blksize integer bytes
---@field atime integer seconds; with atime_nsec, as each time
---@field mtime integer
---@field ctime integer
---@field btime integer? where the file system keeps it

---@return halo.Stat?
---@return string?
---@return string?
-- stylua: ignore
function status.table(size, mode, uid, gid, nlink, ino, dev, rdev, blocks, blksize,
                      atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec, btime, btime_nsec)
  if not size then
    return refused(mode, uid) -- they are the message and the code
  end
  local kind = status.kind(mode)
  return {
    size = size, mode = mode, uid = uid, gid = gid, nlink = nlink, ino = ino, dev = dev,
    rdev = rdev, blocks = blocks, blksize = blksize, atime = atime, atime_nsec = atime_nsec,
    mtime = mtime, mtime_nsec = mtime_nsec, ctime = ctime, ctime_nsec = ctime_nsec,
    btime = btime, btime_nsec = btime_nsec, type = kind, is_file = kind == "file",
    is_dir = kind == "dir", is_symlink = kind == "symlink",
  }
end

local numbers = {
  size = 1, mode = 2, uid = 3, gid = 4, nlink = 5, ino = 6, dev = 7, rdev = 8, blocks = 9,
  blksize = 10, atime = 11, atime_nsec = 12, mtime = 13, mtime_nsec = 14, ctime = 15,
  ctime_nsec = 16, btime = 17, btime_nsec = 18,
}

---The places of the fields that are numbers among those that the core returns.
status.numbers = numbers

---One field, without a table for the others.
function status.field(field, size, ...)
  if not size then
    return refused(...)
  end
  local number = numbers[field]
  if number then
    return (select(number, size, ...))
  end
  return status.table(size, ...)[field]
end

local made = { type = true, is_file = true, is_dir = true, is_symlink = true }

---@param field any
---@return boolean? # whether a stat has such a field
function status.is_field(field)
  return numbers[field] ~= nil or made[field]
end

---Raises where a stat has no such field.
---@param field any
---@param name string of the function
function status.check_field(field, name)
  if not status.is_field(field) then
    core.raise(("bad argument #2 to '%s' (no field '%s')"):format(name, tostring(field)))
  end
end

return status
