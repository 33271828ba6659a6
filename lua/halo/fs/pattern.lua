-- Patterns of names, as shells have them. A pattern of one name becomes a list of its items: a
-- character's number, a set of characters, ANY of them, or STAR, any number of any.

local core = require "halo.core"

local pattern = {}

local ANY, STAR = {}, {}
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

-- ---- sets --------------------------------------------------------------------------------------

local ASTERISK, QUESTION, OPEN, CLOSE, DASH, BACKSLASH, DOT = ("*?[]-\\."):byte(1, -1)
local COLON, EQUALS = (":="):byte(1, -1)

local negations = { [("!"):byte()] = true, [("^"):byte()] = true }

---What stands in brackets of its own in a set, with the same mark before and behind it.
local marks = { [COLON] = ":", [EQUALS] = "=", [DOT] = "." }

---The classes as in the C locale: ranges, each by its two ends.
local classes = {
  alnum = "09AZaz",
  alpha = "AZaz",
  ascii = "\0\127",
  blank = "  \t\t",
  cntrl = "\0\31\127\127",
  digit = "09",
  graph = "!~",
  lower = "az",
  print = " ~",
  punct = "!/:@[`{~",
  space = "  \t\r",
  upper = "AZ",
  word = "09AZaz__",
  xdigit = "09AFaf",
}

local function fail(problem, ...)
  core.raise("bad argument #1 to 'glob' (" .. problem:format(...) .. ")")
end

local function fail_for_class(name)
  local known = {}
  for class in pairs(classes) do
    known[#known + 1] = class
  end
  table.sort(known)
  fail("no class [:%s:], but %s", name, table.concat(known, ", "))
end

---What stands in brackets of its own at a place in a set, as [:digit:] does.
---@param source integer[] the pattern's characters
---@return string? mark ":", "=" or "."; nil where nothing does
---@return integer[] characters between the marks
---@return integer close where its bracket closes
local function inner_brackets(source, at)
  local mark = source[at] == OPEN and source[at + 1]
  if not marks[mark] then
    return nil
  end
  local inner = {}
  for i = at + 2, #source do
    if i > at + 2 and source[i] == mark and source[i + 1] == CLOSE then
      return marks[mark], inner, i + 1
    end
    inner[#inner + 1] = source[i]
  end
  local word = marks[mark]
  fail("[%s in a set is not closed by %s]; the bracket alone is \\[", word, word)
end

---The one character that [=c=] and [.c.] stand for.
local function only_character(mark, inner)
  if #inner ~= 1 then
    fail("[%s%s] stands for one character in this locale, not for %d", mark, mark, #inner)
  end
  return inner[1]
end

local function text_of(numbers)
  local letters = {}
  for i, number in ipairs(numbers) do
    letters[i] = number < 0x80 and string.char(number) or "?"
  end
  return table.concat(letters)
end

local function add_class(set, name)
  for from, to in (classes[name] or fail_for_class(name)):gmatch "(.)(.)" do
    table.insert(set.ranges, { from:byte(), to:byte() })
  end
end

---The character at a place in a set, and where it ends.
local function parse_end(source, at)
  local mark, inner, close = inner_brackets(source, at)
  if mark == ":" then
    fail "a class cannot be the end of a range"
  elseif mark then
    return only_character(mark, inner), close
  elseif source[at] == BACKSLASH and source[at + 1] then
    at = at + 1
  end
  return source[at], at
end

---Adds what is at a place of a set: a character, a range or a class. Returns where it ends.
local function parse_element(set, source, at)
  local mark, inner, close = inner_brackets(source, at)
  if mark == ":" then
    add_class(set, text_of(inner))
    return close
  elseif mark == "=" then
    local character = only_character(mark, inner)
    table.insert(set.ranges, { character, character })
    return close
  end
  local from, to
  from, at = parse_end(source, at)
  to = from
  if source[at + 1] == DASH and source[at + 2] and source[at + 2] ~= CLOSE then
    to, at = parse_end(source, at + 2)
  end
  table.insert(set.ranges, { from, to })
  return at
end

---The set that begins at a bracket, and where it ends; nil where no bracket closes it.
local function parse_set(source, at)
  local set = { ranges = {}, negated = negations[source[at + 1]] or false }
  local has_inner = false
  at = at + (set.negated and 2 or 1)
  local first = at
  while source[at] and (source[at] ~= CLOSE or at == first) do
    has_inner = has_inner or source[at] == OPEN and marks[source[at + 1]] ~= nil
    at = parse_element(set, source, at) + 1
  end
  if source[at] then
    return set, at
  elseif has_inner then
    fail "a set with a class in it is not closed: it takes two brackets, as [[:digit:]]"
  end
end

-- ---- one name ----------------------------------------------------------------------------------

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

return pattern
