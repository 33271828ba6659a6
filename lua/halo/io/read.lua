-- Reading from Lua's files. What lies in C's buffer is taken from there; where that is not enough,
-- operations fill it. Nobody sees a part of a read: what was taken for one that is cancelled goes
-- back.

local core = require "halo.core"
local files = require "halo.io.files"
local write = require "halo.io.write"
local stat = require "halo.fs.stat"
local fast = require "halo.fs.fast"

local stdio, state_of, default = core.stdio, files.state, files.default
local stock, methods = files.stock, files.methods
local stock_read, stock_lines = methods.read, methods.lines
local take = stdio.take
local concat = table.concat

local ALL, COUNT_MAX = math.huge, 0x7fffff00
local GUESS_BYTES = 65536
local VALUES_MAX = 50 -- more are LuaJIT's business

local read = {}

-- Filling ---------------------------------------------------------------------------------------

---@class halo.Request one call that reads
---@field state halo.LuaFile
---@field lua_file userdata
---@field ended boolean
---@field taken string[] to be put back if it is cancelled
---@field count integer
---@field first integer of those of the format it is at
---@field message any? why it has failed, with its code
---@field code any?

---Of what a read has returned: the data, or nil at the end, or for a failure.
local function got(request, data, message, code)
  if not data then
    request.ended = true
    request.message, request.code = message, code
    if not message then
      stdio.set_end(request.lua_file)
    end
  end
  return data
end

---Reads on, into the buffer. False at the end, or for a failure.
---@async
local function fill(request)
  local lua_file, state = request.lua_file, request.state
  local size = not request.ended and stdio.begin_reading(lua_file)
  if not size and not request.ended then -- another task has closed it
    request.ended, request.message, request.code = true, "closed", "ECANCELED"
  elseif size == 0 then
    local ok, text, number = write.drain(lua_file)
    if not ok then
      request.ended, request.message, request.code = true, text, number
    end
    return ok and fill(request)
  end
  if not size then
    return false
  end
  if state.prompts then
    write.drain(io.stdout)
  end
  local filled = stdio.fill(state.file, lua_file)
  if filled ~= nil then
    return filled or got(request, nil) ~= nil
  end
  local data = got(request, core.read(state.file, size))
  return data and stdio.add(lua_file, data) or false
end

local function keep(request, text)
  if text ~= "" then
    request.count = request.count + 1
    request.taken[request.count] = text
  end
end

---What was kept since the latest call, as one string. It can still be put back.
local function kept(request)
  local first, count = request.first, request.count
  request.first = count + 1
  if first > count then
    return ""
  elseif first == count then
    return request.taken[first]
  end
  local text = concat(request.taken, "", first, count)
  request.taken[first], request.count, request.first = text, first, first + 1
  return text
end

-- The formats -----------------------------------------------------------------------------------

---All up to a newline, which comes along, or so many bytes, or to the end.
local function raw_line(request, most)
  local lua_file, left = request.lua_file, most
  repeat
    local text = stdio.take_segment(lua_file, left) or ""
    left = left - #text
    keep(request, text)
  until left == 0 or text:byte(-1) == 10 or not fill(request)
  return kept(request)
end

local function read_line(request, chop)
  local line, is_whole = files.line(raw_line, request)
  if is_whole and chop then
    return line:sub(1, -2)
  end
  return line
end

local function read_count(request, count)
  local lua_file, left = request.lua_file, count
  while left > 0 do
    local text = stdio.take_up_to(lua_file, left) or ""
    left = left - #text
    keep(request, text)
    local size = left > 0 and not request.ended and stdio.begin_reading(lua_file) or 0
    if size > 0 and left >= size then -- as C does, which has no use for its buffer then
      text = got(request, core.read(request.state.file, left)) or ""
      left = left - #text
      keep(request, text)
    end
    if left > 0 and not fill(request) then
      break
    end
  end
  local text = kept(request)
  return text ~= "" and text or nil
end

---Nothing, where there is something; nil at the end.
local function read_nothing(request)
  local text = stdio.take_up_to(request.lua_file, 1) or ""
  if text == "" and not fill(request) then
    return nil
  end
  if text ~= "" then
    stdio.put_back(request.lua_file, text)
  end
  return ""
end

local function read_all(request)
  local lua_file, file = request.lua_file, request.state.file
  if fill(request) then
    keep(request, stdio.take_up_to(lua_file, ALL))
    local size = fast.fstat_number(file, stat.places.size)
    local guess = size and size > 0 and size + 1 or GUESS_BYTES
    local rest = got(request, core.read_all(file, guess))
    keep(request, rest or "")
    request.ended = true
  end
  keep(request, stdio.take_up_to(lua_file, ALL) or "")
  return kept(request)
end

