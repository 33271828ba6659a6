-- Lua's files, and what halo knows of them. Each stays the userdata that LuaJIT has made, with a
-- FILE of C's, whose buffer and offset are right at any time: see bindings/stdio/stream.h. What
-- cannot be done from its buffer alone is done by operations on a File of the same descriptor.

local core = require "halo.core"
local errors = require "halo.fs.errors"
local waiters = require "halo.waiters"

local stdio = core.stdio

local LINE_BYTES, LINE_SPARE_BYTES = 8192, 64 -- of LuaJIT's buffer for a line

local files = {}

---@class halo.LuaFile what is known of one of Lua's files
---@field file halo.File of the same descriptor
---@field room integer bytes that LuaJIT's own write may put into its buffer without a look at it
---@field writing integer operations that write it
---@field filling boolean somebody reads from the descriptor
---@field waiting halo.Waiters those who are to do that next
---@field process halo.File|false what io.popen has started
---@field prompts boolean a read flushes standard output first, as C's does

---@type table<userdata, halo.LuaFile>
local states = setmetatable({}, { __mode = "k" })
files.states = states

---LuaJIT's own functions, as they were before those of halo came into their places.
files.stock = {
  open = io.open,
  popen = io.popen,
  tmpfile = io.tmpfile,
  lines = io.lines,
  input = io.input,
  output = io.output,
  read = io.read,
  write = io.write,
  flush = io.flush,
  close = io.close,
}

local stdin, stdout, stderr = io.stdin, io.stdout, io.stderr
local metatable = debug.getmetatable(stdout)
files.metatable = metatable

---The methods, likewise.
files.methods = {}
for name, method in pairs(metatable.__index) do
  files.methods[name] = method
end

---Whether LuaJIT was built to be as Lua 5.2 in what a write returns, and a command.
files.as_lua52 = files.methods.write(stdout) ~= true

---The default files. Only io.input and io.output change them.
files.default = { input = files.stock.input(), output = files.stock.output() }

local names = { [stdin] = "stdin", [stdout] = "stdout", [stderr] = "stderr" }

---@return halo.LuaFile
function files.new(lua_file, halo_file)
  local state = {
    file = halo_file,
    room = 0,
    writing = 0,
    filling = false,
    waiting = waiters.new(),
    process = false,
    prompts = false,
  }
  states[lua_file] = state
  return state
end

---Keeps the state of the default output at hand.
function files.set_output(lua_file)
  local state = states[lua_file]
  if not state then
    state = files.new(lua_file, false)
  end
  files.default.output, files.default.output_state = lua_file, state
end

-- It is there from the start, since its room is what the turn at standard output goes by.
files.stdout_room = files.new(stdout, false)
files.set_output(files.default.output)

---A File of the same descriptor; the standard ones are those that scripts have.
local function adopt(lua_file, fd)
  local name = names[lua_file]
  local ok, file = pcall(function()
    return name and require("halo")[name]
  end)
  if ok and file and core.is_open(file) then
    return file
  end
  return core.adopt(fd, name or "file")
end

---What is known of a file; nil where LuaJIT's own functions have to do, since it is none, or is
---closed, or has no descriptor that can be used.
---@return halo.LuaFile?
function files.state(lua_file)
  local state = states[lua_file]
  local _, _, fd = stdio.is_file(lua_file)
  if fd < 0 then
    return nil
  elseif state and state.file and core.is_open(state.file) then
    return state
  end
  local file = adopt(lua_file, fd)
  if not file then
    return nil
  end
  if state then
    state.file = file
  else
    state = files.new(lua_file, file)
  end
  state.prompts = lua_file == stdin and core.is_terminal_fd(0) and core.is_terminal_fd(1)
  return state
end

---Whether it is one that stays open for ever.
---@return boolean
function files.is_standard(lua_file)
  return names[lua_file] ~= nil
end

---Whether C takes it for a string.
function files.is_text(value)
  return type(value) == "string" or type(value) == "number"
end

---A path as C takes it: up to a NUL byte.
function files.c_string(text)
  return tostring(text):match "^[^%z]*"
end

---The system's text and number for what a call of halo's has refused, or a fence's text. A
---cancellation is raised.
---@return nil
---@return string text
---@return integer number
function files.refused(message, code)
  if code == core.mark then
    error(message, 0)
  end
  local text, number = stdio.error_of(code)
  return nil, errors.refusal(message) or text, number
end

---A line as LuaJIT's own makes it, which takes what C's fgets gives for a C string: that ends at a
---NUL byte, and the next one is put behind it. How much fgets may give is seen by that.
---@async
---@param raw_line fun(from: table, most: integer): string up to a newline, or so much
---@param from table its `ended` says that nothing comes any more
---@return string? line with its newline, if it has one; nil at the end
---@return boolean? is_whole it has one
function files.line(raw_line, from)
  local line, room = "", LINE_BYTES
  repeat
    line = line .. raw_line(from, room - #line - 1):match "^[^%z]*"
    if line:byte(-1) == 10 then
      return line, true
    elseif #line >= room - LINE_SPARE_BYTES then
      room = room * 2
    end
  until from.ended
  return line ~= "" and line or nil, false
end

---Waits until nobody else reads from the descriptor, and is the one who does.
---@async
function files.lock(state)
  while state.filling and core.can_wait() do
    local entry = { task = core.current(), next = false, prev = false }
    waiters.push(state.waiting, entry)
    local ok, err = core.park "read"
    if not ok then
      waiters.remove(entry)
      files.pass_on(state)
      error(err, 0)
    end
  end
  state.filling = true
end

---Wakes the next one who wants to read, where nobody does.
function files.pass_on(state)
  local waiter = not state.filling and waiters.pop(state.waiting)
  if waiter then
    core.wake(waiter.task)
  end
end

function files.unlock(state)
  state.filling = false
  files.pass_on(state)
end

return files
