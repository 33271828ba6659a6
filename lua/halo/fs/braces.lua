-- Braces in patterns: {c,h} stands for each in turn, {1..10..2} and {a..e} for a range. All of this
-- is as in bash, so that braces which are neither stay as they are written. A backslash takes the
-- meaning off what follows, and is left for the next reader of the pattern.

local core = require "halo.core"

local PATTERNS_MAX = 10000
local DEPTH_MAX = 100
local EXACT_MAX = 2 ^ 53

local braces = {}

local function fail(problem, ...)
  core.raise("bad argument #1 to 'glob' (" .. problem:format(...) .. ")")
end

-- ---- ranges ------------------------------------------------------------------------------------

---The number that a text says; nil where it says none.
local function number_of(text)
  local number = text:match "^[+-]?%d+$" and tonumber((text:gsub("^%+", "")))
  if number and math.abs(number) >= EXACT_MAX then
    fail("a range has a number beyond 2^53: %s", text)
  end
  return number
end

local function is_padded(text)
  return text:find "^%-?0%d" ~= nil
end

---A number with zeros in front, so that it has a width, its sign included.
local function pad(number, width)
  local sign, digits = number < 0 and "-" or "", ("%.0f"):format(math.abs(number))
  return sign .. ("0"):rep(width - #sign - #digits) .. digits
end

local function numbers(first, last)
  if not (first:find "^[+-]?%d+$" and last:find "^[+-]?%d+$") then
    return nil
  end
  local from, to = number_of(first), number_of(last)
  local padded = is_padded(first) or is_padded(last)
  local width = padded and math.max(#first, #last) or 0
  return from, to, function(number)
    return pad(number, width)
  end
end

local function letters(first, last)
  if first:find "^%a$" and last:find "^%a$" then
    return first:byte(), last:byte(), string.char
  end
end

---What a range stands for; nil for a text that is none.
local function range_of(text)
  local first, last = text:match "^(.-)%.%.(.*)$"
  if not first then
    return nil
  end
  local end_of_range, by = last:match "^(.-)%.%.(.+)$"
  last = end_of_range or last
  local from, to, write = numbers(first, last)
  if not from then
    from, to, write = letters(first, last)
  end
  local step = from and number_of(by or "1")
  if not step then
    return nil
  end
  step = math.max(math.abs(step), 1) * (from > to and -1 or 1)
  if (to - from) / step >= PATTERNS_MAX then
    fail("more than %d alternatives", PATTERNS_MAX)
  end
  local found = {}
  for number = from, to, step do
    found[#found + 1] = write(number)
  end
  return found
end

-- ---- braces ------------------------------------------------------------------------------------

---Where the brace at a byte closes: a comma or two dots have come before, and what is in braces
---inside does not count.
local function find_close(text, open)
  local depth, has_content, at = 0, false, open + 1
  while at <= #text do
    local letter = text:sub(at, at)
    if letter == "\\" then
      at = at + 1
    elseif letter == "{" then
      depth = depth + 1
    elseif letter == "}" and depth == 0 and has_content then
      return at
    elseif letter == "}" then
      depth = math.max(depth - 1, 0)
    elseif depth == 0 and (letter == "," or text:find("^%.%.[^}]", at)) then
      has_content = true
    end
    at = at + 1
  end
end

---The first brace that closes, from a byte on. {} in front is a name.
local function find_brace(text, from)
  local at = from
  while at <= #text do
    local letter = text:sub(at, at)
    if letter == "\\" then
      at = at + 1
    elseif letter == "{" and not (at == from and text:sub(at + 1, at + 1) == "}") then
      local close = find_close(text, at)
      if close then
        return at, close
      end
    end
    at = at + 1
  end
end

---The parts of a text between its commas, but for those in braces; nil where there is no comma,
---not even in braces.
local function split(text)
  local parts, depth, from, at, has_comma = {}, 0, 1, 1, false
  while at <= #text do
    local letter = text:sub(at, at)
    if letter == "\\" then
      at = at + 1
    elseif letter == "{" then
      depth = depth + 1
    elseif letter == "}" then
      depth = math.max(depth - 1, 0)
    elseif letter == "," then
      has_comma = true
      if depth == 0 then
        parts[#parts + 1] = text:sub(from, at - 1)
        from = at + 1
      end
    end
    at = at + 1
  end
  parts[#parts + 1] = text:sub(from)
  return has_comma and parts or nil
end

---Each of some texts with each of others behind it.
local function combine(texts, others)
  if #texts * #others > PATTERNS_MAX then
    fail("more than %d alternatives", PATTERNS_MAX)
  end
  local combined = {}
  for _, text in ipairs(texts) do
    for _, other in ipairs(others) do
      combined[#combined + 1] = text .. other
    end
  end
  return combined
end

local expand

---What stands for the braces around a text.
local function expand_inside(text, depth)
  local parts = split(text)
  if not parts then
    return range_of(text) or { "{" .. text .. "}" }
  end
  local found = {}
  for _, part in ipairs(parts) do
    for _, expanded in ipairs(expand(part, depth + 1)) do
      found[#found + 1] = expanded
    end
  end
  return found
end

function expand(text, depth)
  if depth > DEPTH_MAX then
    fail("more than %d braces one in the other", DEPTH_MAX)
  end
  local found, from = { "" }, 1
  while true do
    local open, close = find_brace(text, from)
    if not open then
      return combine(found, { text:sub(from) })
    end
    found = combine(found, { text:sub(from, open - 1) })
    found = combine(found, expand_inside(text:sub(open + 1, close - 1), depth))
    from = close + 1
  end
end

---The patterns without braces that one with braces stands for.
---@param text string
---@return string[]
function braces.expand(text)
  return expand(text, 0)
end

return braces
