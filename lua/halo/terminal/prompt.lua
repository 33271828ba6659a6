-- The prompt: each line runs as a task while the others go on in the background. Its values are
-- printed; an error is printed and does not end the session. Ctrl-C ends what the line does, or
-- drops what is being typed.

local chunk = require "halo.terminal.chunk"
local commands = require "halo.terminal.commands"
local complete = require "halo.terminal.complete"
local core = require "halo.core"
local ffi = require "ffi"
local help = require "halo.terminal.help"
local history = require "halo.terminal.history"
local input = require "halo.terminal.input"
local show = require "halo.terminal.show"

local prompt = {}

local PROMPT, FURTHER = "> ", ">> "
-- In what is read of interrupts: the command had stopped, and goes on; the terminal's size changed.
local CONTINUED, RESIZED = 2 ^ 48, 2 ^ 32
local EXIT_INTERRUPTED = 130
local JOINED_MAX = 1000 -- bytes of what is several lines, and comes again as one

-- Why there is no line, where the cursor is left behind the prompt.
local BREAKS = { interrupted = true, dropped = true, ["end"] = true }

---@class halo.Session
---@field chunks halo.Chunks
---@field input halo.PromptInput
---@field showing { colour: boolean, width: integer }
---@field running halo.Task? what the latest line does
---@field interrupted boolean? by a Ctrl-C that came before it began
---@field is_terminal boolean
---@field asked boolean? whether to leave tasks behind
---@field ended integer? the status to leave with
---@field pieces string[] chunks that were pasted at once, and are still to run

local function tell(message)
  if select(2, core.stdout_failed()) then
    return -- nobody reads it
  end
  io.stdout:flush()
  io.stderr:write(message, "\n")
end

---The columns that there are for values.
local function width()
  return core.terminal_columns() or tonumber(core.getenv "COLUMNS") or 80
end

-- ---- values -----------------------------------------------------------------------------------

local function print_values(self, count, ...)
  local shown, lines = {}, false
  for i = 1, count do
    shown[i] = show((select(i, ...)), self.showing)
    lines = lines or shown[i]:find("\n", 1, true)
  end
  if count > 0 then
    print(table.concat(shown, lines and "\n" or "\t"))
  end
end

local function report(value)
  if value == core.cancelled or value == core.uncertain or value == "interrupted" then
    core.forgive_stdout() -- for what it would still have printed
    return "interrupted"
  end
  return core.report("error", value)
end

local function finish(self, ok, ...)
  if not ok then
    self.pieces = {}
    return tell((...))
  elseif select("#", ...) > 0 then
    self.chunks:set("_", (...))
  end
  -- To show a value may be a matter of its __tostring, which may fail.
  local shown, message = xpcall(print_values, report, self, select("#", ...), ...)
  if not shown then
    self.pieces = {}
    tell(message)
  end
end

local function evaluate(self, fn)
  finish(self, xpcall(fn, report))
end

---@async
local function run(self, fn)
  self.running = core.spawn(evaluate, self, fn)
  if self.input:take_interrupt() or self.interrupted then
    core.cancel(self.running)
  end
  self.interrupted = false
  local ok, message = core.join(self.running)
  self.running = nil
  if not ok then
    self.pieces = {}
    tell(report(message))
  end
end

-- ---- lines ------------------------------------------------------------------------------------

