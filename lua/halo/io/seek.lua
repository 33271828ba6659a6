-- Seeking in Lua's files, without the read of a block that C's own makes for it.

local core = require "halo.core"
local files = require "halo.io.files"
local write = require "halo.io.write"

local stdio, states, state_of = core.stdio, files.states, files.state
local stock_seek = files.methods.seek

local seek = {}

local whences = { set = 0, cur = 1, ["end"] = 2 }
local OFFSET_MAX = 2 ^ 53

local function to_offset(value)
  if value == nil then
    return 0
  end
  local is_whole = type(value) == "number" and value % 1 == 0
  return is_whole and math.abs(value) <= OFFSET_MAX and value or nil
end

---As LuaJIT's own.
---@async
function seek.seek(...)
  local lua_file, whence, offset = ...
  local ok, text, number = write.drain(lua_file)
  if not ok then
    return nil, text, number
  end
  local from, by = whences[whence == nil and "cur" or whence], to_offset(offset)
  local state = from and by and state_of(lua_file)
  if not state then
    return stock_seek(...)
  end
  if state.filling then
    files.lock(state)
    files.unlock(state)
  end
  states[lua_file].room = 0
  local position, code = stdio.seek(lua_file, from, by)
  if position then
    return position
  elseif code then
    return nil, stdio.error_text(code), code
  end
  return stock_seek(...)
end

return seek
