-- What stat, lstat and fstat return: a struct of the FFI, which compiled loops make and read as
-- quickly as C would. Where a host has taken the FFI away it is a table with the same fields.

local check = require "halo.fs.check"
local core = require "halo.core"
local bit = require "bit"
local has_ffi, ffi = pcall(require, "ffi")
local metatable_of = debug.getmetatable

local refused = require("halo.wait").refused

local band, rshift, max = bit.band, bit.rshift, math.max

---@class halo.Stat
---@field type "file"|"dir"|"symlink"|"fifo"|"socket"|"char"|"block"
---@field size integer bytes
---@field mode integer type and permission bits
---@field perm integer the permission bits alone, those for set-user-ID and the like included
---@field is_file boolean
---@field is_dir boolean
---@field is_symlink boolean
---@field atime integer seconds; with atime_nsec, as each time
---@field mtime integer
---@field ctime integer
---@field btime integer? where the file system keeps it
---@field uid integer
---@field gid integer
---@field nlink integer
---@field blksize integer bytes
---@field blocks integer of 512 bytes
---@field ino integer
---@field dev integer
---@field rdev integer
---@field id string the same for the same file, and for no other
---@field table fun(self: halo.Stat): table makes a plain table of all these

local declaration, size, numbers, number_of, write_id = core.stat_fields()

local stat = {}

---The places of the fields that are numbers, as C knows them, or derived from one: see of_mode.
---@type table<string, integer>
stat.places = {}
for i, name in ipairs(numbers) do
  stat.places[name] = i - 1
end

-- ---- derived fields ---------------------------------------------------------------------------

local types = {
  [1] = "fifo",
  [2] = "char",
  [4] = "dir",
  [6] = "block",
  [8] = "file",
  [10] = "symlink",
  [12] = "socket",
}

---@param mode integer as in halo.Stat
---@return string
function stat.kind(mode)
  return types[rshift(band(mode, 0xf000), 12)] or "unknown"
end

local kind, places, made = stat.kind, stat.places, {}

---Makes of a mode what a field says of it.
---@type table<string, fun(mode: integer): any>
stat.of_mode = { type = kind }

for _, word in ipairs { "file", "dir", "symlink" } do
  stat.of_mode["is_" .. word] = function(mode)
    return kind(mode) == word
  end
end

for name, make in pairs(stat.of_mode) do
  places[name] = places.mode
  made[name] = function(self)
    return make(self.mode)
  end
end

