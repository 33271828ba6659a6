-- Whole files, read into a string or a buffer.

local by_path = require "halo.fs.by_path"
local calls = require "halo.fs.calls"
local check = require "halo.fs.check"
local core = require "halo.core"
local errors = require "halo.fs.errors"
local fast = require "halo.fs.fast"
local wait = require "halo.wait"

local checked, guard, settle = wait.checked, wait.guard, wait.settle
local AT_FDCWD = core.AT_FDCWD

local CHUNK_BYTES = 65536 -- longer strings cost LuaJIT a mapping of memory each

---@class halo.fs
local fs = {}

---Reads what never says how much it is, up to its end.
local function read_to_end(file, most)
  local pieces, size = {}, 0
  while size <= most do
    local data, message, code = calls.read(file, CHUNK_BYTES)
    if code then
      return nil, message, code
    elseif not data then
      return table.concat(pieces)
    end
    pieces[#pieces + 1], size = data, size + #data
  end
  return errors.refuse("EFBIG", "file too large", file:path())
end

---Of what guard() has returned about work on a file: closes the file, then returns or raises it. A
---cancellation does not wait for the close.
local function close_after(file, ...)
  core.close(file)
  return settle(...)
end

---A stream of at most so many bytes; fd: where it has been opened already.
local function read_stream(base, path, most, fd)
  local file, message, code
  if fd then
    file, message, code = core.adopt(fd, path, true)
  else
    file, message, code = by_path.open(base, path)
  end
  if not file then
    return nil, message, code
  end
  return close_after(file, guard(read_to_end, file, most))
end

function by_path.readfile(base, path)
  local data, message, code = checked(core.readfile(base, path))
  if code == "ESPIPE" then
    return read_stream(base, path, core.bytes_max())
  end
  return checked(data, message, code)
end

---The content of a file. A FIFO, a terminal or a device is read until it ends.
---@async
---@param path string
---@return string? content
---@return string? message
---@return string? code
function fs.readfile(path, ...)
  if select("#", ...) > 0 then
    check.no_more(2, "readfile", ...)
  end
  local content, fifo = fast.readfile(path)
  if content then
    return content
  elseif fifo then
    return read_stream(AT_FDCWD, path, core.bytes_max(), fifo)
  end
  return by_path.readfile(AT_FDCWD, path)
end

---A stream into a buffer, where all of it fits.
local function read_stream_into(buffer, ...)
  local content, message, code = read_stream(...)
  if not content then
    return nil, message, code
  end
  buffer:set(content)
  return #content
end

function by_path.readfile_into(base, path, buffer)
  local count, message, code = checked(core.readfile_into(base, path, buffer))
  if code == "ESPIPE" then
    return read_stream_into(buffer, base, path, #buffer)
  end
  return checked(count, message, code)
end

---Reads a whole file into a buffer, from its start: no string is made, which takes LuaJIT nearly
---as long as a small file takes to be read. What does not fit is refused: EFBIG.
---@async
---@param path string
---@param buffer halo.Buffer
---@return integer? bytes the length of the file
---@return string? message
---@return string? code
function fs.readfile_into(path, buffer, ...)
  if select("#", ...) > 0 then
    check.no_more(3, "readfile_into", ...)
  end
  local count, fifo = fast.readfile_into(path, buffer)
  if count then
    return count
  elseif fifo then
    return read_stream_into(buffer, AT_FDCWD, path, #buffer, fifo)
  end
  return by_path.readfile_into(AT_FDCWD, path, buffer)
end

return fs
