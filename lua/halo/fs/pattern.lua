-- Patterns of names, as shells have them. A pattern of one name becomes a list of what it is made
-- of: a character's number, a set of characters, ANY of them, or STAR, any number of any.

local core = require "halo.core"

local pattern = {}

local ANY, STAR = {}, {}
local ALTERNATIVES_MAX = 10000
local NO_CHARACTER = 0x110000 -- added to a byte that belongs to none

-- ---- characters --------------------------------------------------------------------------------

---How many bytes the UTF-8 character at a byte has, and the bits its first byte brings; 1 for a
---byte that begins none.
local function leading(byte)
  if byte >= 0xf0 and byte <= 0xf4 then
    return 4, byte - 0xf0
  elseif byte >= 0xe0 and byte < 0xf0 then
    return 3, byte - 0xe0
  elseif byte >= 0xc2 and byte < 0xe0 then
    return 2, byte - 0xc0
  end
  return 1, byte < 0x80 and byte or byte + NO_CHARACTER
end

---The number of the character at a byte, and how many bytes it has.
local function character_at(text, at)
  local size, number = leading(text:byte(at))
  for i = at + 1, at + size - 1 do
    local byte = text:byte(i)
    if not byte or byte < 0x80 or byte >= 0xc0 then
      return text:byte(at) + NO_CHARACTER, 1
    end
    number = number * 64 + byte - 0x80
  end
  return number, size
end

---The numbers of a name's characters. Names are bytes: those that are no UTF-8 stand for
---themselves.
local function characters(text)
  if #text < 256 and not text:find "[\128-\255]" then
    return { text:byte(1, -1) }
  end
  local numbers, at = {}, 1
  while at <= #text do
    local number, size = character_at(text, at)
    numbers[#numbers + 1] = number
    at = at + size
  end
  return numbers
end

-- ---- one name --------------------------------------------------------------------------------

local ASTERISK, QUESTION, OPEN, CLOSE, DASH, BACKSLASH, DOT = ("*?[]-\\."):byte(1, -1)

local negations = { [("!"):byte()] = true, [("^"):byte()] = true }

---The set that begins at a bracket, and where it ends; nil where no bracket closes it.
local function parse_set(source, at)
  local set = { ranges = {}, negated = negations[source[at + 1]] or false }
  at = at + (set.negated and 2 or 1)
  local first = at
  while source[at] and (source[at] ~= CLOSE or at == first) do
    if source[at] == BACKSLASH and source[at + 1] then
      at = at + 1
    end
    local from, to = source[at], source[at]
    if source[at + 1] == DASH and source[at + 2] and source[at + 2] ~= CLOSE then
      at = at + 2
      if source[at] == BACKSLASH and source[at + 1] then
        at = at + 1
      end
      to = source[at]
    end
    table.insert(set.ranges, { from, to })
    at = at + 1
  end
  if source[at] then
    return set, at
  end
end

---@return any[] parts
---@return boolean magic false where there are only characters
local function parse(text)
  local source, parts, magic, at = characters(text), {}, false, 1
  while source[at] do
    local part = source[at]
    if part == BACKSLASH and source[at + 1] then
      at = at + 1
      part = source[at]
    elseif part == ASTERISK then
      part = STAR
    elseif part == QUESTION then
      part = ANY
    elseif part == OPEN then
      local set, close = parse_set(source, at)
      part, at = set or part, close or at
    end
    magic = magic or type(part) == "table"
    if part ~= STAR or parts[#parts] ~= STAR then
      parts[#parts + 1] = part
    end
    at = at + 1
  end
  return parts, magic
end

local function in_set(set, number)
  for _, range in ipairs(set.ranges) do
    if number >= range[1] and number <= range[2] then
      return not set.negated
    end
  end
  return set.negated
end

local function fits(part, number)
  return part == number or part == ANY or type(part) == "table" and part ~= STAR
    and in_set(part, number)
end

---Where the rest does not fit, the latest star takes one character more: earlier ones need not.
local function match(parts, name)
  local numbers = characters(name)
  local at, i, star, star_at = 1, 1, nil, nil
  while i <= #numbers do
    if parts[at] == STAR then
      star, star_at = at, i
      at = at + 1
    elseif parts[at] and fits(parts[at], numbers[i]) then
      at, i = at + 1, i + 1
    elseif star then
      star_at = star_at + 1
      at, i = star + 1, star_at
    else
      return false
    end
  end
  if parts[at] == STAR then
    at = at + 1
  end
  return parts[at] == nil
end

---@class halo.fs.NamePattern
---@field deep boolean whether it is `**`
---@field literal string? the one name it means
---@field hidden boolean whether it names the dot that a hidden name begins with
---@field private tail string what each name that fits ends with, to be quick about most others
---@field private parts any[]
local NamePattern = {}
NamePattern.__index = NamePattern

---Whether a name fits. A hidden one fits only where the pattern names its dot.
---@param name string
---@param hidden boolean? it fits as any other
---@return boolean
function NamePattern:matches(name, hidden)
  if self.literal then
    return name == self.literal
  elseif name:byte() == DOT and not hidden and not self.hidden then
    return false
  end
  local parts, tail = self.parts, self.tail
  if parts[1] == STAR and not parts[2] then
    return true
  end
  return (tail == "" or name:sub(-#tail) == tail) and match(parts, name)
end

---@param text string the pattern of one name
---@return halo.fs.NamePattern
function pattern.name(text)
  local parts, magic = parse(text)
  return setmetatable({
    deep = text == "**",
    literal = not magic and text:gsub("\\(.)", "%1") or nil,
    hidden = parts[1] == DOT,
    tail = text:reverse():match("^[^*?%[%]\\]*"):reverse(),
    parts = parts,
  }, NamePattern)
end

-- ---- alternatives ------------------------------------------------------------------------------

---The alternatives of the brace at a byte, and where it closes; nil where there are none.
local function alternatives_at(text, open)
  local depth, from, found, at = 0, open + 1, {}, open
  while at <= #text do
    local letter = text:sub(at, at)
    if letter == "\\" then
      at = at + 1
    elseif letter == "{" then
      depth = depth + 1
    elseif letter == "," and depth == 1 then
      found[#found + 1] = text:sub(from, at - 1)
      from = at + 1
    elseif letter == "}" then
      depth = depth - 1
      if depth == 0 then
        found[#found + 1] = text:sub(from, at - 1)
        return #found > 1 and found or nil, at
      end
    end
    at = at + 1
  end
end

---The first brace with alternatives, from a byte on.
local function find_brace(text, at)
  while at <= #text do
    local letter = text:sub(at, at)
    if letter == "\\" then
      at = at + 1
    elseif letter == "{" then
      local found, close = alternatives_at(text, at)
      if found then
        return at, found, close
      end
    end
    at = at + 1
  end
end

local function expand(text, from, out)
  local open, found, close = find_brace(text, from)
  if not open then
    out[#out + 1] = text
    if #out > ALTERNATIVES_MAX then
      core.raise(("bad argument #1 to 'glob' (more than %d alternatives)"):format(ALTERNATIVES_MAX))
    end
    return out
  end
  for _, alternative in ipairs(found) do
    expand(text:sub(1, open - 1) .. alternative .. text:sub(close + 1), open, out)
  end
  return out
end

---The patterns without braces that one with braces stands for.
---@param text string
---@return string[]
function pattern.alternatives(text)
  return expand(text, 1, {})
end

return pattern
