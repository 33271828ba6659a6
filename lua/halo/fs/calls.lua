-- The calls of halo.fs that are one operation each. A call suspends its task and lets the others
-- run; one that the operating system refuses returns nil, a message and the code ("ENOENT").

local core = require "halo.core"
local bit = require "bit"
local scope = require "halo.scope"
local wait = require "halo.wait"

local band, rshift = bit.band, bit.rshift
local checked, refused = wait.checked, wait.refused
local core_read, core_read_into, core_write = core.read, core.read_into, core.write

---@class halo.fs
---@field flags table<string, integer> for fs.open: RDONLY, WRONLY, RDWR, CREAT, EXCL, TRUNC, APPEND, DIRECT, ...
local fs = { flags = core.flags }

---Of true or nil, and what a user names in options: the sum of the numbers that belong to it.
local function sum_of(options, numbers)
  local sum = 0
  for name, number in pairs(numbers) do
    if options and options[name] then
      sum = sum + number
    end
  end
  return sum
end

---@class halo.File
local File = core.File
File.__index = File

---Opens a file.
---@async
---@param path string
---@param mode string|integer? "r" (default), "r+", "w", "w+", "a", "a+", each with "x" to be its creator; or fs.flags
---@param perm integer? permission bits of a new file, less the umask; 0644 (octal) by default
---@return halo.File? file
---@return string? message
---@return string? code
function fs.open(path, mode, perm)
  return checked(core.open(path, mode, perm))
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
  return checked(core.close(file))
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
  local value, message, code = core_read(file, n, offset)
  if value then
    return value
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
  local value, message, code = core_read_into(file, buffer, n, offset)
  if value then
    return value
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
  local value, message, code = core_write(file, data, offset)
  if value then
    return value
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
  return checked(core.fsync(file))
end

---As fs.fsync, but leaves metadata that is not needed to read the data.
---@async
---@param file halo.File
---@return true?
---@return string? message
---@return string? code
function fs.fdatasync(file)
  return checked(core.fdatasync(file))
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

local numbers = {
  size = 1, mode = 2, uid = 3, gid = 4, nlink = 5, ino = 6, dev = 7, rdev = 8, blocks = 9,
  blksize = 10, atime = 11, atime_nsec = 12, mtime = 13, mtime_nsec = 14, ctime = 15,
  ctime_nsec = 16, btime = 17, btime_nsec = 18,
}

---One field, without a table for the others.
local function pick(field, size, ...)
  if not size then
    return refused(...)
  end
  local number = numbers[field]
  if number then
    return (select(number, size, ...))
  end
  local value = to_stat(size, ...)[field]
  if value == nil then
    core.raise(("bad argument #2 to 'stat' (no field '%s')"):format(tostring(field)))
  end
  return value
end

---The metadata of what a path leads to.
---@async
---@param path string
---@param field string? the name of the one field that is wanted
---@return halo.Stat|any? stat
---@return string? message
---@return string? code
function fs.stat(path, field)
  if field == nil then
    return to_stat(core.stat(path))
  end
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
  if field == nil then
    return to_stat(core.lstat(path))
  end
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
  if field == nil then
    return to_stat(core.fstat(file))
  end
  return pick(field, core.fstat(file))
end

local rename_flags = { noreplace = 1, exchange = 2 } -- RENAME_NOREPLACE, RENAME_EXCHANGE

---Renames; what has the new name already is replaced.
---@async
---@param from string
---@param to string
---@param options { noreplace: boolean?, exchange: boolean? }? refuse to replace (EEXIST); or let the two change places
---@return true?
---@return string? message
---@return string? code
function fs.rename(from, to, options)
  return checked(core.rename(from, to, sum_of(options, rename_flags)))
end

---Removes a file (not a directory: see fs.rmdir).
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.remove(path)
  return checked(core.remove(path))
end

---Makes a directory.
---@async
---@param path string
---@param perm integer? permission bits, less the umask; 0777 (octal) by default
---@return true?
---@return string? message
---@return string? code
function fs.mkdir(path, perm)
  return checked(core.mkdir(path, perm))
end

---Removes an empty directory.
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.rmdir(path)
  return checked(core.rmdir(path))
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
  return checked(core.readdir(path))
