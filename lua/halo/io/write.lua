-- Writing to Lua's files. LuaJIT's own functions put bytes into C's buffer as long as there is
-- room; where some would have to go to the descriptor, an operation takes them there.

local core = require "halo.core"
local files = require "halo.io.files"

local stdio, states, state_of = core.stdio, files.states, files.state
local stock, methods, default = files.stock, files.methods, files.default
local refused = files.refused
local stock_write, stock_io_write, stock_flush = methods.write, stock.write, methods.flush
local stock_print = print
local select, type, tostring, getmetatable = select, type, tostring, getmetatable

local NUMBER_BYTES = 21 -- no number's text is longer
local FAR = 2 ^ 53 -- there is no room for so much
local TAB, NEWLINE, NOTHING = 9, 10, -1
local EPIPE = 32

local stdout = io.stdout
local stdout_state = files.stdout_room

local write = {}

---What a compiled loop calls without leaving what is compiled. put_string(file, string, length,
---last) and put_number(file, number, last) put one, and the byte behind it, into C's buffer; they
---return false where there is no room, or the number is not whole. room_of(halo, file) is
---stdio.room() where nobody else has to write before, and else 0.
local put_string, put_number, room_of, self
local has_ffi, ffi = pcall(require, "ffi")
if has_ffi then
  local string_address, number_address, room_address, halo_lua = stdio.fast()
  put_string = ffi.cast("bool (*)(void *, const char *, double, int)", string_address)
  put_number = ffi.cast("bool (*)(void *, double, int)", number_address)
  room_of = ffi.cast("double (*)(void *, void *)", room_address)
  self = ffi.cast("void *", halo_lua)
else
  function put_string()
    return false
  end
  put_number = put_string
  function room_of()
    return 0
  end
end

---Of a command these matter more than other files: it ends where nobody reads them.
local fds = { [stdout] = 1, [io.stderr] = 2 }

---Of what a write gave: the same, but the cancellation is raised where nobody reads what a command
---prints, and the file then has a number.
local function told(lua_file, ok, ...)
  if not ok and fds[lua_file] and select(2, ...) == EPIPE then
    core.after_print(fds[lua_file])
  end
  return ok, ...
end

---How many bytes the values take; nil where one is no string and no number.
local function size_of(...)
  local size = 0
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if type(value) == "string" then
      size = size + #value
    elseif type(value) == "number" then
      size = size + NUMBER_BYTES
    else
      return nil
    end
  end
  return size
end

---What halo.stdout has gathered comes first.
---@async
local function settle(state, lua_file)
  if lua_file ~= stdout or not core.gathers(state.file) then
    return true
  end
  local count, message, code = core.flush(state.file)
  if not count then
    return refused(message, code)
  end
  return true
end

---@async
local function send(call, state, lua_file, ...)
  state.writing = state.writing + 1
  local count, message, code = call(state.file, lua_file, ...)
  if count == nil and code == core.mark then
    error(message, 0) -- it goes on, and counts as under way from now on
  end
  state.writing = state.writing - 1
  return count, message, code
end

---Writes what does not fit into the buffer. False where LuaJIT's own is to be called, since all of
---it fits; nil where something is wrong, which that says in its caller's name.
---@async
---@return boolean? handled
---@return true? ok
---@return string? text
---@return integer? number
local function write_out(lua_file, ...)
  if lua_file == stdout and select(2, core.stdout_failed()) then
    core.after_print()
  end
  local state = state_of(lua_file)
  local size = state and size_of(...)
  if not size then
    return nil
  end
  local ok, text, number = settle(state, lua_file)
  if not ok then
    return true, nil, text, number
  end
  local count, message, code = send(stdio.write, state, lua_file, ...)
  local room = stdio.room(lua_file)
  if count then
    state.room = room
    return true, true
  elseif message then
    stdio.give_up(lua_file) -- as C does with what comes behind a failure
    return true, refused(message, code)
  end
  state.room = room > size and room - size or 0
  return false
end