---The prompt for the next line of what is not complete: it says what is open.
local function continued(self, state)
  if not self.is_terminal then
    return FURTHER
  elseif state.string then
    return "string" .. FURTHER
  end
  return (state.open[#state.open] or "") .. FURTHER
end

---@async
local function next_line(self, text)
  self.interrupted = false
  return self.input:line(text, commands.has_tasks(self))
end

---Keeps what was entered for the history: in one line, where it was several.
---@async
local function remember(self, code)
  if not self.is_terminal then
    return
  end
  local joined = code:find "\n" and chunk.on_one_line(code)
  if joined and #joined <= JOINED_MAX then
    code = joined
  end
  for line in code:gmatch "[^\n]+" do
    local ok, message = true, nil
    if history.wants(line) then
      self.input:remember(line)
      ok, message = history.add(line)
    end
    if not ok and not self.told_history then
      self.told_history = true
      tell("the history cannot be kept: " .. message)
    end
  end
end

---Reads on as long as what was entered is incomplete.
---@async
---@return string? code nil at the end, or where it was interrupted
---@return function? chunk
---@return string? message where it is none: why
local function read_on(self, code)
  local fn, message, state = self.chunks:compile(code)
  while state do
    local line, why = next_line(self, continued(self, state))
    if not line and why then
      remember(self, code)
      return nil
    elseif not line then
      break
    end
    code = code .. "\n" .. line
    fn, message, state = self.chunks:compile(code)
  end
  return code, fn, message
end

---Of what is no chunk: the pieces that it is, or why it is neither.
---@return string[]? pieces
---@return string? message
local function split(code, message)
  local pieces, of_piece
  if code:find "\n" and not message:find "ambiguous syntax" then
    pieces, of_piece = chunk.split(code, commands.is_one)
  end
  if pieces and #pieces > 1 then
    return pieces
  end
  -- The one that has come further is about the mistake.
  local line, further = message:match "^stdin:(%d+):", (of_piece or ""):match "^stdin:(%d+):"
  if line and further and tonumber(further) > tonumber(line) then
    message = of_piece
  end
  return nil, message
end

---@async
---@return string? code
---@return string? why there is none
local function next_code(self)
  local code, why = table.remove(self.pieces, 1), nil
  if not code then
    code, why = next_line(self, PROMPT)
  end
  return code, why
end

---Reads one chunk, over several lines where the first are incomplete.
---@async
---@return function? chunk
---@return string? why there is none: "interrupted", "dropped", "empty", "command", "broken", "end"
local function read_chunk(self)
  local code, why = next_code(self)
  if not code then
    return nil, why or "end"
  elseif code:find "^:[^\n]*$" then
    remember(self, code)
    return commands.run(self, code), "command"
  end
  local fn, message
  code, fn, message = read_on(self, code)
  if not code then
    return nil, "dropped" -- the lines before
  elseif fn then
    remember(self, code)
    return fn, not code:find("%S") and "empty" or nil
  end
  local pieces, mistake = split(code, message)
  if pieces then
    self.pieces = pieces
    return read_chunk(self)
  end
  remember(self, code)
  tell("error: " .. mistake)
  return nil, "broken"
end

-- ---- words that others know ------------------------------------------------------------------

---A value that is called, and when it is shown says what to do or does it.
local function word(call, show_it)
  return setmetatable({}, { __call = function(_, ...) return call(...) end, __tostring = show_it })
end

---What is typed at other prompts to get help, and to leave.
local function set_words(self)
  local function leave(status)
    self.ended = type(status) == "number" and status or status == false and 1 or 0
  end
  local words = {
    help = word(function(of)
      commands.run(self, ":help " .. (of ~= nil and help.name_of(of) or ""))
    end, function() return ":help says what there is, help(fs.open) what that does" end),
    quit = word(leave, function() return "quit() or :quit leaves, as Ctrl-D does" end),
    exit = word(leave, function() return "exit() or :quit leaves, as Ctrl-D does" end),
  }
  for name, value in pairs(words) do
    if rawget(_G, name) == nil then
      self.chunks:set(name, value)
    end
  end
end

-- ---- the session ------------------------------------------------------------------------------

local function interrupt(self, interrupts)
  interrupts.calm()
  if self.running then
    self.input:forget()
    core.cancel(self.running)
  elseif not self.input:interrupt() then
    self.interrupted = true -- between the two
  end
end

---Every Ctrl-C comes as a number that is read from a descriptor, and so do the end of a Ctrl-Z and
---another size of the terminal. As long as a line is edited, and there are no tasks, it is a key.
---@async
local function watch_interrupts(self, interrupts)
  local file = assert(core.adopt(interrupts.fd, "interrupts"))
  while true do
    local data = core.read(file, 8)
    if not data then
      return
    end
    local count = tonumber(ffi.cast("uint64_t *", data)[0])
    if count >= RESIZED then
      self.input:redraw(count >= CONTINUED)
      self.showing.width = width()
    end
    if count % RESIZED > 0 then
      interrupt(self, interrupts)
    end
  end
end

---Whether the prompt may be left: where tasks go on, it says which, and asks once.
local function may_leave(self)
  local list = self.is_terminal and not self.asked and commands.tasks(self) or {}
  if #list == 0 then
    return true
  end
  self.asked = true
  print(#list == 1 and "a task goes on:" or ("%d tasks go on:"):format(#list))
  print(table.concat(list, "\n"))
  print "Ctrl-D again ends them, :tasks says what they do."
  return false
end

local Session = {}
Session.__index = Session

---Whether a task is the prompt's own.
function Session:is_own(task)
  return self.own[task] or task == self.running or task == self.input:reader()
end

local function new_session(options)
  local self = setmetatable({
    is_terminal = options.is_terminal,
    chunks = chunk.new(_G),
    own = { [core.current()] = true },
    pieces = {},
  }, Session)
  self.input = input.open(complete.new(self.chunks, commands.all))
  self.showing = {
    colour = options.is_terminal and not core.getenv "NO_COLOR" and core.getenv "TERM" ~= "dumb",
    width = width(),
  }
  if self.is_terminal then
    for _, line in ipairs(history.load()) do
      self.input:remember(line)
    end
  end
  return self
end

---@async
local function loop(self)
  local again = false -- Ctrl-C at an empty prompt, twice, leaves
  while not self.ended do
    local fn, why = read_chunk(self)
    if self.is_terminal and BREAKS[why] then
      print()
    end
    if fn then
      run(self, fn)
    elseif why == "end" and may_leave(self) then
      self.ended = 0
    elseif why == "interrupted" then
      if again then
        self.ended = EXIT_INTERRUPTED
      else
        print "(Ctrl-C again, or Ctrl-D, leaves)"
      end
    end
    again = why == "interrupted"
    self.asked = why == "end" and self.asked
  end
end

---Runs the prompt until the input ends.
---@async
---@param options { is_terminal: boolean, catch_interrupts: function?, banner: string? }
---@return integer status
function prompt.run(options)
  io.stdout:setvbuf "line"
  local self = new_session(options)
  set_words(self)
  if options.is_terminal then
    print(options.banner)
    self.input:let_others_print()
    self.own[core.spawn_helper(watch_interrupts, self, options.catch_interrupts())] = true
  end
  local ok, message = xpcall(loop, report, self)
  self.input:close()
  if not ok and message ~= "interrupted" then
    tell(message)
  elseif not ok then
    self.ended = EXIT_INTERRUPTED -- by a signal, which ends the command
  end
  if options.is_terminal then
    core.cancel_all()
  else
    print()
  end
  return self.ended
end

return prompt
