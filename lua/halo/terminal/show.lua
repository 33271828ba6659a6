-- Shows a value as a reader would write it, for the prompt: in one line where that fits, cut where
-- it is long, saying how much is left out.

local columns_of = require "halo.terminal.columns"
local stat = require "halo.fs.stat"

local metatable_of, getinfo = debug.getmetatable, debug.getinfo

local DEPTH_MAX, ITEMS_MAX = 4, 50
local STRING_MAX, INNER_STRING_MAX = 4000, 200
local WIDTH = 80

local COLOURS = {
  string = "32", number = "33", boolean = "35", ["nil"] = "35", key = "36", note = "2",
}

---@class halo.Show
---@field colour boolean?
---@field width integer
---@field seen table<table, true> what is being shown

---A piece of text, with the columns that it takes.
local function piece(self, kind, text)
  local width = columns_of(text)
  if self.colour and COLOURS[kind] then
    text = ("\27[%sm%s\27[0m"):format(COLOURS[kind], text)
  end
  return { text = text, width = width }
end

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

local function escape(text)
  text = text:gsub('[%c"\\]', function(byte)
    return ESCAPES[byte] or ("\\%03d"):format(byte:byte())
  end)
  return text
end

---Bytes of no character in UTF-8 would spoil the screen.
local function escape_invalid(text)
  local parts, at = {}, 1
  while at <= #text do
    local valid = text:match("^[\32-\127]+()", at)
      or text:match("^[\194-\223][\128-\191]()", at)
      or text:match("^[\224-\239][\128-\191][\128-\191]()", at)
      or text:match("^[\240-\244][\128-\191][\128-\191][\128-\191]()", at)
    if valid then
      parts[#parts + 1] = text:sub(at, valid - 1)
      at = valid
    else
      parts[#parts + 1] = ("\\%03d"):format(text:byte(at))
      at = at + 1
    end
  end
  return table.concat(parts)
end

local function show_string(self, value, depth)
  local max = depth == 0 and STRING_MAX or INNER_STRING_MAX
  local shown = piece(self, "string", '"' .. escape_invalid(escape(value:sub(1, max))) .. '"')
  if #value > max then
    local rest = piece(self, "note", (" ... %d more bytes"):format(#value - max))
    return { text = shown.text .. rest.text, width = shown.width + rest.width }
  end
  return shown
end

local function show_function(value)
  local info = getinfo(value, "S")
  if info.what == "C" then
    return "function (built in)"
  elseif info.source:find("^=%[halo%]") then
    return "function (of halo)"
  end
  return ("function (%s:%d)"):format(info.short_src, info.linedefined)
end

local show

local function show_key(self, key)
  if type(key) == "string" and key:match("^[%a_][%w_]*$") then
    return piece(self, "key", key)
  end
  local shown = show(self, key, DEPTH_MAX)
  return { text = "[" .. shown.text .. "]", width = shown.width + 2 }
end

---Numbers first, then strings, each in their order; the rest as it comes.
local function before(a, b)
  local type_a, type_b = type(a), type(b)
  if type_a == type_b and (type_a == "number" or type_a == "string") then
    return a < b
  elseif type_a ~= type_b then
    return type_a < type_b
  end
  return tostring(a) < tostring(b)
end

---The keys that are not those of the list at the front.
local function other_keys(value)
  local keys = {}
  for key in pairs(value) do
    if type(key) ~= "number" or key < 1 or key > #value or key % 1 ~= 0 then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, before)
  return keys
end

---The items of a table as pieces, and how many are left out.
local function show_items(self, value, depth)
  local items, keys = {}, other_keys(value)
  for i = 1, math.min(#value, ITEMS_MAX) do
    items[i] = show(self, value[i], depth + 1)
  end
  for i = 1, math.min(#keys, ITEMS_MAX - #items) do
    local key, item = show_key(self, keys[i]), show(self, value[keys[i]], depth + 1)
    items[#items + 1] = {
      text = key.text .. " = " .. item.text,
      width = key.width + 3 + item.width,
      long = item.long,
    }
  end
  return items, #value + #keys - #items
end

---Puts items into braces: in one line where they fit.
local function join(self, items, depth)
  local width, long, texts = 4, false, {}
  for i, item in ipairs(items) do
    width, long, texts[i] = width + item.width + 2, long or item.long, item.text
  end
  if not long and width + 2 * depth <= self.width then
    return { text = "{ " .. table.concat(texts, ", ") .. " }", width = width }
  end
  local indent = ("  "):rep(depth + 1)
  local inner = table.concat(texts, ",\n" .. indent)
  local text = "{\n" .. indent .. inner .. "\n" .. ("  "):rep(depth) .. "}"
  return { text = text, width = 0, long = true }
end

local function show_table(self, value, depth)
  if self.seen[value] then
    return piece(self, "note", "<itself>")
  elseif next(value) == nil then
    return piece(self, nil, "{}")
  elseif depth >= DEPTH_MAX then
    return piece(self, "note", "{...}")
  end
  self.seen[value] = true
  local items, left_out = show_items(self, value, depth)
  self.seen[value] = nil
  if left_out > 0 then
    items[#items + 1] = piece(self, "note", ("... %d more"):format(left_out))
  end
  return join(self, items, depth)
end

function show(self, value, depth)
  local kind = type(value)
  if kind == "string" then
    return show_string(self, value, depth)
  elseif stat.is_stat(value) then
    local shown = show_table(self, value:table(), depth)
    return { text = "stat " .. shown.text, width = shown.width + 5, long = shown.long }
  elseif kind == "table" and not (metatable_of(value) or {}).__tostring then
    return show_table(self, value, depth)
  elseif kind == "function" then
    return piece(self, "note", show_function(value))
  end
  local text = tostring(value)
  if type(text) ~= "string" then
    error("'tostring' must return a string", 0)
  end
  return piece(self, COLOURS[kind] and kind or nil, text)
end

---@param value any
---@param options { colour: boolean?, width: integer? }?
---@return string
return function(value, options)
  local self = {
    colour = options and options.colour,
    width = options and options.width or WIDTH,
    seen = {},
  }
  return show(self, value, 0).text
end
