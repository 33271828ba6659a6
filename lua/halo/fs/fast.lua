-- The quick way of the calls that scripts make most: a compiled loop that makes them stays
-- compiled. Each function here returns nothing where the ordinary call has to do it: for wrong
-- arguments, whatever has to wait, and whatever the system refuses. See bindings/fs/fast.c.

local check = require "halo.fs.check"
local core = require "halo.core"
local status = require "halo.fs.status"

local type = type
local to_stat, numbers = status.table, status.numbers

local has_ffi, ffi = pcall(require, "ffi")
if not has_ffi then
  local function decline() end
  return setmetatable({}, { __index = function()
    return decline
  end })
end

local Room = ffi.typeof [[struct {
  double size, mode, uid, gid, nlink, ino, dev, rdev, blocks, blksize;
  double atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec, btime, btime_nsec;
  int32_t count, fifo;
  uint32_t busy;
  char bytes[65536];
}]]

local Calls = ffi.typeof [[struct {
  int (*read)(void *, const void *, void *, double, double);
  int (*read_into)(void *, const void *, const void *, double, double);
  int (*write)(void *, const void *, const char *, double, double);
  int (*stat)(void *, const char *, double, bool, void *);
  int (*fstat)(void *, const void *, void *);
  int (*readfile)(void *, const char *, double, void *);
  int (*readfile_into)(void *, const char *, double, const void *, void *);
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
  if count > 0 then
    local data = to_string(bytes, count)
    room.busy = 0
    return data
  elseif count == 0 then
    return ""
  end
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

---@return string?
local function read(file, n, offset)
  if is_file(file) and type(n) == "number" and is_place(offset) then
    return take(ask(calls.read, file, room, n, offset or -1))
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

---A table or a field of what has been left in the room, which is free again after that.
local function pick(field)
  if field == nil then
    local btime, btime_nsec
    if room.count == numbers.btime_nsec then
      btime, btime_nsec = room.btime, room.btime_nsec
    end
    -- stylua: ignore
    local stat = to_stat(room.size, room.mode, room.uid, room.gid, room.nlink, room.ino, room.dev,
      room.rdev, room.blocks, room.blksize, room.atime, room.atime_nsec, room.mtime,
      room.mtime_nsec, room.ctime, room.ctime_nsec, btime, btime_nsec)
    room.busy = 0
    return stat
  end
  local number = room[field]
  room.busy = 0
  return number
end

local function is_field(field)
  return field == nil or numbers[field] and numbers[field] < numbers.btime
end

---@return halo.Stat|number|nil
local function stat(path, field, follow)
  if type(path) == "string" and is_field(field) then
    if ask(calls.stat, path, #path, follow, room) == 0 then
      return pick(field)
    end
  end
end

---@return halo.Stat|number|nil
local function fstat(file, field)
  if is_file(file) and is_field(field) and ask(calls.fstat, file, room) == 0 then
    return pick(field)
  end
end

---@return string?
---@return integer? fd where it is a FIFO: open, and the caller's
local function readfile(path)
  if type(path) == "string" then
    local count = ask(calls.readfile, path, #path, room)
    if count == FIFO then
      return nil, room.fifo
    end
    return take(count)
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
  readfile = readfile,
  readfile_into = readfile_into,
}
