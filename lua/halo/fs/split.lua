-- Where a path ends: the directory it lies in, as it is written, and the name there.

---@param path string
---@return string prefix what stands before the name; it ends in a slash, or is empty
---@return string name without slashes behind it; empty where there is none
return function(path)
  local trimmed = path:match "^(.*[^/])/*$" or ""
  local prefix = trimmed:match "^.*/" or ""
  return prefix, trimmed:sub(#prefix + 1)
end