end

---Gives a file another name: a hard link.
---@async
---@param path string
---@param new string
---@return true?
---@return string? message
---@return string? code
function fs.link(path, new)
  return checked(core.link(path, new))
end

---Makes a symbolic link.
---@async
---@param target string what it says
---@param path string its name
---@return true?
---@return string? message
---@return string? code
function fs.symlink(target, path)
  return checked(core.symlink(target, path))
end

---What a symbolic link says.
---@async
---@param path string
---@return string? target
---@return string? message
---@return string? code
function fs.readlink(path)
  return checked(core.readlink(path))
end

---The absolute path without symbolic links, "." and "..".
---@async
---@param path string
---@return string? path
---@return string? message
---@return string? code
function fs.realpath(path)
  return checked(core.realpath(path))
end

---Makes a FIFO.
---@async
---@param path string
---@param perm integer? 0644 (octal) by default, less the umask
---@return true?
---@return string? message
---@return string? code
function fs.mkfifo(path, perm)
  return checked(core.mkfifo(path, perm))
end

---Makes a device, or another node.
---@async
---@param path string
---@param kind "file"|"fifo"|"socket"|"char"|"block"
---@param perm integer? 0644 (octal) by default, less the umask
---@param major integer?
---@param minor integer?
---@return true?
---@return string? message
---@return string? code
function fs.mknod(path, kind, perm, major, minor)
  return checked(core.mknod(path, kind, perm, major, minor))
end

---Changes the permission bits of what a path leads to. (Linux has none for symbolic links.)
---@async
---@param path string
---@param mode integer
---@return true?
---@return string? message
---@return string? code
function fs.chmod(path, mode)
  return checked(core.chmod(path, mode))
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
  return checked(core.chown(path, uid, gid))
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
  return checked(core.lchown(path, uid, gid))
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
  return checked(core.utime(path, atime, mtime))
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
  return checked(core.lutime(path, atime, mtime))
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

local access_bits = { r = 4, w = 2, x = 1 }

---Whether this process's real user may use a path in a way; EACCES where not.
---@async
---@param path string
---@param how string? any of "r", "w", "x"; without it, whether it is there
---@return true?
---@return string? message
---@return string? code
function fs.access(path, how)
  local bits = 0
  for letter in (how or ""):gmatch "." do
    bits = bits + (access_bits[letter] or core.raise(("bad argument #2 to 'access' (no way '%s')"):format(letter)))
  end
  return checked(core.access(path, bits))
end

---Whether a path leads to something.
---@async
---@param path string
---@return boolean? # nil, message, code where it cannot be told
---@return string? message
---@return string? code
function fs.exists(path)
  local ok, message, code = checked(core.access(path, 0))
  if ok then
    return true
  elseif code == "ENOENT" or code == "ENOTDIR" then
    return false
  end
  return nil, message, code
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

---The same of an open file.
---@async
---@param file halo.File
---@param size integer bytes
---@return true?
---@return string? message
---@return string? code
function fs.ftruncate(file, size)
  return checked(core.ftruncate(file, size))
end

---@class halo.StatFs
---@field type integer
---@field bsize integer bytes in a block
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

local allocate_flags = { keep_size = 1, punch_hole = 3, collapse = 8, zero = 16, insert = 32 }

---Reserves room on the disk, or makes a hole.
---@async
---@param file halo.File
---@param offset integer
---@param length integer bytes
---@param options { keep_size: boolean?, punch_hole: boolean?, zero: boolean?, collapse: boolean?, insert: boolean? }?
---@return true?
---@return string? message
---@return string? code
function fs.fallocate(file, offset, length, options)
  return checked(core.fallocate(file, sum_of(options, allocate_flags), offset, length))
end

local advices = { normal = 0, random = 1, sequential = 2, willneed = 3, dontneed = 4, noreuse = 5 }

---Tells the kernel how the file will be used.
---@async
---@param file halo.File
---@param advice "normal"|"random"|"sequential"|"willneed"|"dontneed"|"noreuse"
---@param offset integer? 0 by default
---@param length integer? 0, by default, means to the end
---@return true?
---@return string? message
---@return string? code
function fs.fadvise(file, advice, offset, length)
  local number = advices[advice] or core.raise(("bad argument #2 to 'fadvise' (no advice '%s')"):format(tostring(advice)))
  return checked(core.fadvise(file, number, offset, length))
