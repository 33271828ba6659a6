-- The lines that were typed at the prompt, in a file: $XDG_STATE_HOME/halo/history, which is below
-- ~/.local/state by default. Each line is appended when it is entered, so that several prompts at
-- once lose none of each other's.

local core = require "halo.core"
local fs = require "halo.fs"
local path = require "halo.path"

local LINES_MAX = 1000

local history = {}

---@return string?
local function file_path()
  local state, home = core.getenv "XDG_STATE_HOME", core.getenv "HOME"
  if state and path.is_absolute(state) then
    return path.join(state, "halo", "history")
  elseif home and home ~= "" then
    return path.join(home, ".local", "state", "halo", "history")
  end
end

---The latest lines, oldest first.
---@return string[]
function history.load()
  local name, lines = file_path(), {}
  local text = name and fs.readfile(name) or ""
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  if #lines > 2 * LINES_MAX then -- once in a while the old ones are dropped
    fs.writefile(name, table.concat(lines, "\n", #lines - LINES_MAX + 1) .. "\n",
      { atomic = true, perm = 384 })
  end
  return { unpack(lines, math.max(1, #lines - LINES_MAX + 1)) }
end

---Whether a line is to be kept: what begins with a blank is not.
---@param line string
---@return boolean
function history.wants(line)
  return line:find("^%S") ~= nil and not line:find("[%z\1-\8\11-\31]")
end

---@param line string
---@return true?
---@return string? message
function history.add(line)
  local name = file_path()
  if not name then
    return true
  end
  local ok, message = fs.writefile(name, line .. "\n", { append = true, perm = 384 })
  if not ok then
    fs.mkdir(path.dirname(name), { parents = true, perm = 448 })
    ok, message = fs.writefile(name, line .. "\n", { append = true, perm = 384 })
  end
  return ok, message
end

return history
