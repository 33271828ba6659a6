-- Paths as texts, for calls that work on several names. What the user has written stays as it is;
-- halo.path is for those who want it tidied.

local paths = {}

---Where a path ends: the directory it lies in, and the name there.
---@param path string
---@return string prefix what stands before the name; it ends in a slash, or is empty
---@return string name without slashes behind it; empty where there is none
function paths.split(path)
  local trimmed = path:match "^(.*[^/])/*$" or ""
  local prefix = trimmed:match "^.*/" or ""
  return prefix, trimmed:sub(#prefix + 1)
end

---A path without its last name.
---@param path string
---@return string? # nil where it has only one
function paths.parent(path)
  return path:match "^(.*[^/])/+[^/]+/*$"
end

---What stands before the names in a directory.
---@param dir string
---@return string # it ends in a slash, or is empty as the directory is
function paths.prefix(dir)
  return (dir == "" or dir:sub(-1) == "/") and dir or dir .. "/"
end

return paths
