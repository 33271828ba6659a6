-- The module halo.path: paths as texts. Nothing here looks at the file system.

local path = {}

---Whether a path starts at the root.
---@param name string
---@return boolean
function path.is_absolute(name)
  return name:sub(1, 1) == "/"
end

---Puts paths behind one another with a slash between; an absolute one begins anew.
---@param ... string
---@return string
function path.join(...)
  local joined = ""
  for i = 1, select("#", ...) do
    local part = select(i, ...)
    if path.is_absolute(part) or joined == "" then
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

---The last component.
---@param name string
---@param suffix string? is taken off where the component ends in it
---@return string
function path.basename(name, suffix)
  local base = trim(name):match "([^/]*)$"
  if base == "" then
    base = name:sub(1, 1)
  end
  if suffix and #suffix < #base and base:sub(-#suffix) == suffix then
    base = base:sub(1, -#suffix - 1)
  end
  return base
end

---What stands before the last component: "." where there is nothing.
---@param name string
---@return string
function path.dirname(name)
  local dir = trim(name):match "^(.*)/[^/]*$"
  if not dir then
    return name:sub(1, 1) == "/" and "/" or "."
  end
  return dir == "" and "/" or trim(dir)
end

---The last component's extension with its dot, or "".
---@param name string
---@return string
function path.extension(name)
  return path.basename(name):match "[^.](%.[^.]*)$" or ""
end

---Without ".", "..", and doubled slashes, as far as the text alone allows: where a component is a
---symbolic link, ".." leads elsewhere, and fs.realpath() says where.
---@param name string
---@return string
function path.normalize(name)
  local absolute, parts = path.is_absolute(name), {}
  for part in name:gmatch "[^/]+" do
    if part == ".." and #parts > 0 and parts[#parts] ~= ".." then
      parts[#parts] = nil
    elseif part ~= "." and not (part == ".." and absolute) then
      parts[#parts + 1] = part
    end
  end
  local joined = table.concat(parts, "/")
  if absolute then
    return "/" .. joined
  end
  return joined == "" and "." or joined
end

return path
