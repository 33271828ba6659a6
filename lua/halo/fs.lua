-- The module halo.fs: every call suspends its task and lets the others run. A call that the
-- operating system refuses returns nil, a message and the code ("ENOENT").

local core = require "halo.core"
local bit = require "bit"
local refused = require("halo.wait").refused

local band, rshift = bit.band, bit.rshift

---@class halo.fs
---@field flags table<string, integer> RDONLY, WRONLY, RDWR, CREAT, EXCL, TRUNC, APPEND, DIRECT, ...
local fs = { flags = core.flags }

---@class halo.File
local File = core.File
File.__index = File

local c_open, c_close, c_read, c_read_into = core.open, core.close, core.read, core.read_into
local c_write, c_fsync, c_fdatasync = core.write, core.fsync, core.fdatasync
local c_stat, c_lstat, c_fstat = core.stat, core.lstat, core.fstat
local c_rename, c_remove, c_mkdir = core.rename, core.remove, core.mkdir
local c_rmdir, c_readdir = core.rmdir, core.readdir

---Opens a file.
---@async
---@param path string
---@param mode string|integer? "r" (default), "r+", "w", "w+", "a", "a+", each with "x" to be its creator; or fs.flags
---@param perm integer? permission bits of a new file, less the umask; 0644 (octal) by default
---@return halo.File? file
---@return string? message
---@return string? code
function fs.open(path, mode, perm)
  local file, message, code = c_open(path, mode, perm)
  if file then
    return file
  end
  return refused(message, code)
end

---Creates a file, or empties it where it exists, to write.
---@async
---@param path string
---@param perm integer? permission bits, less the umask; 0644 (octal) by default
---@return halo.File? file
---@return string? message
---@return string? code
function fs.create(path, perm)
  return fs.open(path, "w", perm)
end

---Closes a file. Operations under way on it are cancelled and waited for.
---@async
---@param file halo.File
---@return true?
---@return string? message
---@return string? code
function fs.close(file)
  local ok, message, code = c_close(file)
  if ok then
    return ok
  end
  return refused(message, code)
end

---Reads up to n bytes; less only at the end of the file, where it is "".
---@async
---@param file halo.File
---@param n integer bytes
---@param offset integer? without it at the file's own position, which advances
---@return string? data
---@return string? message
---@return string? code
function fs.read(file, n, offset)
  local data, message, code = c_read(file, n, offset)
  if data then
    return data
  end
  return refused(message, code)
end

---Reads up to n bytes into a buffer.
---@async
---@param file halo.File
---@param buffer halo.Buffer
---@param n integer? bytes; the buffer's size by default
---@param offset integer? without it at the file's own position, which advances
---@return integer? count less than n only at the end of the file
---@return string? message
---@return string? code
function fs.read_into(file, buffer, n, offset)
  local count, message, code = c_read_into(file, buffer, n, offset)
  if count then
    return count
  end
  return refused(message, code)
end

---Writes all of the data.
---@async
---@param file halo.File
---@param data string|halo.Buffer|(string|halo.Buffer)[]
---@param offset integer? without it at the file's own position, which advances
---@return integer? count the bytes of data
---@return string? message
---@return string? code
function fs.write(file, data, offset)
  local count, message, code = c_write(file, data, offset)
  if count then
    return count
  end
  return refused(message, code)
end

---Waits until the file's data and metadata are on the disk. A failure is final: it is the answer
---to every later call for this file, since the data may be lost.
---@async
---@param file halo.File
---@return true?
---@return string? message
---@return string? code
function fs.fsync(file)
  local ok, message, code = c_fsync(file)
  if ok then
    return ok
  end
  return refused(message, code)
end

---As fs.fsync, but leaves metadata that is not needed to read the data.
---@async
---@param file halo.File
---@return true?
---@return string? message
---@return string? code
function fs.fdatasync(file)
  local ok, message, code = c_fdatasync(file)
  if ok then
    return ok
  end
  return refused(message, code)
end

local types = {
  [1] = "fifo",
  [2] = "char",
  [4] = "dir",
  [6] = "block",
  [8] = "file",
  [10] = "symlink",
  [12] = "socket",
}

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
local function to_stat(size, mode, uid, gid, nlink, ino, dev, rdev, blocks, blksize,
                       atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec, btime, btime_nsec)
  if not size then
    return refused(mode, uid) -- they are the message and the code
  end
  local kind = types[rshift(band(mode, 0xf000), 12)] or "unknown"
  return {
    size = size, mode = mode, uid = uid, gid = gid, nlink = nlink, ino = ino, dev = dev,
    rdev = rdev, blocks = blocks, blksize = blksize, atime = atime, atime_nsec = atime_nsec,
    mtime = mtime, mtime_nsec = mtime_nsec, ctime = ctime, ctime_nsec = ctime_nsec,
    btime = btime, btime_nsec = btime_nsec, type = kind, is_file = kind == "file",
    is_dir = kind == "dir", is_symlink = kind == "symlink",
  }
end

---The metadata of what a path leads to.
---@async
---@param path string
---@return halo.Stat? stat
---@return string? message
---@return string? code
function fs.stat(path)
  return to_stat(c_stat(path))
end

---The metadata of a path's last component itself, though it be a symbolic link.
---@async
---@param path string
---@return halo.Stat? stat
---@return string? message
---@return string? code
function fs.lstat(path)
  return to_stat(c_lstat(path))
end

---The metadata of an open file.
---@async
---@param file halo.File
---@return halo.Stat? stat
---@return string? message
---@return string? code
function fs.fstat(file)
  return to_stat(c_fstat(file))
end

---Renames; what has the new name already is replaced.
---@async
---@param from string
---@param to string
---@return true?
---@return string? message
---@return string? code
function fs.rename(from, to)
  local ok, message, code = c_rename(from, to)
  if ok then
    return ok
  end
  return refused(message, code)
end

---Removes a file (not a directory: see fs.rmdir).
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.remove(path)
  local ok, message, code = c_remove(path)
  if ok then
    return ok
  end
  return refused(message, code)
end

---Makes a directory.
---@async
---@param path string
---@param perm integer? permission bits, less the umask; 0777 (octal) by default
---@return true?
---@return string? message
---@return string? code
function fs.mkdir(path, perm)
  local ok, message, code = c_mkdir(path, perm)
  if ok then
    return ok
  end
  return refused(message, code)
end

---Removes an empty directory.
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.rmdir(path)
  local ok, message, code = c_rmdir(path)
  if ok then
    return ok
  end
  return refused(message, code)
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
function fs.readdir(path)
  local entries, message, code = c_readdir(path)
  if entries then
    return entries
  end
  return refused(message, code)
end

for _, name in ipairs { "close", "read", "read_into", "write", "fsync", "fdatasync" } do
  File[name] = fs[name]
end
File.stat = fs.fstat
File.fstat = fs.fstat

---True until the file is closed.
---@return boolean
function File:is_open()
  return core.is_open(self)
end

---The path it was opened by.
---@return string
function File:path()
  return core.path(self)
end

---The descriptor, to look at and never to close; nil once it is closed.
---@return integer?
function File:fd()
  return core.fd(self)
end

return fs
