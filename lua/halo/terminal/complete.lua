-- What Tab does at the prompt: it completes globals and the session's variables, fields, methods,
-- commands, and paths inside of strings. It calls nothing of the user's.

local columns_of = require "halo.terminal.columns"
local core = require "halo.core"
local fs = require "halo.fs"
local tokens = require "halo.terminal.tokens"

local metatable_of, getinfo = debug.getmetatable, debug.getinfo

local LISTED_MAX = 100
local WIDTH = 80
local INDENTATION = "  "

local KEYWORDS = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
  "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
}

---The names that a value has as fields, its metatable's included, as far as no function gives them.
local function add_fields(found, value, depth)
  if type(value) == "table" then
    for name in pairs(value) do
      if type(name) == "string" and name:match("^[%a_][%w_]*$") then
        found[name] = true
      end
    end
  end
  local metatable = metatable_of(value)
  if metatable and depth < 8 then
    add_fields(found, rawget(metatable, "modules"), depth + 1) -- what halo loads when asked for
    local index = rawget(metatable, "__index")
    if type(index) == "table" then
      add_fields(found, index, depth + 1)
    end
  end
end

---A field's value; only halo's own functions are asked for one.
local function get_field(value, name)
  for _ = 1, 8 do
    if type(value) == "table" and rawget(value, name) ~= nil then
      return rawget(value, name)
    end
    local metatable = metatable_of(value)
    local index = metatable and rawget(metatable, "__index")
    if type(index) == "function" then
      local is_own = getinfo(index, "S").source:find("^=%[halo%]")
      return is_own and index(value, name) or nil
    end
    value = index
  end
end

---What a name stands for.
local function get_named(chunks, name)
  if chunks:names()[name] then
    return chunks:get(name)
  end
  return get_field(_G, name)
end

---What stands before the name that is being typed, such as fs in `fs.re`.
local function resolve(chunks, chain)
  local value
  for name in chain:gmatch("[%a_][%w_]*") do
    if value == nil then
      value = get_named(chunks, name)
    else
      value = get_field(value, name)
    end
    if value == nil then
      return nil
    end
  end
  return value
end

local function names_of(chunks, chain, sign)
  local found, value = {}, nil
  if chain == "" then
    for name in pairs(chunks:names()) do
      found[name] = true
    end
    add_fields(found, _G, 0)
    for _, word in ipairs(KEYWORDS) do
      found[word] = true
    end
  else
    value = resolve(chunks, chain)
    add_fields(found, value, 0)
  end
  if sign == ":" then
    for name in pairs(found) do
      if type(get_field(value, name)) ~= "function" then
        found[name] = nil
      end
    end
  end
  return found, value
end

---The candidates that begin with a word, sorted.
local function matching(found, word)
  local list = {}
  for name in pairs(found) do
    if name:sub(1, #word) == word then
      list[#list + 1] = name
    end
  end
  table.sort(list)
  return list
end

local function common_prefix(list)
  local prefix = list[1]
  for i = 2, #list do
    while list[i]:sub(1, #prefix) ~= prefix do
      prefix = prefix:sub(1, -2)
    end
  end
  -- Not into the middle of a character.
  return (prefix:gsub("[\194-\244][\128-\191]*$", function(last)
    local whole = { [2] = "[\194-\223]", [3] = "[\224-\239]", [4] = "[\240-\244]" }
    return whole[#last] and last:match("^" .. whole[#last]) and last or ""
  end))
end

---Names in columns.
local function in_columns(list)
  local widest, shown = 0, {}
  for i = 1, math.min(#list, LISTED_MAX) do
    shown[i] = list[i]:gsub("%c", "?") -- a file's name may hold what is not for the terminal
    widest = math.max(widest, columns_of(shown[i]))
  end
  local width = core.terminal_columns() or WIDTH
  local columns = math.max(1, math.floor((width + 1) / (widest + 2)))
  local rows, lines = math.ceil(#shown / columns), {}
  for row = 1, rows do
    local line = {}
    for i = row, #shown, rows do
      line[#line + 1] = shown[i] .. (" "):rep(widest - columns_of(shown[i]))
    end
    lines[row] = table.concat(line, "  "):gsub("%s+$", "")
  end
  if #list > #shown then
    lines[#lines + 1] = ("... %d more"):format(#list - #shown)
  end
  return table.concat(lines, "\n")
end

---What to insert for a word, and what to show where several fit.
local function answer(list, word, tail)
  if #list == 0 then
    return nil
  elseif #list == 1 then
    return list[1]:sub(#word + 1) .. tail(list[1])
  end
  local insertion = common_prefix(list):sub(#word + 1)
  return insertion, insertion == "" and in_columns(list) or nil
end

local function complete_path(text)
  local dir, word = text:match("^(.*/)([^/]*)$")
  dir, word = dir or "", word or text
  local found, kinds = {}, {}
  for _, entry in ipairs(fs.readdir(dir == "" and "." or dir) or {}) do
    if entry.name:sub(1, 1) ~= "." or word:sub(1, 1) == "." then
      found[entry.name], kinds[entry.name] = true, entry.type
    end
  end
  return answer(matching(found, word), word, function(name)
    local is_dir = kinds[name] == "dir" or kinds[name] ~= "file" and fs.stat(dir .. name, "is_dir")
    return is_dir and "/" or ""
  end)
end

local complete = {}

---@param chunks halo.Chunks
---@param commands table<string, any> by the names of the `:` commands
---@return fun(before: string): string?, string? complete what to insert at the cursor, and what to
---show below the line
function complete.new(chunks, commands)
  return function(before)
    if not before:find "%S" then
      return INDENTATION -- as in a pasted line, which begins with one
    end
    local command = before:match("^:(%a*)$")
    if command then
      return answer(matching(commands, command), command, function() return " " end)
    end
    local file = before:match "^:%s*load%s+(.*)$"
    if file then
      return complete_path(file)
    end
    for kind, first, last in tokens.each(before) do
      if kind == "string" and not last then
        return complete_path((before:sub(first + 1):gsub("^=*%[", "")))
      elseif not last then
        return nil -- a comment
      end
    end
    local chain, sign, word = before:match("([%a_][%w_%.:]*)([%.:])([%w_]*)$")
    if not chain then
      chain, sign, word = "", "", before:match("([%a_]?[%w_]*)$")
      if before:sub(1, -#word - 1):match("[%.:]$") then
        return nil -- of what stands before the dot there is no telling without a call
      end
    end
    local found, value = names_of(chunks, chain, sign)
    return answer(matching(found, word), word, function(name)
      local field
      if chain == "" then
        field = get_named(chunks, name)
      else
        field = get_field(value, name)
      end
      return type(field) == "function" and "(" or ""
    end)
  end
end

return complete
