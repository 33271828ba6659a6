-- JSON, as much of it as results.json needs: no escapes but \" and \\, no null.

local json = {}

local function is_array(value)
  return #value > 0 or next(value) == nil
end

local function sorted_keys(value)
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

---@param value any
---@param indent string?
---@return string
function json.encode(value, indent)
  indent = indent or ""
  if type(value) == "string" then
    return '"' .. value:gsub('[\\"]', "\\%0") .. '"'
  elseif type(value) ~= "table" then
    return type(value) == "number" and ("%.10g"):format(value) or tostring(value)
  end
  local parts, deeper = {}, indent .. "  "
  if is_array(value) then
    for i, item in ipairs(value) do parts[i] = json.encode(item, deeper) end
    local flat = "[" .. table.concat(parts, ", ") .. "]"
    if #flat < 80 and not flat:find "\n" then return flat end
    return "[\n" .. deeper .. table.concat(parts, ",\n" .. deeper) .. "\n" .. indent .. "]"
  end
  for _, key in ipairs(sorted_keys(value)) do
    parts[#parts + 1] = json.encode(key) .. ": " .. json.encode(value[key], deeper)
  end
  return "{\n" .. deeper .. table.concat(parts, ",\n" .. deeper) .. "\n" .. indent .. "}"
end

local decode_value

---The items up to the closing bracket, each read by `read`, which returns where it ends.
local function decode_items(text, at, close, read)
  at = text:find("%S", at)
  while text:sub(at, at) ~= close do
    at = text:find("%S", read(at))
    if text:sub(at, at) == "," then at = text:find("%S", at + 1) end
  end
  return at + 1
end

local function decode_array(text, at)
  local array = {}
  return array, decode_items(text, at, "]", function(from)
    array[#array + 1], from = decode_value(text, from)
    return from
  end)
end

local function decode_object(text, at)
  local object = {}
  return object, decode_items(text, at, "}", function(from)
    local key
    key, from = decode_value(text, from)
    object[key], from = decode_value(text, text:find(":", from, true) + 1)
    return from
  end)
end

local function decode_string(text, at)
  local from = at
  while text:sub(at, at) ~= '"' do at = at + (text:sub(at, at) == "\\" and 2 or 1) end
  return (text:sub(from, at - 1):gsub("\\(.)", "%1")), at + 1
end

function decode_value(text, at)
  at = text:find("%S", at)
  local first = text:sub(at, at)
  if first == "{" then return decode_object(text, at + 1) end
  if first == "[" then return decode_array(text, at + 1) end
  if first == '"' then return decode_string(text, at + 1) end
  local word = text:match("^[^%s,%]}]+", at)
  if word == "true" or word == "false" then return word == "true", at + #word end
  return assert(tonumber(word), "not JSON"), at + #word
end

---@param text string
---@return any
function json.decode(text)
  return (decode_value(text, 1))
end

return json