end

local sync_flags = { wait_before = 1, write = 2, wait_after = 4 }

---Starts, or waits for, writing a part of a file to the disk. It makes no metadata safe: see fs.fsync.
---@async
---@param file halo.File
---@param offset integer? 0 by default
---@param length integer? 0, by default, means to the end
---@param options { wait_before: boolean?, write: boolean?, wait_after: boolean? }? all by default
---@return true?
---@return string? message
---@return string? code
function fs.sync_file_range(file, offset, length, options)
  return checked(core.sync_range(file, options and sum_of(options, sync_flags) or 7, offset, length))
end

local whences = { data = 3, hole = 4 } -- SEEK_DATA, SEEK_HOLE

---Moves the file's own position. From "data" and "hole" it is the next one at or behind the offset.
---@async
---@param file halo.File
---@param whence "set"|"cur"|"end"|"data"|"hole"
---@param offset integer? 0 by default; may be negative with "cur" and "end"
---@return integer? position
---@return string? message
---@return string? code
function fs.seek(file, whence, offset)
  offset = offset or 0
  local message, code
  if whence == "cur" then
    local position
    position, message, code = core.tell(file)
    offset = position and position + offset
  elseif whence == "end" then
    local size
    size, message, code = fs.fstat(file, "size")
    offset = size and size + offset
  elseif whences[whence] then
    offset, message, code = core.find(file, whences[whence], offset)
  elseif whence ~= "set" then
    core.raise(("bad argument #2 to 'seek' (no way '%s')"):format(tostring(whence)))
  end
  if not offset then
    return refused(message, code)
  end
  return core.seek(file, offset)
end

---The file's own position.
---@param file halo.File
---@return integer? position
---@return string? message
---@return string? code
function fs.tell(file)
  return core.tell(file)
end

---Locks the file against other holders of locks (flock), waiting for them.
---@async
---@param file halo.File
---@param shared boolean? with other shared locks
---@param timeout number? seconds; 0 only tries
---@return true?
---@return string? message
---@return string? code
function fs.lock(file, shared, timeout)
  if timeout == nil or timeout == 0 then
    return checked(core.lock(file, shared, timeout == 0))
  end
  return scope.timeout(timeout, function()
    return checked(core.lock(file, shared))
  end)
end

---Gives the lock back.
---@async
---@param file halo.File
---@return true?
---@return string? message
---@return string? code
function fs.unlock(file)
  return checked(core.unlock(file))
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

local xattr_flags = { create = 1, replace = 2 } -- XATTR_CREATE, XATTR_REPLACE

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
  return checked(core.setxattr(path, name, value, sum_of(options, xattr_flags)))
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

---Reads pieces of a file into an array of buffers, one behind the other.
---@async
---@param file halo.File
---@param buffers halo.Buffer[]
---@param offset integer? without it at the file's own position, which advances
---@return integer? count less than all their bytes only at the end of the file
---@return string? message
---@return string? code
function fs.readv(file, buffers, offset)
  local total = 0
  for _, buffer in ipairs(buffers) do
    local count, message, code = fs.read_into(file, buffer, nil, offset and offset + total)
    if not count then
      return nil, message, code
    end
    total = total + count
    if count < buffer:size() then
      break
    end
  end
  return total
end

fs.writev = fs.write

-- stylua: ignore
local methods = {
  "close", "read", "read_into", "readv", "write", "writev", "fsync", "fdatasync", "ftruncate",
  "fchmod", "fchown", "futime", "fallocate", "fadvise", "sync_file_range", "seek", "tell", "lock",
  "unlock", "statfs", "getxattr", "setxattr", "listxattr", "removexattr", "fstat",
}
for _, name in ipairs(methods) do
  File[name] = fs[name]
end
File.stat, File.chmod, File.chown = fs.fstat, fs.fchmod, fs.fchown
File.utime, File.truncate = fs.futime, fs.ftruncate

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
