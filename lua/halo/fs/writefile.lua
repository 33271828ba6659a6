-- Whole files: to read one, to write one, to go through its lines.

local bit = require "bit"
local core = require "halo.core"
local calls = require "halo.fs.calls"
local check = require "halo.fs.check"
local fast = require "halo.fs.fast"
local random = require "halo.fs.random"
local refusal = require "halo.fs.errors"
local scope = require "halo.scope"
local wait = require "halo.wait"

local checked, guard, settle = wait.checked, wait.guard, wait.settle
local flags = core.flags
local find, sub = string.find, string.sub

local CHUNK_BYTES = 65536 -- longer strings cost LuaJIT a mapping of memory each
local STRING_MAX = 0x7fff0000 -- bytes: no string can be longer
local PERM_DEFAULT, PRIVATE = tonumber("644", 8), tonumber("600", 8)
local MODE_BITS, PERM_BITS = tonumber("7777", 8), tonumber("777", 8)
local LINKS_MAX = 40 -- to follow, as the kernel
local write_options = { append = true, exclusive = true, perm = true, sync = true, atomic = true }
local NOREPLACE = 1 -- RENAME_NOREPLACE

---@class halo.fs
local whole = {}

---@class halo.File
local File = core.File

---Of what guard() has returned about work on a file: closes the file, then returns or raises it.
---A close that fails is the result where the work has succeeded.
local function close_after(file, ok, ...)
  local closed, message, code = scope.shield(calls.close, file)
  if ok and (...) ~= nil and not closed then
    return nil, message, code
  end
  return settle(ok, ...)
end

-- Reading ---------------------------------------------------------------------------------------

