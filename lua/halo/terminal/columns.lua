-- How many columns a text in UTF-8 takes on a terminal: letters of East Asia and pictures take two,
-- marks above a letter none.

local WIDE = { "[\227-\237]", "\239[\188\189]", "\240\159" } -- how such characters begin
local NONE = { "\204[\128-\191]", "\205[\128-\175]" }

local function count(text, pattern)
  return select(2, text:gsub(pattern, ""))
end

---@param text string
---@return integer
return function(text)
  local columns = count(text, "[^\128-\191]")
  if columns < #text then
    for _, pattern in ipairs(WIDE) do
      columns = columns + count(text, pattern)
    end
    for _, pattern in ipairs(NONE) do
      columns = columns - count(text, pattern)
    end
  end
  return columns
end