---Puts up to four strings and numbers into the buffer if there is room for sure, print's
---separators as well. It is without loops and further calls, so that a loop which writes is
---compiled as a whole.
local function put(state, lua_file, count, separated, a, b, c, d)
  local ta, tb, tc, td = type(a), type(b), type(c), type(d)
  local size = count + (ta == "string" and #a or ta == "number" and NUMBER_BYTES or FAR)
  if count > 1 then
    size = size + (tb == "string" and #b or tb == "number" and NUMBER_BYTES or FAR)
      + (tc == "string" and #c or tc == "number" and NUMBER_BYTES or count > 2 and FAR or 0)
      + (td == "string" and #d or td == "number" and NUMBER_BYTES or count > 3 and FAR or 0)
  end
  local room = state.room - size
  if room < 0 then
    room = room_of(self, lua_file) - size -- numbers are shorter than it was thought
  end
  if room < 0 then
    return false
  end
  state.room = room
  local tab, newline, between, behind = NOTHING, NOTHING, "", ""
  if separated then
    tab, newline, between, behind = TAB, NEWLINE, "\t", "\n"
  end
  local last = count > 1 and tab or newline
  if not (ta == "string" and put_string(lua_file, a, #a, last)
    or ta == "number" and put_number(lua_file, a, last)) then
    stock_write(lua_file, a, count > 1 and between or behind)
  end
  last = count > 2 and tab or newline
  if count > 1 and not (tb == "string" and put_string(lua_file, b, #b, last)
    or tb == "number" and put_number(lua_file, b, last)) then
    stock_write(lua_file, b, count > 2 and between or behind)
  end
  last = count > 3 and tab or newline
  if count > 2 and not (tc == "string" and put_string(lua_file, c, #c, last)
    or tc == "number" and put_number(lua_file, c, last)) then
    stock_write(lua_file, c, count > 3 and between or behind)
  end
  last = newline
  if count > 3 and not (td == "string" and put_string(lua_file, d, #d, last)
    or td == "number" and put_number(lua_file, d, last)) then
    stock_write(lua_file, d, behind)
  end
  return true
end

---Whether the buffer has room for all values for sure.
local function fits(state, lua_file, ...)
  local size = size_of(...)
  local room = size and math.max(state.room, room_of(self, lua_file)) - size
  if room and room >= 0 then
    state.room = room
    return true
  end
end

local function result(lua_file, ok, text, number)
  if ok then
    return files.as_lua52 and lua_file or true
  end
  return nil, text, number
end

---As LuaJIT's own.
---@async
function write.write(...)
  local lua_file = ...
  local state, count = states[lua_file], select("#", ...) - 1
  if state and count > 0 and count <= 4
    and put(state, lua_file, count, false, select(2, ...)) then
    return files.as_lua52 and lua_file or true
  elseif state and count > 4 and fits(state, ...) then
    return stock_write(...)
  end
  local handled, ok, text, number = write_out(...)
  if handled == false and fds[lua_file] then
    return told(lua_file, stock_write(...))
  elseif not handled then
    return stock_write(...)
  end
  return result(lua_file, ok, text, number)
end

---As LuaJIT's own.
---@async
function write.io_write(...)
  local lua_file, state, count = default.output, default.output_state, select("#", ...)
  if count > 0 and count <= 4 and put(state, lua_file, count, false, ...) then
    return files.as_lua52 and lua_file or true
  elseif count > 4 and fits(state, lua_file, ...) then
    return stock_io_write(...)
  end
  local handled, ok, text, number = write_out(lua_file, ...)
  if handled == false and fds[lua_file] then
    return told(lua_file, stock_io_write(...))
  elseif not handled then
    return stock_io_write(...)
  end
  return result(lua_file, ok, text, number)
end

-- print -----------------------------------------------------------------------------------------

---The text of all values, as print has it: what `tostring` gives that is global now.
local function text_of(convert, ...)
  local texts, count = { ... }, select("#", ...)
  for i = 1, count do
    local value = texts[i]
    if type(value) ~= "string" or convert ~= tostring then
      local text = convert(value)
      if type(text) ~= "string" and type(text) ~= "number" then
        error("'tostring' must return a string to 'print'", 3)
      end
      texts[i] = text
    end
  end
  return table.concat(texts, "\t", 1, count) .. "\n"
end

---@async
local function print_text(text)
  local room = stdout_state.room - #text
  if room >= 0 then
    stdout_state.room = room
  elseif write_out(stdout, text) then
    return
  end
  told(stdout, stock_write(stdout, text))
end

---As LuaJIT's own, which writes to standard output whatever io.output is.
---@async
function write.print(...)
  local count, convert = select("#", ...), _G.tostring
  if count > 0 and count <= 4 and convert == tostring and getmetatable(0) == nil
    and put(stdout_state, stdout, count, true, ...) then
    return
  elseif type(convert) ~= "function" then
    return stock_print(...)
  end
  print_text(text_of(convert, ...))
end

-- flush -----------------------------------------------------------------------------------------

---Writes what the buffer has, and waits for what is under way. True, or nil, the text and number.
---@async
function write.drain(lua_file)
  local state = states[lua_file]
  local pending = stdio.pending(lua_file)
  if not pending and not (state and state.file and state.writing > 0) then
    return true
  end
  state = state_of(lua_file)
  if not state then
    return true
  end
  local ok, text, number = settle(state, lua_file)
  local count, message, code = send(stdio.drain, state, lua_file)
  local left = not count and not message
  if left and state.writing > 0 then
    count, message, code = core.flush(state.file)
  end
  if not count and message then
    stdio.set_error(lua_file)
    return refused(message, code)
  elseif ok and left and stdio.pending(lua_file) then
    return told(lua_file, stock_flush(lua_file)) -- which holds up nobody
  end
  return ok, text, number
end

---As LuaJIT's own.
---@async
function write.flush(...)
  local lua_file = ...
  local ok, text, number = write.drain(lua_file)
  if not ok then
    return nil, text, number
  end
  if fds[lua_file] then
    return told(lua_file, stock_flush(...))
  end
  return stock_flush(...)
end

---As LuaJIT's own.
---@async
function write.io_flush(...)
  local lua_file = default.output
  local ok, text, number = write.drain(lua_file)
  if not ok then
    return nil, text, number
  end
  if fds[lua_file] then
    return told(lua_file, stock.flush(...))
  end
  return stock.flush(...)
end

---As LuaJIT's own: what the buffer has goes out before where there is to be none, and else stays.
---@async
function write.setvbuf(...)
  local lua_file, mode = ...
  local ok, text, number = true, nil, nil
  if mode == "no" then
    ok, text, number = write.drain(lua_file)
  end
  if states[lua_file] then
    states[lua_file].room = 0
  end
  if not ok then
    methods.setvbuf(...)
    return nil, text, number
  end
  return methods.setvbuf(...)
end

return write