---In the order in which they are shown.
local names = { "type", "is_file", "is_dir", "is_symlink", unpack(numbers) }
names[#names + 1] = "id"

local known = {}
for _, name in ipairs(names) do
  known[name] = true
end

-- ---- the object ---------------------------------------------------------------------------------

local methods = {}

local function copy_of(self)
  local copy = {}
  for _, name in ipairs(names) do
    copy[name] = self[name]
  end
  return copy
end

function methods.table(self)
  if not stat.is_stat(self) then
    local problem = "calling 'table' on bad self (Stat expected, got %s): "
      .. "a colon before table passes it"
    core.raise(problem:format(type(self)))
  end
  return copy_of(self)
end

---What has no value here: btime, or a name that others give to a field, which would always be nil.
local function no_field(field)
  if not known[field] then
    local problem = "a stat has no field '%s', but %s"
    core.raise(problem:format(tostring(field), table.concat(names, ", ")))
  end
end

local metatable = {}

function metatable.__index(self, field)
  local make = made[field]
  if make then
    return make(self)
  end
  return methods[field] or no_field(field)
end

function metatable.__newindex()
  core.raise "a stat's fields cannot be set; those of the table that its method table() makes can"
end

local patterns = { string = "%q", number = "%.0f" } -- tostring() keeps but 14 digits

function metatable.__tostring(self)
  local parts = {}
  for _, name in ipairs(names) do
    local value = self[name]
    if value ~= nil then
      local pattern = patterns[type(value)]
      parts[#parts + 1] = name .. " = " .. (pattern and pattern:format(value) or tostring(value))
    end
  end
  return "stat { " .. table.concat(parts, ", ") .. " }"
end

function metatable.__eq(a, b)
  if not (stat.is_stat(a) and stat.is_stat(b)) then
    return false
  end
  for _, name in ipairs(names) do
    if a[name] ~= b[name] then
      return false
    end
  end
  return true
end

function metatable.__pairs(self)
  local i = 0
  return function()
    repeat
      i = i + 1
      local name = names[i]
      local value = name and self[name]
      if value ~= nil then
        return name, value
      end
    until not name
  end
end

-- pairs() honours __pairs for values of the FFI alone: LuaJIT is rarely built as Lua 5.2 would be.

if has_ffi then
  local Stat = ffi.typeof("struct {" .. declaration .. "}")
  assert(ffi.sizeof(Stat) == size, "bindings/fs/stat.h declares the struct differently")
  local Stats = ffi.typeof("$ const *", Stat)
  ffi.metatype(Stat, metatable)

  number_of = ffi.cast("double (*)(const void *, int)", number_of)
  write_id = ffi.cast("int (*)(const void *, char *)", write_id)
  local Text = ffi.typeof "char[40]" -- HALO_STAT_ID_SIZE

  for name, place in pairs(places) do
    if not made[name] and not ffi.offsetof(Stat, name) then
      made[name] = function(self)
        local number = number_of(self, place)
        return number == number and number or nil
      end
    end
  end

  -- The same as C's, but LuaJIT sees through them.
  function made.ino(self)
    return tonumber(self._ino)
  end

  function made.dev(self)
    return tonumber(self._dev)
  end

  function made.id(self)
    local text = Text()
    return ffi.string(text, write_id(self, text))
  end

  ---Whether a value is one.
  ---@param value any
  ---@return boolean
  function stat.is_stat(value)
    return ffi.istype(Stat, value)
  end

  core.stat_type(ffi.istype, Stat)

  ---An empty one, for C to fill, or a copy. Nothing without the FFI.
  stat.new = Stat

  ---What C has returned for it.
  function stat.of(self)
    return self
  end

  local counted, count

  ---One of those that core.list() has put into a row; nil where there is none.
  ---@param stats userdata
  ---@param i integer from 0
  ---@return halo.Stat?
  function stat.at(stats, i)
    if stats ~= counted then
      counted, count = stats, core.stat_count(stats)
    end
    if not (i >= 0 and i < count) then
      error "no such stat"
    end
    -- LuaJIT 2.1.0-beta3 writes no valid instruction for aarch64 where this is compiled for a place
    -- below zero, to which i - 1 would be added; what max gives is no such sum.
    local self = Stat(ffi.cast(Stats, stats)[max(i, 0)])
    return self.mode ~= 0 and self or nil
  end
else
  local function get(_, field)
    return methods[field] or no_field(field)
  end

  local shared = { __index = get, __tostring = metatable.__tostring, __eq = metatable.__eq }

  function stat.is_stat(value)
    return metatable_of(value) == shared
  end

  function stat.new()
  end

  function stat.of(self)
    setmetatable(self, metatable) -- for the derived fields
    return setmetatable(copy_of(self), shared)
  end

  function stat.at(stats, i)
    local self = core.stat_table(stats, i)
    return self.mode ~= 0 and stat.of(self) or nil
  end
end

-- ---- what the calls return ----------------------------------------------------------------------

---@param field any
---@return boolean? # whether a stat has such a field
function stat.is_field(field)
  return known[field]
end

---Fields as core.list() takes them.
---@param fields string[]
---@return string # a byte for each
function stat.places_of(fields)
  local bytes = {}
  for i, field in ipairs(fields) do
    bytes[i] = string.char(places[field] or #numbers) -- after the numbers there is the id
  end
  return table.concat(bytes)
end

local function check_field(field, position, name)
  if not known[field] then
    local problem = "name of a field (a string) expected, got " .. check.got(field)
    if type(field) ~= "table" and type(field) ~= "function" then
      problem = ("no field '%s', but %s"):format(tostring(field), table.concat(names, ", "))
    end
    check.fail(problem, position, name)
  end
end

local function check_some(name, position, count, field, ...)
  check_field(field, position, name)
  if count > 1 then
    return check_some(name, position + 1, count - 1, ...)
  end
end

---Raises where a stat has no such field; for nil alone, that all of it is wanted.
---@param name string of the function
---@param field any the first of the fields, and further ones
function stat.check_fields(name, field, ...)
  local count = select("#", ...)
  if field ~= nil or count > 0 then
    check_some(name, 2, count + 1, field, ...)
  end
end

-- What is asked for in a compiled loop passes here: without a table, and without a loop.

local function field_of(self, field, position, name)
  check_field(field, position, name)
  return self[field]
end

local function fields_of(self, name, position, count, first, second, ...)
  local value = field_of(self, first, position, name)
  if count == 1 then
    return value
  end
  local other = field_of(self, second, position + 1, name)
  if count == 2 then
    return value, other
  end
  return value, other, fields_of(self, name, position + 2, count - 2, ...)
end

---Of a stat: itself, or the fields that are wanted.
---@param self halo.Stat
---@param name string of the function that was called
---@param field any the first of the fields, and further ones
---@return any ...
function stat.pick(self, name, field, ...)
  local count = select("#", ...)
  if field == nil and count == 0 then
    return self
  end
  return fields_of(self, name, 2, count + 1, field, ...)
end

---Makes the ordinary call, the fields being checked before it.
---@async
---@param call function of the core
---@param name string of the function that was called
---@param subject string|halo.File
---@param base halo.File|nil the directory from which a path starts
---@param field any the first of the fields, and further ones
---@return any ...
function stat.ask(call, name, subject, base, field, ...)
  stat.check_fields(name, field, ...)
  local self, message, code
  if base then
    self, message, code = call(base, subject, stat.new())
  else
    self, message, code = call(subject, stat.new())
  end
  if not self then
    return refused(message, code)
  end
  return stat.pick(stat.of(self), name, field, ...)
end

return stat
