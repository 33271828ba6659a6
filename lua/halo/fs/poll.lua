-- Watching by looking again and again, for where inotify sees nothing: network file systems, and
-- what other machines do.

local core = require "halo.core"
local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local stat = require "halo.fs.stat"
local settle = require("halo.wait").settle

---@class halo.fs
local fs = {}

local function is_same(a, b)
  if not a or not b then
    return a == b
  end
  return a.id == b.id and a.size == b.size and a.mode == b.mode
    and a.mtime == b.mtime and a.mtime_nsec == b.mtime_nsec
    and a.ctime == b.ctime and a.ctime_nsec == b.ctime_nsec
end

---@async
---@param base halo.File
---@return halo.Stat|false
local function look(base, path)
  return stat.ask(core.stat, "poll", path, base) or false
end

---@param base halo.File
function by_path.poll(base, path, seconds)
  check.path(path, 1, "poll")
  if seconds == nil then
    seconds = 1
  elseif type(seconds) == "function" then
    check.type_error("a number of seconds", seconds, 2, "poll")
  elseif type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    check.fail("a number of seconds expected, not below 0", 2, "poll")
  end
  local before = look(base, path)
  return function()
    while true do
      settle(core.sleep(seconds))
      local now = look(base, path)
      if not is_same(now, before) then
        local was = before
        before = now
        return now, was
      end
    end
  end
end

---An iterator over the changes of a path: each gives what it is now and what it was before, false
---for a path that is not there.
---@async
---@param path string
---@param seconds number? between two looks; 1 by default
---@return fun(): halo.Stat|false, halo.Stat|false
function fs.poll(path, seconds, ...)
  check.no_more(3, "poll", ...)
  return by_path.poll(core.AT_FDCWD, path, seconds)
end

return fs
