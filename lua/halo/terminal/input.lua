-- The lines that are typed at the prompt. They are read through the loop, so that other tasks go on
-- meanwhile; standard input is read only as long as a line is wanted, since what runs may read it.

local channel = require("halo.channel").channel
local core = require "halo.core"
local fs = require "halo.fs"
local output = require "halo.terminal.output"

local CHUNK_BYTES = 4096
local KEY_BEGINS = "\27[%[O]?[%d;]*$" -- one of which the rest is still to come
local EDITED_MAX = 2000 -- bytes; a longer line is taken as it comes, without editing

---@class halo.PromptInput
---@field private file halo.File standard input
---@field private editor halo.Editor? where there is a terminal, and libedit
---@field private pending string read, and not used yet
---@field private reading halo.Task? a task that waits for more
---@field private waiting boolean the prompt does, for an event
---@field private events halo.Channel what the task brings, and interrupts
---@field private long string[]? the pieces of a line that is too long to be edited
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
  if waiting then
    self.events:send { interrupted = true }
  end
  return waiting
end

---@async
local function read_more(self)
  local data = fs.read(self.file, CHUNK_BYTES)
  self.reading = nil
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
  return not event.interrupted and event.data or nil
end

---Adds to a line that is too long to be edited. Returns it once it is whole, and what is behind it.
local function take_long(self, bytes)
  local last, after = bytes:match("^([^\r\n]*)[\r\n](.*)$")
  table.insert(self.long, last or bytes)
  if last then
    local line = table.concat(self.long)
    self.long = nil
    return line, after
  end
end

---Gives the editor what was typed. Returns the line once it is whole, or false at the end of the
---input, and what is behind it.
local function feed(self, bytes)
  local line = bytes:match("^[^\r\n]*")
  if self.long then
    return take_long(self, bytes)
  elseif #line > EDITED_MAX or #line + #self.editor:text() > EDITED_MAX then
    self.editor:hide()
    io.stdout:write("(a line too long to be edited)\n")
    self.long = { self.editor:text() }
    return take_long(self, bytes)
  end
  local key = bytes:match(KEY_BEGINS)
  if key and #key < #bytes then
    self.pending = key
    bytes = bytes:sub(1, -#key - 1)
  end
  return self.editor:feed(bytes)
end

---Ends a line that was interrupted. Says whether anything was typed.
local function drop(self)
  local typed = self.long or self.editor:text() ~= ""
  self.long = nil
  self.editor:stop()
  io.stdout:write "^C"
  return typed and "dropped" or "interrupted"
end

---@async
local function edit(self, prompt)
  local line, rest
  self.editor:start(prompt)
  while line == nil do
    local bytes = self.pending
    self.pending = ""
    if bytes == "" or bytes:match("^" .. KEY_BEGINS) then
      local data = wait(self)
      if not data then
        return nil, drop(self)
      elseif data == "" then
        break
      end
      bytes = bytes .. data
    end
    line, rest = feed(self, bytes)
  end
  self.editor:stop()
  self.pending = rest and rest .. self.pending or self.pending
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

---The next line, without its end.
---@async
---@param prompt string
---@return string? line nil at the end of the input
---@return string? why "interrupted" where that is the cause, "dropped" where it was half typed
function Input:line(prompt)
  if self.editor then
    return edit(self, prompt)
  end
  return read_plain(self, prompt)
end

---What other tasks print appears above the line that is being typed.
function Input:let_others_print()
  if self.editor then
    output.above(self.editor)
  end
end

---The line that is being typed is drawn again, after others have had the screen.
function Input:redraw()
  if self.editor and self.editor:hide() then
    self.editor:show(true)
  end
end

function Input:remember(line)
  if self.editor then
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
