-- The quick way of the calls that scripts make most: a compiled loop that makes them stays
-- compiled. Each function here returns nothing where the ordinary call has to do it: for wrong
-- arguments, whatever has to wait, and whatever the system refuses. See bindings/fs/fast.c.

local check = require "halo.fs.check"
local core = require "halo.core"
local Stat = require("halo.fs.stat").new

local type = type

local has_ffi, ffi = pcall(require, "ffi")
if not has_ffi then
  local function decline() end
  return setmetatable({ now = core.now }, { __index = function()
    return decline
  end })
end

local Room = ffi.typeof([[struct {
  $ stat;
  int32_t fifo;
  uint32_t busy;
  char bytes[65536];
}]], Stat)

local Calls = ffi.typeof [[struct {
  int (*read)(void *, const void *, void *, double, double);
  int (*read_into)(void *, const void *, const void *, double, double);
  int (*write)(void *, const void *, const char *, double, double);
  int (*stat)(void *, const char *, double, bool, void *);
  int (*fstat)(void *, const void *, void *);
  double (*stat_number)(void *, const char *, double, bool, int);
  double (*fstat_number)(void *, const void *, int);
  int (*readfile)(void *, const char *, double, void *);
  int (*readfile_into)(void *, const char *, double, const void *, void *);
  double (*now)(void);
} const *]]

local calls, self, size = core.fast()
assert(ffi.sizeof(Room) == size, "bindings/fs/fast.c declares the room differently")
calls, self = ffi.cast(Calls, calls), ffi.cast("void *", self)

local room = ffi.new(Room)
local bytes = ffi.cast("const char *", room.bytes)
local to_string = ffi.string

local FIFO = -3 -- the answer where room.fifo is one
local LATER = -2 -- the answer of a call before which others should go on
local pass = core.pass

-- A pointer is only made of what is sure to be one of halo's own userdata.
local is_file, is_buffer = check.is_file, check.is_buffer

local function is_place(offset)
  return offset == nil or type(offset) == "number" and offset >= 0
end

---The room is free again once its bytes are a string.
local function take(count)
  local data = to_string(bytes, count)
  room.busy = 0
  return data
end

---Makes a call, after the tasks that should go on first.
local function ask(call, ...)
  local answer = call(self, ...)
  if answer == LATER then
    pass()
    answer = call(self, ...)
  end
  return answer
end

---@return string|false|nil # false at the end
local function read(file, n, offset)
  if is_file(file) and type(n) == "number" and is_place(offset) then
    local count = ask(calls.read, file, room, n, offset or -1)
    if count > 0 then
      return take(count)
    elseif count == 0 then
      return false
    end
  end
end

---@return integer?
local function read_into(file, buffer, n, offset)
  if is_file(file) and is_buffer(buffer) and type(n) == "number" and is_place(offset) then
    local count = ask(calls.read_into, file, buffer, n, offset or -1)
    if count >= 0 then
      return count
    end
  end
end

---@return integer?
local function write(file, data, offset)
  if is_file(file) and type(data) == "string" and is_place(offset) then
    local count = ask(calls.write, file, data, #data, offset or -1)
    if count >= 0 then
      return count
    end
  end
end

---A copy of what has been left in the room, which is free again after that.
local function copy()
  local found = Stat(room.stat)
  room.busy = 0
  return found
end

---@return halo.Stat?
local function stat(path, follow)
  if type(path) == "string" and ask(calls.stat, path, #path, follow, room) == 0 then
    return copy()
  end
end

---@return halo.Stat?
local function fstat(file)
  if is_file(file) and ask(calls.fstat, file, room) == 0 then
    return copy()
  end
end

---A call whose answer may be any number declines by what is none.
local function ask_number(call, ...)
  local number = call(self, ...)
  if number == -math.huge then
    pass()
    number = call(self, ...)
  end
  if number == number and number ~= -math.huge then
    return number
  end
end

---One field, by its place.
---@return number?
local function stat_number(path, follow, place)
  if type(path) == "string" then
    return ask_number(calls.stat_number, path, #path, follow, place)
  end
end

---@return number?
local function fstat_number(file, place)
  if is_file(file) then
    return ask_number(calls.fstat_number, file, place)
  end
end

---@return number # as halo.now()
local function now()
  return calls.now()
end

---@return string?
---@return integer? fd where it is a FIFO: open, and the caller's
local function readfile(path)
  if type(path) == "string" then
    local count = ask(calls.readfile, path, #path, room)
    if count == FIFO then
      return nil, room.fifo
    end
    if count >= 0 then
      return count > 0 and take(count) or ""
    end
  end
end

---@return integer?
---@return integer? fd
local function readfile_into(path, buffer)
  if type(path) == "string" and is_buffer(buffer) then
    local count = ask(calls.readfile_into, path, #path, buffer, room)
    if count >= 0 then
      return count
    elseif count == FIFO then
      return nil, room.fifo
    end
  end
end

return {
  read = read,
  read_into = read_into,
  write = write,
  stat = stat,
  fstat = fstat,
  stat_number = stat_number,
  fstat_number = fstat_number,
  readfile = readfile,
  readfile_into = readfile_into,
  now = now,
}
