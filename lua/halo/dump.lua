-- string.dump for programs that look at the standard functions. Some of those are written in Lua
-- here, where LuaJIT's are C's: what cannot be dumped there is refused here as well. Libraries tell
-- by that what to write down by its name.

local getinfo, standard_dump = debug.getinfo, string.dump

local OWN = "=[halo]" -- what the names of halo's own chunks begin with

local dump = {}

local function dump_users(...)
  local fn = ...
  if type(fn) == "function" and getinfo(fn, "S").source:sub(1, #OWN) == OWN then
    error("unable to dump given function", 2)
  end
  return standard_dump(...)
end

---Puts it into the place of the standard one, once.
function dump.install()
  if string.dump ~= dump_users then
    string.dump = dump_users -- luacheck: ignore 122
  end
end

return dump
