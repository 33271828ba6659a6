-- The words of Lua code, as far as the prompt has to know them: where strings and comments end, and
-- which names and signs stand outside of them.

local tokens = {}

local QUOTED_END = { ['"'] = '^[^"\\]*()(["\\]?)', ["'"] = "^[^'\\]*()(['\\]?)" }

---Where a quoted string ends that begins at a place; nil where it does not.
local function find_quote(code, at)
  local quote = code:sub(at, at)
  local from = at + 1
  while true do
    local place, sign = code:match(QUOTED_END[quote], from)
    if sign == quote then
      return place
    elseif sign == "" then
      return nil
    end
    from = place + 2
  end
end

---The token at a place: its kind, and its last byte, or none where it is not closed.
---@param code string
---@param at integer
---@return "name"|"number"|"string"|"comment"|"sign" kind
---@return integer? last
local function token_at(code, at)
  local dashes = code:match("^%-%-()", at)
  local level, open = code:match("^%[(=*)%[()", dashes or at)
  if level then
    local _, last = code:find("]" .. level .. "]", open, true)
    return dashes and "comment" or "string", last
  elseif dashes then
    return "comment", (code:find("\n", at, true) or #code + 1) - 1
  end
  local _, last = code:find("^[%a_\128-\255][%w_\128-\255]*", at)
  if last then
    return "name", last
  elseif QUOTED_END[code:sub(at, at)] then
    return "string", find_quote(code, at)
  end
  _, last = code:find("^%.?%d[%w_.]*", at)
  if last then
    return "number", last
  end
  _, last = code:find("^[=~<>]=", at)
  return "sign", last or at
end

---Goes through the tokens of a piece of code. The last one may have no end, as a string that goes
---on in the next line.
---@param code string
---@return fun(): string?, integer?, integer? kind, first and last byte
function tokens.each(code)
  local at = 1
  return function()
    at = at and code:find("%S", at)
    if at then
      local first = at
      local kind, last = token_at(code, first)
      at = last and last + 1
      return kind, first, last
    end
  end
end

return tokens
