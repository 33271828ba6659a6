-- The module halo.path: paths as texts. Nothing here looks at the file system, but for
-- path.absolute(name), which asks where the process is. A number stands for its text, as in Lua's
-- own string functions.

local core = require "halo.core"

local path = {}

---@param value any the argument at that position of the function of that name
---@return string
local function check(value, position, name)
  if type(value) == "string" then
    return value
  elseif type(value) == "number" then
    return tostring(value)
  end
  local problem = "bad argument #%d to '%s' (path (a string) expected, got %s)"
  core.raise(problem:format(position, name, type(value)))
end

local function starts_at_root(name)
  return name:sub(1, 1) == "/"
end

---Whether a path starts at the root.
---@param name string
---@return boolean
function path.is_absolute(name)
  return starts_at_root(check(name, 1, "is_absolute"))
end

---Puts paths behind one another with a slash between; an absolute one begins anew.
---@param ... string
---@return string
function path.join(...)
  local joined = ""
  for i = 1, select("#", ...) do
    local part = check((select(i, ...)), i, "join")
    if starts_at_root(part) or joined == "" then
      joined = part
    elseif part ~= "" then
      joined = (joined:gsub("/$", "")) .. "/" .. part
    end
  end
  return joined
end

---Without the slashes at the end, but for the root.
local function trim(name)
  return (name:gsub("(.)/+$", "%1"))
end

local function last_of(name)
  local base = trim(name):match "([^/]*)$"
  return base ~= "" and base or name:sub(1, 1)
end

---The last component.
---@param name string
---@param suffix string? is taken off where the component ends in it
---@return string
function path.basename(name, suffix)
  local base = last_of(check(name, 1, "basename"))
  suffix = suffix ~= nil and check(suffix, 2, "basename") or ""
  if suffix ~= "" and #suffix < #base and base:sub(-#suffix) == suffix then
    base = base:sub(1, -#suffix - 1)
  end
  return base
end

---What stands before the last component: "." where there is nothing.
---@param name string
---@return string
function path.dirname(name)
  name = check(name, 1, "dirname")
  local dir = trim(name):match "^(.*)/[^/]*$"
  if not dir then
    return starts_at_root(name) and "/" or "."
  end
  return dir == "" and "/" or trim(dir)
end

---The last component's extension with its dot, or "". Dots that a component begins with begin none.
---@param name string
---@return string
function path.extension(name)
  return last_of(check(name, 1, "extension")):match "^%.*[^.].*(%.[^.]*)$" or ""
end

---The components of a path, without ".", doubled slashes, and ".." where the text says of what.
---@return string[]
local function components(name)
  local absolute, parts = starts_at_root(name), {}
  for part in name:gmatch "[^/]+" do
    if part == ".." and #parts > 0 and parts[#parts] ~= ".." then
      parts[#parts] = nil
    elseif part ~= "." and not (part == ".." and absolute) then
      parts[#parts + 1] = part
    end
  end
  return parts
end

local function normalize(name)
  local joined = table.concat(components(name), "/")
  if starts_at_root(name) then
    return "/" .. joined
  end
  return joined == "" and "." or joined
end

---Without ".", "..", and doubled slashes, as far as the text alone allows: where a component is a
---symbolic link, ".." leads elsewhere, and fs.realpath() says where.
---@param name string
---@return string
function path.normalize(name)
  return normalize(check(name, 1, "normalize"))
end

---A path from the root, normalized as by path.normalize().
---@param name string an absolute one is only normalized
---@param base string? the directory where a relative one begins, absolute itself; the working
---directory by default
---@return string? # nil only where there is no working directory (ENOENT)
---@return string? message
---@return string? code
function path.absolute(name, base)
  name = check(name, 1, "absolute")
  if base ~= nil and not starts_at_root(check(base, 2, "absolute")) then
    core.raise("bad argument #2 to 'absolute' (an absolute path expected)")
  elseif starts_at_root(name) then
    return normalize(name)
  end
  if base == nil then
    local message, code
    base, message, code = core.cwd()
    if not base then
      return nil, message, code
    end
  end
  return normalize(base .. "/" .. name)
end

---The path that leads from a directory to what another path names, normalized: "." for itself,
---"../" for each directory to go up. Where a directory on the way is a symbolic link, ".." leads
---elsewhere: fs.realpath() of both says where they are.
---@param name string
---@param base string the directory; absolute where name is, and relative to the same where not
---@return string
function path.relative(name, base)
  name, base = check(name, 1, "relative"), check(base, 2, "relative")
  if starts_at_root(name) ~= starts_at_root(base) then
    core.raise("bad argument #2 to 'relative' (one path is absolute and the other is not: "
      .. "path.absolute() makes them both so)")
  end
  local to, from, same = components(name), components(base), 0
  while to[same + 1] and to[same + 1] == from[same + 1] do
    same = same + 1
  end
  if from[same + 1] == ".." then
    core.raise("bad argument #2 to 'relative' (the text does not say what to come back to from "
      .. "'..': path.absolute() makes both paths absolute)")
  end
  local steps = ("../"):rep(#from - same) .. table.concat(to, "/", same + 1)
  return steps == "" and "." or trim(steps)
end

return path