local function read_number(request)
  repeat
    local number, done, text = stdio.take_number(request.lua_file, request.ended)
    if done then
      keep(request, text or "")
      kept(request)
      return number
    end
  until not fill(request) and request.message
end

local function read_one(request, format)
  if type(format) == "number" then
    format = math.floor(format)
    if format == 0 then
      return read_nothing(request)
    end
    return read_count(request, format)
  end
  local letter = format:match "^%*?(.)"
  if letter == "n" then
    return read_number(request)
  elseif letter == "a" then
    return read_all(request)
  end
  return read_line(request, letter == "l")
end

-- Calls -----------------------------------------------------------------------------------------

---What LuaJIT's own has to refuse, or to do, is left to it.
local function are_formats(...)
  for i = 1, select("#", ...) do
    local format = select(i, ...)
    if type(format) == "number" then
      if not (format >= 0 and format <= COUNT_MAX) then
        return false
      end
    elseif type(format) ~= "string" or not format:find "^%*?[nlLa]" then
      return false
    end
  end
  return select("#", ...) <= VALUES_MAX
end

---Gives the results of the formats, as far as there are any.
---@async
local function read_formats(request, ...)
  local count = select("#", ...)
  local results = {}
  for i = 1, count do
    results[i] = read_one(request, (select(i, ...)))
    if request.message then
      return nil
    elseif results[i] == nil then
      return i, results
    end
  end
  return count, results
end

---Puts back what a read has taken that does not come to its end.
local function undo(request)
  local text = concat(request.taken, "", 1, request.count)
  if text ~= "" then
    stdio.put_back(request.lua_file, text)
  end
end

---@async
---@return boolean handled
---@return integer? count of results; nil for a failure
---@return any[]|string results, or the text
---@return integer? number
local function read_slowly(lua_file, ...)
  local state = are_formats(...) and state_of(lua_file)
  if not state or not state.filling and stdio.alone(state.file) then
    return false
  end
  files.lock(state)
  if not stdio.begin_reading(lua_file) then -- or no more, after the wait
    files.unlock(state)
    return false
  end
  local request = {
    state = state,
    lua_file = lua_file,
    ended = false,
    taken = {},
    count = 0,
    first = 1,
  }
  local ok, count, results = pcall(read_formats, request, ...)
  if not ok or request.message then
    undo(request)
  end
  files.unlock(state)
  if not ok then
    error(count, 0)
  elseif not request.message then
    return true, count, results
  elseif type(request.code) == "number" then
    return true, nil, request.message, request.code
  end
  return true, files.refused(request.message, request.code)
end

---As LuaJIT's own, which gives a line where no format is given.
---@async
local function read_slowly_or_line(lua_file, ...)
  if select("#", ...) == 0 then
    return read_slowly(lua_file, "l")
  end
  return read_slowly(lua_file, ...)
end

---As LuaJIT's own.
---@async
function read.read(...)
  local value, done = take(...)
  if value ~= nil or done then
    return value
  end
  local handled, count, results, number = read_slowly_or_line(...)
  if not handled then
    return stock_read(...)
  elseif not count then
    return nil, results, number
  end
  return unpack(results, 1, count)
end

---As LuaJIT's own.
---@async
function read.io_read(...)
  local lua_file = default.input
  local value, done = take(lua_file, ...)
  if value ~= nil or done then
    return value
  end
  local handled, count, results, number = read_slowly_or_line(lua_file, ...)
  if not handled then
    return stock.read(...)
  elseif not count then
    return nil, results, number
  end
  return unpack(results, 1, count)
end

-- Lines -----------------------------------------------------------------------------------------

---The next values of an iteration.
---@async
local function next_values(lua_file, stock_next, ...)
  local handled, count, results = read_slowly_or_line(lua_file, ...)
  if not handled then
    return stock_next()
  elseif not count then
    error(results, 2)
  end
  return unpack(results, 1, count)
end

---An iterator, of which stock_next is LuaJIT's own.
function read.iterate(lua_file, stock_next, ...)
  local count = select("#", ...)
  if count == 0 then
    return function()
      local line = take(lua_file)
      if line then
        return line
      end
      return next_values(lua_file, stock_next)
    end
  end
  local formats = { ... }
  local format = formats[1]
  return function()
    if count == 1 then
      local value, done = take(lua_file, format)
      if value ~= nil then
        return value
      elseif done then
        return nil
      end
    end
    return next_values(lua_file, stock_next, unpack(formats, 1, count))
  end
end

---As LuaJIT's own.
function read.lines(...)
  local lua_file = ...
  local is_file, is_open = stdio.is_file(lua_file)
  if not (is_file and is_open) or select("#", ...) > VALUES_MAX then
    return stock_lines(...)
  end
  return read.iterate(lua_file, stock_lines(...), select(2, ...))
end

return read
