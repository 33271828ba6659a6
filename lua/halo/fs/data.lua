-- Calls on a file and its data.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local errors = require "halo.fs.errors"
local fast = require "halo.fs.fast"
local meta = require "halo.fs.meta"
local reader = require "halo.fs.reader"
local scope = require "halo.scope"
local wait = require "halo.wait"

local checked, guard, refused = wait.checked, wait.guard, wait.refused
local AT_FDCWD, open = core.AT_FDCWD, by_path.open
local core_read, core_pread = core.read, core.pread
local core_write, core_pwrite = core.write, core.pwrite
local core_read_into, core_pread_into = core.read_into, core.pread_into
local fast_read, fast_read_into, fast_write = fast.read, fast.read_into, fast.write

local SIZE = require("halo.fs.stat").places.size
local QUICK_BYTES = 65536 -- what the quick way reads at most

---@class halo.fs
---@field flags table<string, integer> RDONLY, WRONLY, RDWR, CREAT, EXCL, TRUNC, APPEND, DIRECT, ...
local fs = { flags = core.flags }

---@class halo.OpenOptions
---@field perm halo.Perm? of a new file, less the umask; "644" by default
---@field buffer (integer|true)? bytes, to gather small writes in: see fs.setvbuf

---Opens a file.
---@async
---@param path string
---@param mode string|integer? "r" (default), "r+", "w", "w+", "a", "a+", with "x" to be the
---creator; or a sum of fs.flags
---@param perm (halo.Perm|halo.OpenOptions)? of a new file, less the umask; "644" by default
---@return halo.File? file
---@return string? message
---@return string? code
function fs.open(path, mode, perm, ...)
  check.no_more(4, "open", ...)
  return open(AT_FDCWD, path, mode, perm)
end

---Creates a file, or empties it where it exists, to write.
---@async
---@param path string
---@param perm (halo.Perm|halo.OpenOptions)? less the umask; "644" by default
---@return halo.File? file
---@return string? message
---@return string? code
function fs.create(path, perm, ...)
  check.no_more(3, "create", ...)
  return by_path.create(AT_FDCWD, path, perm)
end

---Waits until all that was given to the file to write has been handed to the system. Only a file
---with a buffer has anything to do.
---@async
---@param file halo.File
---@return true?
---@return string? message
---@return string? code
function fs.flush(file, ...)
  check.no_more(2, "flush", ...)
  local count, message, code = core.flush(file)
  if not count then
    return refused(message, code)
  end
  return true
end

---Gives the file a buffer in which small writes are gathered, or takes it away, after what is in
---it has been written. A failure to write is told by the next call that writes, flushes or syncs,
---or by the close, and is final. Every other call on the file writes first what was gathered.
---@async
---@param file halo.File
---@param mode "full"|"no"
---@param size integer? bytes; 65536 by default
---@return true?
---@return string? message
---@return string? code
function fs.setvbuf(file, mode, size, ...)
  check.no_more(4, "setvbuf", ...)
  check.file(file, 1, "setvbuf")
  if mode ~= "full" and mode ~= "no" then
    check.fail(('"full" or "no" expected, got %s'):format(tostring(mode)), 2, "setvbuf")
  end
  size = mode == "full" and check.buffer_size(size == nil or size, 3, "setvbuf") or 0
  local ok, message, code = fs.flush(file)
  if not ok then
    return nil, message, code
  end
  return checked(core.set_buffer(file, size))
end

---Closes a file. Operations under way on it are cancelled and waited for.
---@async
---@param file halo.File
---@return true?
---@return string? message
---@return string? code
function fs.close(file, ...)
  check.no_more(2, "close", ...)
  return checked(core.close(file))
end

---Of what a read has returned: nil alone at the end of the file.
local function read_result(data, message, code)
  if data == nil and code ~= nil then
    return refused(message, code)
  end
  return data
end

local formats = {
  a = 'write "a"',
  l = "file:lines() gives the lines",
  L = "file:lines(true) gives the lines",
  n = "Lua's own io.open gives a file that reads numbers",
}

local function fail_for_amount(file, n)
  check.file(file, 1, "read")
  local letter = type(n) == "string" and n:match "^%*?(%a)"
  local way_out = letter and formats[letter] or formats.l
  if type(n) == "function" then
    check.type_error('a number of bytes or "a"', n, 2, "read")
  end
  local got = n == nil and "nothing" or type(n) == "string" and ("'%s'"):format(n) or type(n)
  local problem = ('a number of bytes or "a" expected, got %s: %s'):format(got, way_out)
  check.fail(problem, 2, "read")
end

---Places are the business of other functions.
local function fail_for_place(file, position, name, ...)
  check.file(file, 1, name)
  check.no_more(position, name, ...)
  local other = "p" .. name
  check.fail(("no such argument: file:%s(...) takes an offset"):format(other), position, name)
end

