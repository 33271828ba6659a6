-- Calls on a File that is open for one call alone, whatever that answers:
--
--     local with_log = on_file(t, "log", "r+")
--     local write = with_log(function(file) return file:write "x" end)
--     local count, message, code = write()
--
-- The path is the field of t when the call is made.

local fs = require "halo.fs"

---@param t table
---@param key string
---@param mode string
---@return fun(call: fun(file: halo.File): any, string?, string?): fun(): any, string?, string?
return function(t, key, mode)
  return function(call)
    return function()
      local file = assert(fs.open(t[key], mode))
      local value, message, code = call(file)
      file:close()
      return value, message, code
    end
  end
end
