-- Files line by line.

local by_path = require "halo.fs.by_path"
local calls = require "halo.fs.calls"
local check_cancelled = require "halo.cancellation"
local check = require "halo.fs.check"
local core = require "halo.core"
local iterator = require "halo.fs.iterator"
local reader = require "halo.fs.reader"
local turns = require "halo.fs.turns"
local wait = require "halo.wait"

local checked, guard = wait.checked, wait.guard
local find, sub = string.find, string.sub
local advance, seek, tell = core.advance, core.seek, core.tell

local CHUNK_BYTES = 65536 -- longer strings cost LuaJIT a mapping of memory each

---@class halo.fs
local fs = {}

---@class halo.fs.Loop over lines
---@field file halo.File
---@field own boolean the file is closed at the end
---@field track boolean the file's own position follows
---@field reader halo.Reader
---@field newline integer 1 where lines come with theirs
---@field ends integer the reader's, when this began
---@field ended boolean
---@field failure string|false why, where there may be more lines

local function new_loop(file, keep_newline, offset)
  local shared = offset == nil and reader.of(file) or nil
  local reads = shared or reader.new(offset)
  return {
    file = file,
    own = false,
    track = shared ~= nil and reads.offset ~= false,
    reader = reads,
    newline = keep_newline and 1 or 0,
    ends = reads.ends,
    ended = false,
    failure = false,
  }
end

---Ends a loop over a file of its own. A cancellation does not wait for the close.
local function finish(loop, failure)
  loop.ended, loop.failure = true, failure
  if loop.own then
    core.close(loop.file)
  end
end

local function fail(loop, message)
  if loop.own then
    finish(loop, message)
  end
  core.raise(message)
end

---What comes next in a stream, passing over what is in the reader.
local function read_stream(file, n)
  return checked(core.read(file, n))
end

---The next piece of the file; nil at its end.
local function read_chunk(loop)
  local file, offset = loop.file, loop.reader.offset
  local ok, data, message
  if offset then
    ok, data, message = guard(calls.pread, file, CHUNK_BYTES, offset)
  else
    ok, data, message = guard(read_stream, file, CHUNK_BYTES)
  end
  if not ok then
    if loop.own then
      finish(loop, "ECANCELED: a task that shared the lines was cancelled: " .. file:path())
    end
    error(data, 0)
  end
  if message then
    fail(loop, message)
  end
  return data
end

local function add_piece(loop, piece)
  local reads = loop.reader
  reads.pieces[#reads.pieces + 1] = piece
  reads.size = reads.size + #piece
  if reads.size > core.bytes_max() then
    fail(loop, "EFBIG: line too long: " .. loop.file:path())
  end
end

local function take_pieces(reads)
  local line = table.concat(reads.pieces)
  reads.pieces, reads.size = {}, 0
  return line
end

---Where the next line begins.
local function place_of(reads)
  return reads.offset - #reads.chunk + reads.at - 1 - reads.size
end

local function set_position(loop)
  if loop.track then
    seek(loop.file, place_of(loop.reader))
  end
end

---The line that goes on behind the chunk, as far as it has to be read for that.
local function read_line(loop)
  local reads = loop.reader
  if loop.track then
    local position = tell(loop.file) or reads.offset -- nil where it is closed
    if position ~= place_of(reads) then -- other calls have moved it, and it says where to go on
      reader.reset(reads, position)
    end
  end
  add_piece(loop, sub(reads.chunk, reads.at))
  reads.chunk, reads.at = "", 1
  while true do
    local chunk = read_chunk(loop)
    local stop = chunk and find(chunk, "\n", 1, true)
    if chunk and reads.offset then
      reads.offset = reads.offset + #chunk
    end
    if stop then
      add_piece(loop, sub(chunk, 1, stop - 1 + loop.newline))
      reads.chunk, reads.at = chunk, stop + 1
      local line = take_pieces(reads)
      set_position(loop)
      return line
    elseif not chunk then
      reads.ends = reads.ends + (reads.offset and 0 or 1)
      finish(loop)
      local line = take_pieces(reads)
      set_position(loop)
      return line ~= "" and line or nil
    end
    add_piece(loop, chunk)
  end
end

---The next line where the chunk does not have all of it, or is not what comes next.
---@async
local function read_in_turn(loop, next_line)
  local reads = loop.reader
  if loop.failure then
    check_cancelled()
    core.raise(loop.failure)
  elseif loop.ended or loop.ends ~= reads.ends then
    return nil
  elseif reads.busy then
    turns.await(reads)
    return next_line()
  end
  local ok, line = turns.alone(reads, read_line, loop)
  if not ok then
    error(line, 0)
  end
  return line
end

---@param loop halo.fs.Loop
---@return fun(): string?
local iterate = iterator(function(loop)
  local reads, file, track = loop.reader, loop.file, loop.track
  local before = 1 - loop.newline
  local function next_line()
    local chunk, at = reads.chunk, reads.at
    local stop = find(chunk, "\n", at, true)
    if not stop then
      return read_in_turn(loop, next_line)
    elseif track then
      local start = reads.offset - #chunk
      if not advance(file, start + at - 1, start + stop) then
        return read_in_turn(loop, next_line)
      end
    end
    reads.at = stop + 1
    return sub(chunk, at, stop - before)
  end
  return next_line
end, { newline = 0 })

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
  local loop = new_loop(file, keep_newline, offset)
  loop.own, loop.track = true, false
  return iterate(loop), file
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
---at an offset, and then the position stays as it is. From a stream more is read than one line: the
---next loop over the same File, and other reads, go on with it. Where several tasks are in such
---loops each line is given to one of them; a read or a loop in a loop takes what comes next.
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
    return iterate(new_loop(path, keep_newline, offset)), path
  end
  return by_path.lines(core.AT_FDCWD, path, keep_newline, offset)
end

core.File.lines = fs.lines

return fs
