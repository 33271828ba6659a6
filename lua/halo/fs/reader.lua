-- Where the loops over the lines of an open file are: what has been read of it and is no line yet.
-- All loops over one file share that, so that each line is one task's, and a loop goes on where
-- another has left off. Of a stream the other reads take it from here, too: nobody else would get
-- what was read beyond a line.

local check_cancelled = require "halo.cancellation"
local core = require "halo.core"
local turns = require "halo.fs.turns"

local reader = {}

---@class halo.Reader: halo.fs.Turns
---@field offset integer|false of the byte behind chunk; false in a stream
---@field chunk string
---@field at integer of the next line in chunk
---@field pieces string[] of a line that began before chunk
---@field size integer their bytes
---@field ends integer how often a stream has ended: a terminal may do so and go on

---By file. A reader knows nothing of its file: that would never be collected.
local readers = setmetatable({}, { __mode = "k" })

---@param offset integer|false
---@return halo.Reader
function reader.new(offset)
  return {
    offset = offset,
    chunk = "",
    at = 1,
    pieces = {},
    size = 0,
    ends = 0,
    busy = false,
  }
end

---Begins anew elsewhere.
---@param self halo.Reader
---@param offset integer|false
function reader.reset(self, offset)
  self.offset, self.chunk, self.at = offset, "", 1
  self.pieces, self.size = {}, 0
end

---The one for all loops that begin at the file's own position. Of a plain file it is read again,
---which may have been written to.
---@param file halo.File
---@return halo.Reader
function reader.of(file)
  local position = core.tell(file) or false
  local shared = readers[file] or reader.new(position)
  readers[file] = shared
  if position and not shared.busy then
    reader.reset(shared, position)
  end
  return shared
end

-- ---- what other reads take ---------------------------------------------------------------------

---Of a stream, what was read beyond the lines; nil where there is nothing.
---@async
---@param file halo.File
---@return string?
---@return halo.Reader?
local function rest_of(file)
  local self = readers[file]
  if not self or self.offset then
    return nil
  elseif self.busy and core.can_wait() then
    turns.await(self) -- what comes first is the loop's, and it may bring more than that
  end
  if self.size == 0 and self.at > #self.chunk then
    return nil
  end
  check_cancelled() -- others may run meanwhile
  local rest = table.concat(self.pieces) .. self.chunk:sub(self.at)
  if self.busy or rest == "" then
    return nil
  end
  return rest, self
end

---Leaves what begins at a place of the rest.
local function leave(self, rest, at)
  reader.reset(self, false)
  self.chunk, self.at = rest, at
end

local function is_amount(n, max)
  return type(n) == "number" and n >= 0 and n <= max and n % 1 == 0
end

---@param file halo.File
---@param n any bytes
---@return string? # nil where the file is to be asked
function reader.take(file, n)
  local rest, self = rest_of(file)
  if not self or not is_amount(n, core.limits.size) then
    return nil
  end
  leave(self, rest, n + 1)
  return rest:sub(1, n)
end

---The same into a buffer.
---@param file halo.File
---@param buffer halo.Buffer
---@param n any bytes; the buffer's size by default
---@return integer?
function reader.take_into(file, buffer, n)
  local rest, self = rest_of(file)
  if not self then
    return nil
  end
  local size = buffer:size()
  n = n == nil and size or n
  if not is_amount(n, size) then
    return nil
  end
  local data = rest:sub(1, n)
  if data ~= "" then
    buffer:set(data)
  end
  leave(self, rest, n + 1)
  return #data
end

---Calls fn(...), which reads all, and gives what it returns behind the rest.
---@async
---@param file halo.File
---@return string? data
---@return string? message
---@return string? code
function reader.take_before(file, fn, ...)
  local rest, self = rest_of(file)
  if not self then
    return fn(...)
  end
  local ok, data, message, code = turns.alone(self, fn, ...)
  if not ok then
    error(data, 0)
  elseif not data then
    return nil, message, code
  end
  reader.reset(self, false)
  return rest .. data
end

return reader
