-- Opening and closing Lua's files, and the programs of io.popen.

local core = require "halo.core"
local files = require "halo.io.files"
local fs = require "halo.fs"
local handle = require "halo.process.handle"
local read = require "halo.io.read"
local scope = require "halo.scope"
local wait = require "halo.wait"
local write = require "halo.io.write"

local stdio, states, stock, methods = core.stdio, files.states, files.stock, files.methods
local default, refused = files.default, files.refused
local is_text, c_string = files.is_text, files.c_string

local AT_FDCWD = core.AT_FDCWD
local PERM = tonumber("666", 8)
local CHUNK_BYTES = 65536
local ENOENT, ENOSYS = 2, 38
local GRACE_S = 2
-- What is opened for its userdata: a fence lets it by, and without a /dev there is the root.
local NOTHING, ROOT = "/dev/null", "/"

local open = {}

---@async
---@return halo.File?
---@return string? text
---@return integer? number
local function open_file(path, flags)
  local file, message, code = core.open(AT_FDCWD, path, flags, PERM)
  if not file then
    return refused(message, code)
  end
  return file
end

---A file of Lua's on the descriptor of a File.
---@return userdata?
---@return string? text
---@return integer? number
local function make(file, mode)
  local donor, text, number = stock.open(NOTHING)
  if not donor and number == ENOENT then
    donor, text, number = stock.open(ROOT)
  end
  if not donor then
    core.close(file)
    return nil, text, number
  end
  local lua_file
  lua_file, number = stdio.become(donor, file, mode)
  if not lua_file then
    core.close(file)
    return nil, stdio.error_text(number), number
  end
  files.new(lua_file, file)
  return lua_file
end

---@async
---@return userdata|false|nil # false: it is LuaJIT's own that has to do it, or to refuse it
---@return string? text
---@return integer? number
local function open_path(path, mode)
  if not is_text(path) or mode ~= nil and not is_text(mode) then
    return false
  end
  mode = mode == nil and "r" or tostring(mode)
  local flags = stdio.mode(mode)
  if not flags then
    return false
  end
  local file, text, number = open_file(c_string(path), flags)
  if not file then
    return nil, text, number
  end
  return make(file, mode)
end

---As LuaJIT's own.
---@async
function open.open(...)
  local path, mode = ...
  local lua_file, text, number = open_path(path, mode)
  if lua_file == false then
    return stock.open(...)
  elseif not lua_file then
    return nil, c_string(path) .. ": " .. text, number
  end
  return lua_file
end

---As LuaJIT's own.
---@async
function open.tmpfile()
  local file, message, code = fs.tempfile "/tmp"
  if not file then
    return refused(message, code)
  end
  local lua_file, text, number = make(file, "w+b")
  if not lua_file then
    return nil, text, number
  end
  return lua_file
end

-- Closing ---------------------------------------------------------------------------------------

---Waits until a program has ended, whose number is free then.
---@async
---@return true?
---@return string? text
---@return integer? number
local function await_end(process)
  wait.checked(core.wait_process(process))
  local status, signal = core.reap_process(process)
  if not status and not signal then
    return refused(nil, "ECHILD")
  end
  return true
end

---Programs whose file was collected, or whose close was cancelled: nobody else waits for them.
---@type table<halo.File, true>
local left = {}

---Frees the numbers of those that have ended.
local function reap_left()
  for process in pairs(left) do
    if core.reap_process(process) ~= false then
      left[process] = nil
    end
  end
end

---Writes what is left to be written. A close goes on whatever becomes of that.
---@async
local function write_rest(lua_file)
  local first, text, number = write.drain(lua_file)
  while stdio.pending(lua_file) do
    local ok, later_text, later_number = write.drain(lua_file)
    if first then
      first, text, number = ok, later_text, later_number
    end
  end
  return first, text, number
end

---@async
---@return boolean handled
---@return true? ok
---@return string? text
---@return integer? number
local function close_whole(state, lua_file)
  local done, ok, text, number = pcall(write_rest, lua_file)
  if not done then
    stdio.collect(state.file, lua_file)
    error(ok, 0)
  end
  states[lua_file], state.room = nil, 0
  local handled = stdio.detach(state.file, lua_file)
  local closed, message, code = core.close(state.file)
  if handled and ok and not closed then
    ok, text, number = refused(message, code)
  end
  if state.process then
    if not handled then
      methods.close(lua_file)
    end
    handled = true
    local ended, why, code_of_wait = await_end(state.process)
    if not ended then
      ok, text, number = nil, why, code_of_wait
    end
  elseif not handled and not ok then
    handled = true
    methods.close(lua_file)
  end
  return handled or false, ok, text, number
