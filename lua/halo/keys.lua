-- The keys of tables that are to be lists: one that is no place of a list would be passed over in
-- silence.

local keys = {}

---A key that is no place of a list of that length, where the table has one.
---@param values table
---@param count integer
---@param known table<any, boolean>? other keys that it may have
---@return any? key
function keys.other(values, count, known)
  for key in pairs(values) do
    local is_place = type(key) == "number" and key >= 1 and key <= count and key % 1 == 0
    if not is_place and not (known and known[key]) then
      return key
    end
  end
end

---A key as a message names it.
---@param key any
---@return string
function keys.name_of(key)
  if type(key) == "string" then
    return "'" .. key .. "'"
  end
  return "[" .. tostring(key) .. "]"
end

return keys
