-- Files line by line.

local by_path = require "halo.fs.by_path"
local calls = require "halo.fs.calls"
local check = require "halo.fs.check"
local core = require "halo.core"
local guard = require("halo.wait").guard

local find, sub = string.find, string.sub

local CHUNK_BYTES = 65536 -- longer strings cost LuaJIT a mapping of memory each

---@class halo.fs
local fs = {}

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

---Ends an iteration over a file of its own. A cancellation does not wait for the close.
local function finish(reader)
  reader.ended = true
  if reader.own then
    core.close(reader.file)
  end
end

local function fail(reader, message)
  if reader.own then
    finish(reader)
  end
  core.raise(message)
end

---The next piece of the file; nil at its end.
local function read_chunk(reader)
  local file, offset = reader.file, reader.offset
  local ok, data, message
  if offset then
    ok, data, message = guard(calls.pread, file, CHUNK_BYTES, offset)
  else
    ok, data, message = guard(calls.read, file, CHUNK_BYTES)
  end
  if not ok then
    if reader.own then
      finish(reader)
    end
    error(data, 0)
  end
  if message then
    fail(reader, message)
  end
  return data
end

local function add_piece(reader, piece)
  reader.pieces[#reader.pieces + 1] = piece
  reader.size = reader.size + #piece
  if reader.size > core.bytes_max() then
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
    local stop = chunk and find(chunk, "\n", 1, true)
    if chunk and reader.offset then
      reader.offset = reader.offset + #chunk
    end
    if stop then
      add_piece(reader, sub(chunk, 1, stop - 1 + newline))
      reader.chunk, reader.at = chunk, stop + 1
      set_position(reader)
      return take_pieces(reader)
    elseif not chunk then
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

local function check_how(keep_newline, offset)
  if keep_newline ~= nil and type(keep_newline) ~= "boolean" then
    local got = type(keep_newline) == "string" and ("'%s'"):format(keep_newline)
      or check.got(keep_newline)
    check.fail("true, to keep the newlines, or nothing expected, got " .. got, 2, "lines")
  end
  check.opt_size(offset, 3, "lines")
end

function by_path.lines(base, path, keep_newline, offset)
  check.path(path, 1, "lines")
  check_how(keep_newline, offset)
  local file, message = by_path.open(base, path)
  if not file then
    core.raise(message)
  end
  local reader = new_reader(file, offset)
  reader.own, reader.track = true, false
  return iterate(reader, keep_newline), file
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
function fs.lines(path, keep_newline, offset, ...)
  check.no_more(4, "lines", ...)
  if check.is_file(path) then
    check_how(keep_newline, offset)
    return iterate(new_reader(path, offset), keep_newline), path
  end
  return by_path.lines(core.AT_FDCWD, path, keep_newline, offset)
end

core.File.lines = fs.lines

return fs
