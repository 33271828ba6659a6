-- Calls on a file and its data.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local errors = require "halo.fs.errors"
local fast = require "halo.fs.fast"
local meta = require "halo.fs.meta"
local scope = require "halo.scope"
local wait = require "halo.wait"

local checked, refused = wait.checked, wait.refused
local AT_FDCWD, open = core.AT_FDCWD, by_path.open
local core_read, core_read_into, core_write = core.read, core.read_into, core.write
local fast_read, fast_read_into, fast_write = fast.read, fast.read_into, fast.write

---@class halo.fs
---@field flags table<string, integer> RDONLY, WRONLY, RDWR, CREAT, EXCL, TRUNC, APPEND, DIRECT, ...
local fs = { flags = core.flags }

---Opens a file.
---@async
---@param path string
---@param mode string|integer? "r" (default), "r+", "w", "w+", "a", "a+", with "x" to be the
---creator; or a sum of fs.flags
---@param perm integer? permission bits of a new file, less the umask; 0644 (octal) by default
---@return halo.File? file
---@return string? message
---@return string? code
function fs.open(path, mode, perm)
  return open(AT_FDCWD, path, mode, perm)
end

---Creates a file, or empties it where it exists, to write.
---@async
---@param path string
---@param perm integer? permission bits, less the umask; 0644 (octal) by default
---@return halo.File? file
---@return string? message
---@return string? code
function fs.create(path, perm)
  return by_path.create(AT_FDCWD, path, perm)
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

---Reads up to n bytes, and gives "" at the end. A plain file gives fewer only where it ends; a
---stream, which is a pipe, a FIFO, a terminal or a socket, gives what it has once that is anything.
---@async
---@param file halo.File
---@param n integer bytes
---@param offset integer? without it at the file's own position, which advances
---@return string? data
---@return string? message
---@return string? code
function fs.read(file, n, offset)
  local data = fast_read(file, n, offset)
  if data then
    return data
  end
  return checked(core_read(file, n, offset))
end

---Reads up to n bytes into a buffer: of a stream, what it has, as fs.read.
---@async
---@param file halo.File
---@param buffer halo.Buffer
---@param n integer? bytes; the buffer's size by default
---@param offset integer? without it at the file's own position, which advances
---@return integer? count 0 at the end; of a plain file less than n only where that ends
---@return string? message
---@return string? code
function fs.read_into(file, buffer, n, offset)
  local count = fast_read_into(file, buffer, n, offset)
  if count then
    return count
  end
  return checked(core_read_into(file, buffer, n, offset))
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
  local count = fast_write(file, data, offset)
  if count then
    return count
  end
  return checked(core_write(file, data, offset))
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

---@class halo.AllocateOptions
---@field keep_size boolean? the file's size stays, whatever is reserved behind its end
---@field punch_hole boolean? gives the room back; the data reads as zeros
---@field zero boolean? the data reads as zeros, the room stays
---@field collapse boolean? takes the range out of the file
---@field insert boolean? puts a hole in between

---Reserves room on the disk, or makes a hole.
---@async
---@param file halo.File
---@param offset integer
---@param length integer bytes
---@param options halo.AllocateOptions?
---@return true?
---@return string? message
---@return string? code
function fs.fallocate(file, offset, length, options)
  check.size(offset, 2, "fallocate")
  check.size(length, 3, "fallocate")
  local flags = check.flags(options, 4, "fallocate", core.fallocate_flags)
  return checked(core.fallocate(file, flags, offset, length))
end

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
  local number = core.advices[advice]
    or check.fail(("no advice '%s'"):format(tostring(advice)), 2, "fadvise")
  return checked(core.fadvise(file, number, offset, length))
end

local sync_flags = core.sync_range_flags
local SYNC_ALL = check.bits({ wait_before = true, write = true, wait_after = true }, sync_flags)

---Starts, or waits for, writing a part of a file to the disk. It makes no metadata safe: for that
---there is fs.fsync.
---@async
---@param file halo.File
---@param offset integer? 0 by default
---@param length integer? 0, by default, means to the end
---@param options { wait_before: boolean?, write: boolean?, wait_after: boolean? }? all by default
---@return true?
---@return string? message
---@return string? code
function fs.sync_file_range(file, offset, length, options)
  check.opt_size(offset, 2, "sync_file_range")
  check.opt_size(length, 3, "sync_file_range")
  local flags = SYNC_ALL
  if options ~= nil then
    flags = check.flags(options, 4, "sync_file_range", sync_flags)
  end
  return checked(core.sync_range(file, flags, offset, length))
end

local find_whences = core.find_whences

local function check_seek(file, whence, offset)
  check.file(file, 1, "seek")
  if whence == "cur" or whence == "end" then
    check.size(math.abs(check.number(offset, 3, "seek")), 3, "seek")
  elseif whence == "set" or find_whences[whence] then
    check.size(offset, 3, "seek")
  else
    check.fail(("no way '%s'"):format(tostring(whence)), 2, "seek")
  end
end

---Moves the file's own position. From "data" and "hole" it is the next one at or behind the offset.
---@async
---@param file halo.File
---@param whence "set"|"cur"|"end"|"data"|"hole"
---@param offset integer? 0 by default; may be negative with "cur" and "end"
---@return integer? position
---@return string? message
---@return string? code
function fs.seek(file, whence, offset)
  if offset == nil then
    offset = 0
  end
  check_seek(file, whence, offset)
  local start, message, code = 0, nil, nil
  if whence == "cur" then
    start, message, code = core.tell(file)
  elseif whence == "end" then
    start, message, code = meta.fstat(file, "size")
  elseif find_whences[whence] then
    offset, message, code = core.find(file, find_whences[whence], offset)
  end
  if not start or not offset then
    return refused(message, code)
  end
  if start + offset < 0 or start + offset > core.limits.size then
    return errors.refuse("EINVAL", "invalid argument", core.path(file))
  end
  return core.seek(file, start + offset)
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
  check.file(file, 1, "lock")
  if timeout ~= nil and (check.number(timeout, 3, "lock") < 0 or timeout ~= timeout) then
    check.fail("a number of seconds expected", 3, "lock")
  elseif timeout == nil or timeout == 0 then
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

local function check_buffers(buffers)
  if type(buffers) ~= "table" then
    check.type_error("array of buffers", buffers, 2, "readv")
  end
  for i, buffer in ipairs(buffers) do
    if not check.is_buffer(buffer) then
      check.fail(("element %d is no buffer"):format(i), 2, "readv")
    end
  end
end

---Reads pieces of a file into an array of buffers, one behind the other. Of a stream, as fs.read: a
---buffer that it does not fill is the last, and for each it waits until there is something.
---@async
---@param file halo.File
---@param buffers halo.Buffer[]
---@param offset integer? without it at the file's own position, which advances
---@return integer? count 0 at the end; of a plain file less than all their bytes only where it ends
---@return string? message
---@return string? code
function fs.readv(file, buffers, offset)
  check.file(file, 1, "readv")
  check_buffers(buffers)
  check.opt_size(offset, 3, "readv")
  local total = 0
  if not buffers[1] then
    local ok, message, code = checked(core.read(file, 0, offset))
    if not ok then
      return nil, message, code
    end
    return total
  end
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

return fs