---Reads what never says how much it is, up to its end.
local function read_on(file, most)
  local pieces, size = {}, 0
  while size <= most do
    local data, message, code = calls.read(file, CHUNK_BYTES)
    if not data then
      return nil, message, code
    elseif data == "" then
      return table.concat(pieces)
    end
    pieces[#pieces + 1], size = data, size + #data
  end
  return refusal.new("EFBIG", "file too large", file:path())
end

---A stream of at most so many bytes; fd: where it has been opened already.
local function read_stream(path, most, fd)
  local file, message, code
  if fd then
    file, message, code = core.adopt(fd, path, true)
  else
    file, message, code = calls.open(path)
  end
  if not file then
    return nil, message, code
  end
  return close_after(file, guard(read_on, file, most))
end

---The content of a file. A FIFO, a terminal or a device is read until it ends.
---@async
---@param path string
---@return string? content
---@return string? message
---@return string? code
function whole.readfile(path)
  local content, fifo = fast.readfile(path)
  if content then
    return content
  elseif fifo then
    return read_stream(path, STRING_MAX, fifo)
  end
  local data, message, code = checked(core.readfile(path))
  if code == "ESPIPE" then
    return read_stream(path, STRING_MAX)
  end
  return data, message, code
end

---Reads a whole file into a buffer, from its start: no string is made, which takes LuaJIT nearly
---as long as a small file takes to be read. What does not fit is refused: EFBIG.
---@async
---@param path string
---@param buffer halo.Buffer
---@return integer? bytes the length of the file
---@return string? message
---@return string? code
function whole.readfile_into(path, buffer)
  local count, fifo = fast.readfile_into(path, buffer)
  if count then
    return count
  end
  local content, message, code
  if not fifo then
    count, message, code = checked(core.readfile_into(path, buffer))
    if code ~= "ESPIPE" then
      return count, message, code
    end
  end
  content, message, code = read_stream(path, #buffer, fifo)
  if not content then
    return nil, message, code
  end
  buffer:set(content)
  return #content
end

-- Writing ---------------------------------------------------------------------------------------

---What an atomic write cannot go on after: nil, message and code of a call, on their way out.
local Refusal = {}

---Of a value, or nil, message, code: returns the value, or ends the work with a refusal that
---names the path which the user knows.
local function must(path, value, message, code)
  if value == nil then
    local text = message:match "^%w+: ([^:]*)"
    error(setmetatable({ refusal.new(code, text, path) }, Refusal), 0)
  end
  return value
end

---Where a symbolic link leads to in the end, be there something or not.
local function follow(path)
  local at = path
  for _ = 1, LINKS_MAX do
    local target = checked(core.readlink(at))
    if not target then
      return at
    end
    at = sub(target, 1, 1) == "/" and target or (at:match "^.*/" or "") .. target
  end
  return must(path, nil, "ELOOP: too many levels of symbolic links", "ELOOP")
end

---The metadata of the file that would be replaced, or nil where there is none.
local function find_replaced(path, at)
  local status, message, code = calls.stat(at)
  if not status and code == "ENOENT" and at:find "[^/]$" then
    return nil
  end
  must(path, status, message, code)
  if status.is_dir then
    must(path, nil, "EISDIR: is a directory", "EISDIR")
  elseif not status.is_file then
    must(path, nil, "EINVAL: invalid argument", "EINVAL")
  end
  return status
end

---@class halo.Replacement an atomic write that is under way
---@field path string as the user says it
---@field name string in the directory
---@field directory halo.File
---@field temporary string? the name of the new file as long as it has to be removed
---@field file halo.File? as long as it has to be closed

---Creates the file that will take the name. Not to be cancelled half-way: it would be left over.
local function create_temporary(job, perm)
  local name = ".halo-" .. random(16)
  local how = flags.WRONLY + flags.CREAT + flags.EXCL
  job.file = must(job.path, checked(core.open(job.directory, name, how, perm)))
  job.temporary = name
end

---The owner, where this user may give files away, and the permission bits.
local function keep_attributes(job, replaced)
  local mode = bit.band(replaced.mode, MODE_BITS)
  local new = must(job.path, calls.fstat(job.file))
  if new.uid ~= replaced.uid or new.gid ~= replaced.gid then
    local ok, message, code = calls.fchown(job.file, replaced.uid, replaced.gid)
    if code == "EPERM" then
      mode = bit.band(mode, PERM_BITS) -- not the rights of an owner that it does not have
    else
      must(job.path, ok, message, code)
    end
  end
  must(job.path, calls.fchmod(job.file, mode))
end

---Gives the new file its name.
local function put_in_place(job, exclusive)
  local directory, from, to = job.directory, job.temporary, job.name
  local ok, message, code = checked(core.rename(directory, from, to, exclusive and NOREPLACE or 0))
  if code == "EINVAL" and exclusive then
    -- A file system that does not know how may know hard links, which never replace anything.
    must(job.path, checked(core.link(directory, from, to)))
    ok, message, code = checked(core.remove(directory, from))
  end
  must(job.path, ok, message, code)
  job.temporary = nil
end

---The name is safe once the directory is on the disk. Some file systems have no such thing.
local function sync_directory(job)
  local ok, message, code = calls.fsync(job.directory)
  if code ~= "EINVAL" then
    must(job.path, ok, message, code)
  end
end

local function replace(job, replaced, data, options)
  local path, sync = job.path, options.sync ~= false
  scope.shield(create_temporary, job, replaced and PRIVATE or options.perm or PERM_DEFAULT)
  must(path, calls.write(job.file, data))
  if replaced then
    keep_attributes(job, replaced)
  end
  if sync then
    must(path, calls.fsync(job.file))
  end
  local file = job.file
  job.file = nil
  must(path, scope.shield(calls.close, file))
  put_in_place(job, options.exclusive)
  if sync then
    sync_directory(job)
  end
  return true
end

---Leaves nothing behind, whatever happened.
local function clean_up(job)
  if job.file then
    calls.close(job.file)
  end
  if job.temporary then
    core.remove(job.directory, job.temporary)
  end
  calls.close(job.directory)
end

local function write_atomic(path, data, options)
  local at = options.exclusive and path or follow(path)
  local replaced = not options.exclusive and find_replaced(path, at) or nil
  local parent, name = at:match "^(.-)([^/]*)$"
  parent = parent == "" and "." or parent
  local directory = core.as_base(must(path, calls.open(parent, flags.RDONLY + flags.DIRECTORY)))
  local job = { path = path, name = name, directory = directory }
  local ok, result = guard(replace, job, replaced, data, options)
  scope.shield(clean_up, job)
  return settle(ok, result)
end

local function write_on(file, data, sync)
  local ok, message, code = calls.write(file, data)
  if ok and sync then
    ok, message, code = calls.fsync(file)
  end
  if not ok then
    return nil, message, code
  end
  return true
end

local function write_plain(path, data, options)
  local how = flags.WRONLY + flags.CREAT
  if options.exclusive then
    how = how + flags.EXCL
  end
  how = how + (options.append and flags.APPEND or options.exclusive and 0 or flags.TRUNC)
  local file, message, code = calls.open(path, how, options.perm)
  if not file then
    return nil, message, code
  end
  return close_after(file, guard(write_on, file, data, options.sync))
end

local function check_data(data)
  local elements = type(data) == "table" and data or { data }
  for i = 1, #elements do
    local element = elements[i]
    if type(element) ~= "string" and not check.is_buffer(element) then
      if type(data) == "table" then
        check.fail(("element %d is no string and no buffer"):format(i), 2, "writefile")
      end
      check.type_error("string, buffer or an array of them", data, 2, "writefile")
    end
  end
  if data == nil then
    check.type_error("string, buffer or an array of them", data, 2, "writefile")
  end
end

---@class halo.WriteOptions
---@field append boolean? behind what the file has
---@field exclusive boolean? the file must not exist yet (EEXIST)
---@field perm integer? permission bits of a new file, less the umask; 0644 (octal) by default
---@field sync boolean? wait until it is on the disk; with atomic this is so unless it is false
---@field atomic boolean? the name leads to the old content or to all of the new, never to a part

---Writes a file: what it had is replaced, unless options say otherwise.
---
---With atomic, the data goes to a new file in the same directory, which then takes the name, or
---that of the file which a symbolic link leads to. The permission bits of a file that is replaced
---are kept, and its owner where that is allowed; extended attributes and further hard links are
---not. What is no plain file is not replaced (EINVAL).
---@async
---@param path string
---@param data string|halo.Buffer|(string|halo.Buffer)[]
---@param options halo.WriteOptions?
---@return true?
---@return string? message
---@return string? code
function whole.writefile(path, data, options)
  check.path(path, 1, "writefile")
  check_data(data)
  options = check.options(options, 3, "writefile", write_options)
  check.perm(options.perm, 3, "writefile")
  if not options.atomic then
    return write_plain(path, data, options)
  elseif options.append then
    check.fail("append and atomic exclude each other", 3, "writefile")
  end
  local ok, result = guard(write_atomic, path, data, options)
  if not ok and type(result) == "table" and getmetatable(result) == Refusal then
    return unpack(result, 1, 3)
  end
  return settle(ok, result)
end

-- Lines -----------------------------------------------------------------------------------------

---@class halo.Reader where an iteration over lines is
---@field file halo.File
---@field own boolean the file is closed at the end
---@field track boolean the file's own position follows
---@field offset integer? of the byte behind chunk; nil in a stream
---@field chunk string
---@field at integer of the next line in chunk
---@field pieces string[] of a line that began before chunk
---@field size integer their bytes
---@field ended boolean

---What streams have given beyond the lines that were asked for, for the next who asks.
local readers = setmetatable({}, { __mode = "k" })

local function new_reader(file, offset)
  local reader = {
    file = file,
    track = offset == nil,
    offset = offset or core.tell(file),
    chunk = "",
    at = 1,
    pieces = {},
    size = 0,
    ended = false,
  }
  if not reader.offset then
    reader.track = false
    reader = readers[file] or reader
    readers[file] = reader
    reader.ended = false
  end
  return reader
end

---Ends an iteration over a file of its own.
local function finish(reader)
  reader.ended = true
  if reader.own then
    scope.shield(calls.close, reader.file)
  end
end

local function fail(reader, message)
  if reader.own then
    finish(reader)
  end
  core.raise(message)
end

---The next piece of the file, "" at its end.
local function read_chunk(reader)
  local ok, data, message = guard(calls.read, reader.file, CHUNK_BYTES, reader.offset)
  if not ok then
    if reader.own then
      finish(reader)
    end
    error(data, 0)
  end
  return data or fail(reader, message)
end

local function add_piece(reader, piece)
  reader.pieces[#reader.pieces + 1] = piece
  reader.size = reader.size + #piece
  if reader.size > STRING_MAX then
    fail(reader, "EFBIG: line too long: " .. reader.file:path())
  end
end

local function take_pieces(reader)
  local line = table.concat(reader.pieces)
  reader.pieces, reader.size = {}, 0
  return line
end

local function set_position(reader)
  if reader.track then
    core.seek(reader.file, reader.offset - #reader.chunk + reader.at - 1)
  end
end

---The line that goes on behind the chunk, as far as it has to be read for that.
local function read_line(reader, newline)
  add_piece(reader, sub(reader.chunk, reader.at))
  reader.chunk, reader.at = "", 1
  while not reader.ended do
    local chunk = read_chunk(reader)
    local stop = find(chunk, "\n", 1, true)
    reader.offset = reader.offset and reader.offset + #chunk
    if stop then
      add_piece(reader, sub(chunk, 1, stop - 1 + newline))
      reader.chunk, reader.at = chunk, stop + 1
      set_position(reader)
      return take_pieces(reader)
    elseif chunk == "" then
      finish(reader)
      set_position(reader)
      local line = take_pieces(reader)
      return line ~= "" and line or nil
    end
    add_piece(reader, chunk)
  end
end

---@param reader halo.Reader
---@param keep_newline boolean?
---@return fun(): string?
local function iterate(reader, keep_newline)
  local newline = keep_newline and 1 or 0
  local before = 1 - newline
  local file, seek = reader.file, reader.track and core.seek
  return function()
    local chunk, at = reader.chunk, reader.at
    local stop = find(chunk, "\n", at, true)
    if not stop then
      return read_line(reader, newline)
    end
    reader.at = stop + 1
    if seek then
      seek(file, reader.offset - #chunk + stop)
    end
    return sub(chunk, at, stop - before)
  end
end

---The lines of a file, of any size and any length, one after the other:
---
---    for line in fs.lines(path) do
---
---A carriage return stays; what follows the last newline is a line where it is not empty. What the
---operating system refuses is raised, as io.lines does, for a loop has no place for nil, message
---and code. A file that is given by its path is closed at the end; a loop that is left before
---leaves it to the collector, or to the caller's close of the second value.
---
---Of a File, the lines begin at its own position, which is behind the latest line at any time, or
---at an offset, and then the position stays as it is. From a stream more is read than one line;
---the next loop over the same File goes on with it, while a read knows nothing of it.
---@async
---@param path string|halo.File
---@param keep_newline boolean? lines come with their "\n"
---@param offset integer? of the first line, in bytes
---@return fun(): string?
---@return halo.File file
function whole.lines(path, keep_newline, offset)
  check.opt_size(offset, 3, "lines")
  if check.is_file(path) then
    return iterate(new_reader(path, offset), keep_newline), path
  end
  check.path(path, 1, "lines")
  local file, message = calls.open(path)
  if not file then
    core.raise(message)
  end
  local reader = new_reader(file, offset)
  reader.own, reader.track = true, false
  return iterate(reader, keep_newline), file
end

File.lines = whole.lines

return whole
