-- The lines that are typed at the prompt. They are read through the loop, so that other tasks go on
-- meanwhile; standard input is read only as long as a line is wanted, since what runs may read it.

local channel = require("halo.channel").channel
local core = require "halo.core"
local fs = require "halo.fs"
local output = require "halo.terminal.output"
local search = require "halo.terminal.search"

local CHUNK_BYTES = 4096
-- Keys of which the rest is still to come: a sequence of an arrow's kind, and characters of several
-- bytes.
local KEY_BEGINS = {
  "\27[%[O]?[%d;]*$", "[\194-\244]$", "[\224-\244][\128-\191]$",
  "[\240-\244][\128-\191][\128-\191]$",
}
local PASTE_BEGINS, PASTE_ENDS = "\27[200~", "\27[201~"
local CTRL_C, CTRL_R = "\3", "\18"
local BEFORE_MAX = 1000 -- lines that are searched
local EDITED_MAX = 2000 -- bytes; a longer line is taken as it comes, without editing
local FURTHER, PASTED = ">> ", "paste>> " -- the prompts of a paste's further lines, and of its last

---@class halo.PromptInput
---@field private file halo.File standard input
---@field private editor halo.Editor? where there is a terminal, and libedit
---@field private pending string read, and not used yet
---@field private reading halo.Task? a task that waits for more
---@field private waiting boolean the prompt does, for an event
---@field private interrupted boolean? an interrupt is among the events
---@field private events halo.Channel what the task brings, and interrupts
---@field private prompt string of the line that is being edited
---@field private long string[]? the pieces of a line that is too long to be edited
---@field private tail string what comes behind them
---@field private paste string[]? the pieces of what is being pasted
---@field private search halo.Search? in the lines of before, while it goes on
---@field private before string[] these lines
---@field private above string[] the lines of a paste above the one that is being edited
local Input = {}
Input.__index = Input

local input = {}

---@param complete fun(before: string): string?, string?
---@return halo.PromptInput
function input.open(complete)
  return setmetatable({
    file = assert(core.adopt(0, "standard input")),
    editor = core.open_editor(complete),
    pending = "",
    waiting = false,
    before = {},
    events = channel(16),
  }, Input)
end

---@return boolean
function Input:is_edited()
  return self.editor ~= nil
end

---The task that waits for what is typed, if one does.
---@return halo.Task?
function Input:reader()
  return self.reading
end

---Ends the line that is waited for. False where none is.
---@async
---@return boolean
function Input:interrupt()
  local waiting = self.waiting
  if waiting and not self.interrupted then
    self.interrupted = true
    self.events:send { interrupted = true }
  end
  return waiting
end

---@async
local function read_more(self)
  local data = fs.read(self.file, CHUNK_BYTES)
  self.events:send { data = data or "" }
end

---@async
---@return string? data "" at the end, nil where it was interrupted
local function wait(self)
  if not self.reading then
    self.reading = core.spawn_helper(read_more, self)
  end
  self.waiting = true
  local event = self.events:recv()
  self.waiting = false
  if event.data then
    self.reading = nil
  end
  if self.interrupted and event.data then
    event = self.events:recv() -- the interrupt, which has come meanwhile: it drops what was typed
  end
  self.interrupted = false
  return event.data
end

-- ---- one line ---------------------------------------------------------------------------------

---Goes on with a line that the editor can no longer hold, between what is before and behind.
local function begin_long(self, before, behind)
  self.editor:hide()
  io.stdout:write "(a line too long to be edited)\n"
  self.long, self.tail = { before }, behind
end

---Adds to a line that is too long to be edited. Returns it once it is whole, or true at Ctrl-C, and
---what is behind it.
local function take_long(self, bytes)
  local last, sign, after = bytes:match "^([^\r\n\3]*)([\r\n\3])(.*)$"
  table.insert(self.long, last or bytes)
  if sign == CTRL_C then
    return true, after
  elseif sign then
    local line = table.concat(self.long) .. self.tail
    self.long = nil
    return line, after
  end
end

