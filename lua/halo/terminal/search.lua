-- Ctrl-R at the prompt: what is typed is looked for in the lines of before, the latest first.
-- libedit has such a search, but waits in it itself, and no task would go on meanwhile.

local CTRL_C, CTRL_G, CTRL_R = "\3", "\7", "\18"

---@class halo.Search
---@field private editor halo.Editor
---@field private lines string[] the oldest first
---@field private prompt string of the line that is edited
---@field private before string? what was typed
---@field private behind string?
---@field private text string looked for
---@field private at integer the line that has been found
---@field private found boolean
local Search = {}
Search.__index = Search

local search = {}

---Puts the found line, or another one, in the place of what is edited.
local function put(self, prompt, before, behind)
  self.editor:hide()
  self.editor:set(prompt, before, behind)
  self.editor:show(true)
end

---The found line up to the place where the text begins, and from there on.
local function halves(self)
  local line = self.lines[self.at]
  local first = line and self.text ~= "" and line:find(self.text, 1, true)
  if not first then
    return self.before, self.behind
  end
  return line:sub(1, first - 1), line:sub(first)
end

local function draw(self)
  local what = self.found and "search" or "not found"
  put(self, ("%s '%s': "):format(what, self.text), halves(self))
end

---Looks for the text from a line on, towards the older ones, in others than one.
local function look(self, from, but)
  self.found = self.text == ""
  for i = from, 1, -1 do
    local line = self.lines[i]
    if not self.found and line ~= but and line:find(self.text, 1, true) then
      self.found, self.at = true, i
    end
  end
  draw(self)
end

---@param editor halo.Editor
---@param prompt string
---@param lines string[]
---@return halo.Search
function search.begin(editor, prompt, lines)
  local self = setmetatable({
    editor = editor, prompt = prompt, lines = lines, text = "", at = #lines, found = true,
  }, Search)
  self.before, self.behind = editor:text()
  draw(self)
  return self
end

---Ends it with the found line, which goes on being edited.
local function accept(self)
  put(self, self.prompt, halves(self))
end

---Takes keys, up to one that ends the search.
---@param bytes string
---@return string? rest what is still to be typed at the line; nil where the search goes on
function Search:type(bytes)
  while bytes ~= "" do
    local text, behind = bytes:match "^([^%z\1-\31\127]+)(.*)$"
    local key = bytes:sub(1, 1)
    behind = behind or bytes:sub(2)
    if text then
      self.text = self.text .. text
      look(self, self.at)
    elseif key == CTRL_R then
      look(self, self.at, self.found and self.text ~= "" and self.lines[self.at] or nil)
    elseif key == "\127" or key == "\8" then
      self.text = self.text:gsub("[%z\1-\127\194-\244][\128-\191]*$", "")
      look(self, #self.lines)
    elseif key == CTRL_G then
      put(self, self.prompt, self.before, self.behind)
      return behind
    else
      if key ~= CTRL_C then
        accept(self)
      end
      return bytes
    end
    bytes = behind
  end
end

return search