end

---@async
local function close_file(state, lua_file)
  local process = state.process
  local done, handled, ok, text, number = pcall(close_whole, state, lua_file)
  if done then
    return handled, ok, text, number
  end
  local _, is_open = stdio.is_file(lua_file)
  if process and not is_open then
    left[process] = true
  end
  error(handled, 0)
end

---@async
local function close(stock_close, lua_file, ...)
  local state = states[lua_file]
  local _, is_open = stdio.is_file(lua_file)
  if not is_open or files.is_standard(lua_file) then
    return stock_close(...)
  end
  if not state then
    local ok, text, number = write.drain(lua_file)
    if not ok then
      stock_close(...)
      return nil, text, number
    end
    state = states[lua_file]
  end
  if not state or not state.file then
    return stock_close(...)
  end
  local handled, ok, text, number = close_file(state, lua_file)
  if not handled then
    return stock_close(...)
  elseif ok then
    return true
  end
  return nil, text, number
end

---As LuaJIT's own.
---@async
function open.close(...)
  return close(methods.close, ..., ...)
end

---As LuaJIT's own.
---@async
function open.io_close(...)
  if select("#", ...) == 0 then
    return close(stock.close, default.output)
  end
  return close(stock.close, ..., ...)
end

local stock_collect = files.metatable.__gc

---A finalizer: it does not wait. What the buffer has is written at the next turn.
function open.collect(lua_file)
  local state = states[lua_file]
  local _, _, fd = stdio.is_file(lua_file)
  if state and state.process and fd >= 0 then
    left[state.process] = true
    reap_left()
  end
  if not (state and state.file and stdio.collect(state.file, lua_file)) then
    return stock_collect(lua_file)
  end
end

-- Default files ---------------------------------------------------------------------------------

local function set_input(lua_file)
  default.input = lua_file
end

local function default_setter(set, mode, stock_set)
  return function(...)
    local given = ...
    if is_text(given) then
      local lua_file = open_path(given, mode)
      if not lua_file then
        return stock_set(...)
      end
      set(lua_file)
      return stock_set(lua_file)
    end
    local _, is_open = stdio.is_file(given)
    if is_open then
      set(given)
    end
    return stock_set(...)
  end
end

---As LuaJIT's own.
open.input = default_setter(set_input, "r", stock.input)
open.output = default_setter(files.set_output, "w", stock.output)

-- Lines -----------------------------------------------------------------------------------------

---@class halo.PathLines where io.lines(path) is
---@field file halo.File? nil once it is closed
---@field chunk string
---@field at integer of the next line
---@field taken string[]? for the line that is being read
---@field careful boolean there may be NUL bytes
---@field ended boolean

---Reads the next piece; nil at the end.
---@async
local function next_chunk(reader)
  local chunk, message, code = nil, nil, nil
  if not reader.ended then
    chunk, message, code = core.read(reader.file, CHUNK_BYTES)
  end
  reader.chunk, reader.at, reader.ended = chunk or "", 1, not chunk
  if message then
    local _, text = refused(message, code)
    error(text, 6)
  end
  reader.careful = reader.careful or chunk and chunk:find("\0", 1, true) ~= nil
  return chunk
end

