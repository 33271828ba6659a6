-- Arguments of the calls of halo.fs that are written in Lua: what makes no sense raises at the
-- caller's line, naming the function, before anything has been done.

local bit = require "bit"
local core = require "halo.core"

local limits, access_bits = core.limits, core.access_bits

-- getmetatable() will not do: LuaJIT compiles it wrongly for the files of io. It takes what it has
-- not set for the answer (recff_getmetatable in lj_ffrecord.c).
local metatable_of = debug.getmetatable
local file_metatable, buffer_metatable = core.metatables()

local check = {}

---@param message string
---@param position integer of the argument
---@param name string of the function
function check.fail(message, position, name)
  core.raise_argument(position, name, message)
end

-- Who comes from luv or node passes a function, to be called with the result.
local NO_CALLBACK = "function: the call returns its result, and takes no callback"

---@param value any
---@return string # what it is, for a message
function check.got(value)
  return type(value) == "function" and NO_CALLBACK or type(value)
end

---@param expected string
---@param value any what was passed instead
---@param position integer
---@param name string
function check.type_error(expected, value, position, name)
  local got = position > 1 and check.got(value) or type(value)
  check.fail(("%s expected, got %s"):format(expected, got), position, name)
end

---What stands behind the last argument. A callback would wait in vain, and options would do
---nothing. A number or a string is passed over, as by any function of Lua.
---@param position integer
---@param name string
---@param value any the first of what is too much
function check.no_more(position, name, value)
  if type(value) == "function" then
    check.fail("no such argument, got " .. NO_CALLBACK, position, name)
  elseif type(value) == "table" then
    check.fail("no such argument: no options are taken there", position, name)
  end
end

---@param value any
---@param position integer
---@param name string
---@return string
function check.path(value, position, name)
  if type(value) ~= "string" then
    check.type_error("path (a string)", value, position, name)
  elseif value:find("\0", 1, true) then
    check.fail("the path contains a NUL byte", position, name)
  end
  return value
end

local function fail_for_option(option, position, name, known)
  local names = {}
  for word in pairs(known) do
    names[#names + 1] = word
  end
  table.sort(names)
  local problem = ("no option '%s', but %s"):format(tostring(option), table.concat(names, ", "))
  check.fail(problem, position, name)
end

---Options: a misspelt one would do what nobody has asked for, and so would 0 or "no", which are
---true in Lua.
---@param value any
---@param position integer
---@param name string
---@param known table<string, any> the names that there are, as keys: "any" for those that are not
---true or false
---@return table # empty for nil
function check.options(value, position, name, known)
  if value ~= nil and type(value) ~= "table" then
    check.type_error("table of options", value, position, name)
  end
  for option, setting in pairs(value or {}) do
    local kind = known[option]
    if kind == nil then
      fail_for_option(option, position, name, known)
    elseif kind ~= "any" and type(setting) ~= "boolean" then
      local problem = ("%s: true or false expected, got %s"):format(option, tostring(setting))
      check.fail(problem, position, name)
    end
  end
  return value or {}
end

---The bits whose names are set among options.
---@param options table<string, any>
---@param bits table<string, integer>
---@return integer
function check.bits(options, bits)
  local all = 0
  for name, value in pairs(bits) do
    if options[name] then
      all = bit.bor(all, value)
    end
  end
  return all
end

---Options that stand for bits of a number: that number.
---@param value any
---@param position integer
---@param name string
---@param bits table<string, integer> by the options that there are
---@return integer # 0 for nil
function check.flags(value, position, name, bits)
  return value == nil and 0 or check.bits(check.options(value, position, name, bits), bits)
end

---@param value any
---@param position integer
---@param name string
---@return number
function check.number(value, position, name)
  if type(value) ~= "number" then
    check.type_error("number", value, position, name)
  end
  return value
end

---A number of bytes, or an offset.
---@param value any
---@param position integer
---@param name string
---@return integer
function check.size(value, position, name)
  if check.number(value, position, name) < 0 or value > limits.size or value % 1 ~= 0 then
    check.fail(("a whole number from 0 to 2^53 expected, got %s"):format(value), position, name)
  end
  return value
end

---@param value any
---@param position integer
---@param name string
---@return integer?
function check.opt_size(value, position, name)
  return value ~= nil and check.size(value, position, name) or nil
end

---@param value any
---@param position integer
---@param name string
---@return halo.File
function check.file(value, position, name)
  if not check.is_file(value) then
    local problem = "File expected, got %s: file:%s(...) passes it"
    check.fail(problem:format(type(value), name), position, name)
  end
  return value
end

---The ways to use a file that the letters of a string stand for, as access(2) has them.
---@param value any
---@param position integer
---@param name string
---@return integer # 0 for nil
function check.access(value, position, name)
  local bits = 0
  if value ~= nil and type(value) ~= "string" then
    check.type_error("string", value, position, name)
  end
  for letter in (value or ""):gmatch "." do
    local letter_bit = access_bits[letter]
      or check.fail(("'%s' where any of r, w and x are expected"):format(letter), position, name)
    bits = bit.bor(bits, letter_bit)
  end
  return bits
end

local BUFFER_BYTES, BUFFER_MAX = 65536, 2 ^ 30

---The size of a file's buffer; true is the usual one.
---@param value any
---@param position integer
---@param name string
---@return integer
function check.buffer_size(value, position, name)
  if value == true then
    return BUFFER_BYTES
  elseif type(value) ~= "number" or not (value >= 1 and value <= BUFFER_MAX) or value % 1 ~= 0 then
    check.fail("a buffer has 1 to 2^30 bytes, or true for 65536", position, name)
  end
  return value
end

---@param value any
---@return boolean
function check.is_file(value)
  return metatable_of(value) == file_metatable
end

---@param value any
---@return boolean
function check.is_buffer(value)
  return metatable_of(value) == buffer_metatable
end

return check