---All that is left. A cancellation loses nothing of it: see the core's READ_ALL.
local function read_rest(file)
  check.file(file, 1, "read")
  local position = core.tell(file)
  local size = position and fast.fstat_number(file, SIZE)
  local rest = size and size > position and size - position or 0
  if rest > 0 and rest < QUICK_BYTES then
    local data = fast_read(file, rest + 1)
    if data and #data <= rest then
      return data
    elseif data then -- it has grown meanwhile
      core.seek(file, core.tell(file) - #data)
    end
  end
  return reader.take_before(file, function()
    return checked(core.read_all(file, rest > 0 and rest + 1 or QUICK_BYTES))
  end)
end

---Reads from the file's own position, which advances, up to n bytes; nil alone says that the file
---has ended. A plain file gives fewer only where it ends; a stream, which is a pipe, a FIFO, a
---terminal or a socket, gives what it has once that is anything. 0 bytes are "", or nil at the end.
---With "a" it is all that is left, up to the end: "" where that is nothing.
---@async
---@param file halo.File
---@param n integer|"a" bytes, or all
---@return string? data
---@return string? message
---@return string? code
function fs.read(file, n, ...)
  if select("#", ...) > 0 then
    fail_for_place(file, 3, "read", ...)
  end
  local data = fast_read(file, n)
  if data then
    return data
  elseif data == false then
    return nil
  elseif n == "a" then
    return read_rest(file)
  elseif type(n) ~= "number" then
    fail_for_amount(file, n)
  end
  data = reader.take(file, n)
  if data then
    return data
  end
  return read_result(core_read(file, n))
end

---An offset may not be left out there.
local function fail_for_offset(file, position, name, instead)
  check.file(file, 1, name)
  local problem = ("offset expected: file:%s has the file's own position"):format(instead)
  check.fail(problem, position, name)
end

---Reads up to n bytes at an offset, and leaves the file's own position alone; nil alone at the end.
---@async
---@param file halo.File
---@param n integer bytes
---@param offset integer
---@return string? data
---@return string? message
---@return string? code
function fs.pread(file, n, offset, ...)
  if select("#", ...) > 0 then
    check.no_more(4, "pread", ...)
  end
  if offset == nil then
    fail_for_offset(file, 3, "pread", "read(n)")
  end
  local data = fast_read(file, n, offset)
  if data then
    return data
  elseif data == false then
    return nil
  end
  return read_result(core_pread(file, n, offset))
end

---Reads up to n bytes into a buffer: of a stream, what it has, as fs.read.
---@async
---@param file halo.File
---@param buffer halo.Buffer
---@param n integer? bytes; the buffer's size by default
---@return integer? count 0 at the end; of a plain file less than n only where that ends
---@return string? message
---@return string? code
function fs.read_into(file, buffer, n, ...)
  if select("#", ...) > 0 then
    fail_for_place(file, 4, "read_into", ...)
  end
  local count = fast_read_into(file, buffer, n)
  if count then
    return count
  end
  count = check.is_buffer(buffer) and reader.take_into(file, buffer, n)
  if count then
    return count
  end
  return checked(core_read_into(file, buffer, n))
end

---The same at an offset; the file's own position stays.
---@async
---@param file halo.File
---@param buffer halo.Buffer
---@param n integer? bytes; the buffer's size by default
---@param offset integer
---@return integer? count 0 at the end
---@return string? message
---@return string? code
function fs.pread_into(file, buffer, n, offset, ...)
  if select("#", ...) > 0 then
    check.no_more(5, "pread_into", ...)
  end
  if offset == nil then
    fail_for_offset(file, 4, "pread_into", "read_into(buffer, n)")
  end
  local count = fast_read_into(file, buffer, n, offset)
  if count then
    return count
  end
  return checked(core_pread_into(file, buffer, n, offset))
end

---@alias halo.Data string|number|halo.Buffer

---Writes all that it is given, in its order, at the file's own position, which advances. Numbers
---are written as io.write does.
---@async
---@param file halo.File
---@param ... halo.Data|halo.Data[]
---@return integer? count the bytes of all
---@return string? message
---@return string? code
function fs.write(file, ...)
  if select("#", ...) == 1 then
    local count = fast_write(file, (...))
    if count then
      return count
    end
  end
  return checked(core_write(file, ...))
end

---Writes all of the data at an offset; the file's own position stays.
---@async
---@param file halo.File
---@param data halo.Data|halo.Data[]
---@param offset integer
---@return integer? count the bytes of data
---@return string? message
---@return string? code
function fs.pwrite(file, data, offset, ...)
  if select("#", ...) > 0 then
    check.no_more(4, "pwrite", ...)
  end
  if offset == nil then
    fail_for_offset(file, 3, "pwrite", "write(...)")
  end
  local count = fast_write(file, data, offset)
  if count then
    return count
  end
  return checked(core_pwrite(file, data, offset))
end

---Waits until the file's data and metadata are on the disk. A failure is final: it is the answer
---to every later call for this file, since the data may be lost.
---@async
---@param file halo.File
---@return true?
---@return string? message
---@return string? code
function fs.fsync(file, ...)
  check.no_more(2, "fsync", ...)
  return checked(core.fsync(file))
end

---As fs.fsync, but leaves metadata that is not needed to read the data.
---@async
---@param file halo.File
---@return true?
---@return string? message
---@return string? code
function fs.fdatasync(file, ...)
  check.no_more(2, "fdatasync", ...)
  return checked(core.fdatasync(file))
end

---The same of an open file.
---@async
---@param file halo.File
---@param size integer bytes
---@return true?
---@return string? message
---@return string? code
function fs.ftruncate(file, size, ...)
  check.no_more(3, "ftruncate", ...)
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
function fs.fallocate(file, offset, length, options, ...)
  check.no_more(5, "fallocate", ...)
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
function fs.fadvise(file, advice, offset, length, ...)
  check.no_more(5, "fadvise", ...)
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
function fs.sync_file_range(file, offset, length, options, ...)
  check.no_more(5, "sync_file_range", ...)
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
    local problem = '"set", "cur", "end", "data" or "hole" expected, got %s'
    check.fail(problem:format(tostring(whence)), 2, "seek")
  end
end

---Moves the file's own position. From "data" and "hole" it is the next one at or behind the offset.
---@async
---@param file halo.File
---@param whence ("set"|"cur"|"end"|"data"|"hole")? "cur" by default
---@param offset integer? 0 by default; may be negative with "cur" and "end"
---@return integer? position
---@return string? message
---@return string? code
function fs.seek(file, whence, offset, ...)
  check.no_more(4, "seek", ...)
  if whence == nil then
    whence = "cur"
  end
  if offset == nil then
    offset = 0
  end
  check_seek(file, whence, offset)
  if core.gathers(file) then
    local flushed, refusal, why = fs.flush(file)
    if not flushed then
      return nil, refusal, why
    end
  end
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
function fs.tell(file, ...)
  check.no_more(2, "tell", ...)
  return core.tell(file)
end

local function check_lock(file, mode, seconds)
  check.file(file, 1, "lock")
  if mode ~= "exclusive" and mode ~= "shared" then
    local got = type(mode) == "string" and ("'%s'"):format(mode) or tostring(mode)
    check.fail(('"exclusive" or "shared" expected, got %s'):format(got), 2, "lock")
  elseif type(seconds) == "function" then
    check.type_error("a number of seconds", seconds, 3, "lock")
  elseif seconds ~= nil and not (type(seconds) == "number" and seconds >= 0) then
    check.fail("a number of seconds expected", 3, "lock")
  end
end

---Locks the file against other holders of locks (flock), waiting for them.
---@async
---@param file halo.File
---@param mode "exclusive"|"shared" shared: beside other shared ones
---@param seconds number? to wait at most (ETIMEDOUT); 0 only tries (EAGAIN)
---@return true?
---@return string? message
---@return string? code
function fs.lock(file, mode, seconds, ...)
  check.no_more(4, "lock", ...)
  check_lock(file, mode, seconds)
  local shared = mode == "shared"
  if seconds == nil or seconds == 0 then
    return checked(core.lock(file, shared, seconds == 0))
  end
  return scope.timeout(seconds, function()
    return checked(core.lock(file, shared))
  end)
end

---Gives the lock back.
---@async
---@param file halo.File
---@return true?
---@return string? message
---@return string? code
function fs.unlock(file, ...)
  check.no_more(2, "unlock", ...)
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

---Reads into an array of buffers, one behind the other. Of a stream, as fs.read: a buffer that it
---does not fill is the last, and for each it waits until there is something. Where that wait is
---cancelled, the count says what has been read before; the next call raises the cancellation.
---@async
---@param file halo.File
---@param buffers halo.Buffer[]
---@return integer? count 0 at the end; of a plain file less than all their bytes only where it ends
---@return string? message
---@return string? code
function fs.readv(file, buffers, ...)
  check.file(file, 1, "readv")
  check_buffers(buffers)
  if select("#", ...) > 0 then
    check.no_more(3, "readv", ...)
    check.fail("no such argument: file:pread_into(...) takes an offset", 3, "readv")
  end
  local total = 0
  if not buffers[1] then
    local _, message, code = read_result(core.read(file, 0))
    if code then
      return nil, message, code
    end
    return total
  end
  for _, buffer in ipairs(buffers) do
    local ok, count, message, code = guard(fs.read_into, file, buffer)
    if not ok and total > 0 and scope.is_cancelled(count) then
      break -- the bytes are out of the stream
    elseif not ok then
      error(count, 0)
    elseif not count then
      return nil, message, code
    end
    total = total + count
    if count < buffer:size() then
      break
    end
  end
  return total
end

return fs
