-- Shows a value as a reader would write it, for the prompt.

local stat = require "halo.fs.stat"

local DEPTH_MAX, ITEMS_MAX = 3, 50

local show

local function key(value)
  if type(value) == "string" and value:match("^[%a_][%w_]*$") then
    return value
  end
  return "[" .. show(value, DEPTH_MAX) .. "]"
end

---Numbers first, then strings, each in their order; the rest as it comes.
local function before(a, b)
  local type_a, type_b = type(a), type(b)
  if type_a == type_b and (type_a == "number" or type_a == "string") then
    return a < b
  end
  if type_a ~= type_b then
    return type_a < type_b
  end
  return tostring(a) < tostring(b)
end

local function show_table(value, depth, seen)
  if seen[value] then
    return "<cycle>"
  end
  if depth >= DEPTH_MAX then
    return next(value) == nil and "{}" or "{...}"
  end
  seen[value] = true
  local items, keys = {}, {}
  for i = 1, #value do
    if #items == ITEMS_MAX then
      break
    end
    items[i] = show(value[i], depth + 1, seen)
  end
  for k in pairs(value) do
    if type(k) ~= "number" or k < 1 or k > #value or k % 1 ~= 0 then
      keys[#keys + 1] = k
    end
  end
  table.sort(keys, before)
  for _, k in ipairs(keys) do
    if #items >= ITEMS_MAX then
      break
    end
    items[#items + 1] = key(k) .. " = " .. show(value[k], depth + 1, seen)
  end
  if #items == ITEMS_MAX then
    items[#items + 1] = "..."
  end
  seen[value] = nil
  if #items == 0 then
    return "{}"
  end
  local line = "{ " .. table.concat(items, ", ") .. " }"
  if #line <= 76 then
    return line
  end
  local indent = ("  "):rep(depth + 1)
  return "{\n" .. indent .. table.concat(items, ",\n" .. indent) .. "\n" .. ("  "):rep(depth) .. "}"
end

---@param value any
---@param depth integer?
---@param seen table?
---@return string
function show(value, depth, seen)
  local kind = type(value)
  if kind == "string" then
    return (("%q"):format(value):gsub("\\\n", "\\n"):gsub("\r", "\\r"))
  elseif stat.is_stat(value) then
    return "stat " .. show_table(value:table(), depth or 0, seen or {})
  elseif kind == "table" and not (debug.getmetatable(value) or {}).__tostring then
    return show_table(value, depth or 0, seen or {})
  end
  return tostring(value)
end

return show