---Gives the editor the keys that were typed. Returns the line once it is whole, or false at the end
---of the input, or true at Ctrl-C, and what is behind it.
local function type_keys(self, bytes)
  if self.long then
    return take_long(self, bytes)
  end
  local line = bytes:match "^[^\r\n]*"
  local before, behind = "", ""
  if #line > EDITED_MAX / 2 then -- a shorter one may be too long only for what has been typed
    before, behind = self.editor:text()
  end
  if #before + #line + #behind > EDITED_MAX then
    begin_long(self, before, behind)
    return take_long(self, bytes)
  end
  return self.editor:feed(bytes)
end

-- ---- a paste ----------------------------------------------------------------------------------

---The lines of a text, be their ends those of Unix or others.
local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = line
  end
  return lines
end

---Control characters as they are in a line that is edited: they are not for the terminal.
local function printable(text)
  return (text:gsub("[%z\1-\8\11-\31\127]", function(character)
    return character == "\127" and "^?" or "^" .. string.char(character:byte() + 64)
  end))
end

---Puts what was pasted into the line. A single line can be edited as if it had been typed; of
---several the last can. None is run before Enter, so that they are one piece.
local function insert(self, text)
  local lines = lines_of((text:gsub("\r\n?", "\n"):gsub("%z", "")))
  if #lines == 2 and lines[2] == "" then
    lines[2] = nil
  end
  local before, behind = self.editor:text()
  if self.long then
    before, behind, self.long = table.concat(self.long), self.tail, nil
  end
  lines[1] = before .. lines[1]
  self.editor:hide()
  for i = 1, #lines - 1 do
    io.stdout:write(self.prompt, printable(lines[i]), "\n")
    table.insert(self.above, lines[i])
    self.prompt = i < #lines - 1 and FURTHER or PASTED
  end
  local last = lines[#lines]
  if #last + #behind > EDITED_MAX then
    self.editor:set(self.prompt, "", "")
    return begin_long(self, last, behind)
  end
  self.editor:set(self.prompt, last, behind)
  self.editor:show(true)
end

---Adds to what is being pasted. Once it has come to its end, returns what is behind it.
local function take_paste(self, bytes)
  local paste = self.paste
  -- The mark of the end may come in two parts.
  local latest = (table.remove(paste) or "") .. bytes
  local first, last = latest:find(PASTE_ENDS, 1, true)
  if not first then
    table.insert(paste, latest:sub(1, -#PASTE_ENDS - 1))
    table.insert(paste, latest:sub(-#PASTE_ENDS))
    return nil
  end
  table.insert(paste, latest:sub(1, first - 1))
  insert(self, table.concat(paste))
  return latest:sub(last + 1)
end

-- ---- what comes -------------------------------------------------------------------------------

---Goes on with a paste, or with a search, which have begun. Returns what is behind it.
local function go_on(self, bytes)
  local behind
  if self.paste then
    behind = take_paste(self, bytes)
    self.paste = not behind and self.paste or nil
  else
    behind = self.search:type(bytes)
    self.search = not behind and self.search or nil
  end
  return nil, behind
end

---The first place in what was typed where a paste begins, or a search.
local function find_special(bytes)
  local first, last = bytes:find(PASTE_BEGINS, 1, true)
  local ctrl_r = bytes:find(CTRL_R, 1, true)
  if ctrl_r and ctrl_r < (first or #bytes + 1) then
    return ctrl_r, ctrl_r
  end
  return first, last
end

---Where a key begins that is not whole yet.
local function find_key(bytes)
  for _, pattern in ipairs(KEY_BEGINS) do
    local first = bytes:find(pattern, -16)
    if first then
      return first
    end
  end
  local prefixes = bytes:match "[\22\24]*$" -- Ctrl-V and Ctrl-X, which take another key each
  return #prefixes % 2 == 1 and #bytes or nil
end

---Gives the editor what was typed or pasted. Returns what type_keys() does.
local function feed(self, bytes)
  local ctrl_c = self.paste and bytes:find(CTRL_C, 1, true)
  if ctrl_c and ctrl_c < (bytes:find(PASTE_ENDS, 1, true) or #bytes + 1) then
    return true, bytes:sub(ctrl_c + 1) -- terminals paste none: the paste's end has been lost
  elseif self.paste or self.search then
    return go_on(self, bytes)
  end
  local first, last = find_special(bytes)
  if not first then
    return type_keys(self, bytes)
  elseif first > 1 then
    local before = bytes:sub(1, first - 1)
    local key = find_key(before)
    if key and last == first then -- the rest of a key, as behind Ctrl-V
      before, first = bytes:sub(1, first), first + 1
    elseif key then -- of which nothing comes: libedit would take that for the end of the input
      before = before:sub(1, key - 1)
    end
    if before == "" then
      return nil, bytes:sub(first)
    end
    local line, rest = type_keys(self, before)
    return line, (rest or "") .. bytes:sub(first)
  elseif last > first then
    self.paste = {}
  elseif not self.long then
    self.search = search.begin(self.editor, self.prompt, self.before)
  end
  return nil, bytes:sub(last + 1)
end

---Ends a line that was interrupted. Says whether anything was typed.
local function drop(self)
  local before, behind = self.editor:text()
  local typed = self.long or self.paste or self.above[1] or before ~= "" or behind ~= ""
  self.long, self.paste = nil, nil
  self.editor:stop(true)
  io.stdout:write "^C"
  return typed and "dropped" or "interrupted"
end

---What has come, as far as the keys are whole. Waits for more where there is nothing.
---@async
---@return string? bytes "" at the end, nil where it was interrupted
local function next_bytes(self)
  while true do
    local bytes = self.pending
    local key = find_key(bytes) or #bytes + 1
    if key > 1 then
      self.pending = bytes:sub(key)
      return bytes:sub(1, key - 1)
    end
    local data = wait(self)
    if not data or data == "" then
      return data
    end
    self.pending = bytes .. data
  end
end

---@async
local function edit(self, prompt, beside_tasks)
  self.prompt, self.above, self.paste, self.search, self.long = prompt, {}, nil, nil, nil
  output.settle()
  self.editor:start(prompt, not beside_tasks)
  local line, rest
  while line == nil do
    local bytes = next_bytes(self)
    output.settle()
    if bytes == "" then
      break
    elseif bytes then
      line, rest = feed(self, bytes)
      self.pending = (rest or "") .. self.pending
    else
      line = true
    end
  end
  if line == true then
    return nil, drop(self)
  end
  self.editor:stop()
  if line and self.above[1] then
    table.insert(self.above, line)
    return table.concat(self.above, "\n")
  end
  return line or nil
end

---@async
local function read_plain(self, prompt)
  io.stdout:write(prompt)
  io.stdout:flush()
  while not self.pending:find("\n", 1, true) do
    local data = wait(self)
    if not data then
      return nil, "interrupted"
    elseif data == "" then
      local last = self.pending
      self.pending = ""
      return last ~= "" and last or nil
    end
    self.pending = self.pending .. data
  end
  local line, after = self.pending:match("^([^\n]*)\n(.*)$")
  self.pending = after
  return line
end

---The next line, without its end; several lines where they were pasted.
---@async
---@param prompt string
---@param beside_tasks boolean Ctrl-C is a signal, which also ends a task that computes for ever
---@return string? line nil at the end of the input
---@return string? why "interrupted" where that is the cause, "dropped" where it was half typed
function Input:line(prompt, beside_tasks)
  if self.editor then
    return edit(self, prompt, beside_tasks)
  end
  return read_plain(self, prompt)
end

---What other tasks print appears above the line that is being typed.
function Input:let_others_print()
  if self.editor then
    output.above(self.editor)
  end
end

---Whether a Ctrl-C has been typed behind the latest line, before that began to run. Such a one
---drops all that was typed until then, as a terminal does.
---@return boolean
function Input:take_interrupt()
  local behind = self.editor and self.pending:match "^.*\3(.*)$"
  self.pending = behind or self.pending
  return behind ~= nil
end

---Drops what was typed before a Ctrl-C.
function Input:forget()
  if self.editor then
    self.pending = ""
  end
end

---The line that is being typed is drawn again.
---@param elsewhere boolean? others have had the screen: it is drawn where they have left the cursor
function Input:redraw(elsewhere)
  if self.editor and self.editor:hide(elsewhere) then
    self.editor:show(true)
  end
end

function Input:remember(line)
  if self.editor then
    table.insert(self.before, line)
    if #self.before > BEFORE_MAX then
      table.remove(self.before, 1)
    end
    self.editor:remember(line)
  end
end

---The terminal is as it was before.
function Input:close()
  if self.editor then
    output.plainly()
    self.editor:close()
  end
end

return input