---All up to a newline, which comes along, or so many bytes, or to the end.
---@async
local function raw_line(reader, most)
  local taken, rest = reader.taken, most
  local first = #taken + 1
  repeat
    local chunk, at = reader.chunk, reader.at
    local stop = math.min(chunk:find("\n", at, true) or #chunk, at + rest - 1)
    taken[#taken + 1] = chunk:sub(at, stop)
    rest, reader.at = rest - (stop + 1 - at), stop + 1
  until rest == 0 or chunk:byte(stop) == 10 and stop >= at or not next_chunk(reader)
  return table.concat(taken, "", first)
end

---The next line, however it lies. What was taken for one whose read is cancelled goes back.
---@async
local function any_line(reader)
  if not reader.file then
    error("attempt to use a closed file", 2)
  end
  reader.taken = {}
  local ok, line, is_whole = pcall(files.line, raw_line, reader)
  if not ok then
    reader.chunk, reader.at, reader.ended = table.concat(reader.taken), 1, false
    error(line, 0)
  end
  reader.taken = nil
  if line then
    return is_whole and line:sub(1, -2) or line
  end
  core.close(reader.file)
  reader.file = nil
end

---As io.lines(path), whose file nobody else has: so its lines are made from long pieces of it.
local function path_lines(file)
  local reader = { file = file, chunk = "", at = 1, careful = false, ended = false }
  local find, sub = string.find, string.sub
  return function()
    local chunk, at = reader.chunk, reader.at
    local stop = not reader.careful and find(chunk, "\n", at, true)
    if stop then
      reader.at = stop + 1
      return sub(chunk, at, stop - 1)
    end
    return any_line(reader)
  end
end

---As LuaJIT's own.
---@async
function open.lines(...)
  local path = ...
  local count = select("#", ...)
  if path == nil then
    local iterate = stock.lines(...)
    return read.iterate(default.input, iterate, select(2, ...))
  elseif not is_text(path) or count > 50 then
    return stock.lines(...)
  end
  local file = open_file(c_string(path), 0)
  if not file then
    return stock.lines(...)
  elseif count == 1 then
    return path_lines(file)
  end
  local lua_file = make(file, "r")
  if not lua_file then
    return stock.lines(...)
  end
  -- LuaJIT does not close it at the end either, where there are formats.
  local iterate = methods.lines(lua_file, select(2, ...))
  return read.iterate(lua_file, iterate, select(2, ...))
end

-- Programs --------------------------------------------------------------------------------------

---Before a program starts, everything that was written is to be where it can find it.
---@async
function open.flush_all()
  for lua_file in pairs(states) do
    write.drain(lua_file)
  end
  stdio.flush_all()
end

---The words of a shell's command, as C's system() and popen() have them: its own name is "sh".
function open.shell(command)
  return { "/bin/sh", "-c", command, "sh" }
end

---Whether it may share one with the program: then that has to stay in this process's group.
local function has_terminal()
  return core.is_terminal_fd(0) or core.is_terminal_fd(1) or core.is_terminal_fd(2)
end

---@async
---@return userdata?
---@return string? text
---@return integer? number
local function start(command, mode)
  local reads = mode == "r"
  local from, to, code = core.pipe(reads and "stdout" or "stdin")
  if not from then
    return refused(to, code)
  end
  local ours, its = to, from
  if reads then
    ours, its = from, to
  end
  local argv = open.shell(command)
  local streams = { [reads and "stdout" or "stdin"] = its, keeps_ignored = true }
  streams.group = core.is_member() and not has_terminal()
  local pid, process, why = core.spawn_process(argv[1], argv, streams)
  core.close(its)
  if not pid then
    core.close(ours)
    return refused(process, why)
  end
  local lua_file, text, number = make(ours, mode)
  if not lua_file then
    return nil, text, number
  end
  local state = states[lua_file]
  state.process = process
  handle.watch(process, command, GRACE_S, function()
    state.process = false
  end)
  return lua_file
end

---As LuaJIT's own. The program lives until the file's close, which waits for it.
---@async
function open.popen(...)
  local command, mode = ...
  if mode == nil then
    mode = "r"
  end
  if not is_text(command) or mode ~= "r" and mode ~= "w" then
    return stock.popen(...)
  end
  open.flush_all()
  reap_left()
  local lua_file, text, number = start(c_string(command), mode)
  if number == ENOSYS then -- a kernel before 5.3 has no descriptors of processes
    return stock.popen(...)
  elseif not lua_file then
    return nil, c_string(command) .. ": " .. text, number
  end
  return lua_file
end

local function close_programs()
  local still_open = {}
  for lua_file, state in pairs(states) do
    local _, is_open = stdio.is_file(lua_file)
    if state.process and is_open then
      table.insert(still_open, lua_file)
    end
  end
  for _, lua_file in ipairs(still_open) do
    open.close(lua_file)
  end
  for process in pairs(left) do
    await_end(process)
  end
end

local function finish()
  close_programs()
  return write.drain(io.stdout)
end

---See halo.io.
---@return true?
---@return string? text
---@return integer? number
function open.finish()
  local ok, result, text, number
  -- A function that gsub calls cannot be suspended: so it waits on the spot.
  string.gsub(".", ".", function()
    ok, result, text, number = pcall(scope.shield, finish)
  end)
  if not ok then
    return true -- it was interrupted: C writes what is left
  end
  return result, text, number
end

return open
