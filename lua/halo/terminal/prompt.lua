-- The prompt: each line runs as a task while the others go on in the background. Its values are
-- printed; an error is printed and does not end the session.

local core = require "halo.core"
local fs = require "halo.fs"
local show = require "halo.terminal.show"

local repl = {}

local PROMPT, CONTINUED = "> ", ">> "
local CHUNK_BYTES = 4096

---Lines of standard input, read through the loop so that other tasks go on meanwhile.
---@return fun(prompt: string): string?
local function reader()
  local input = assert(core.adopt(0, "standard input"))
  local rest, ended = "", false
  return function(prompt)
    io.stdout:write(prompt)
    io.stdout:flush()
    while true do
      local line, after = rest:match("^([^\n]*)\n(.*)$")
      if line then
        rest = after
        return line
      end
      if ended then
        line, rest = rest, ""
        return line ~= "" and line or nil
      end
      local data, message = fs.read(input, CHUNK_BYTES)
      ended = not data
      rest = rest .. (data or "")
      if message then
        error(message, 0)
      end
    end
  end
end

local function is_incomplete(message)
  return message:find("near '<eof>'", 1, true) ~= nil
end

---An expression is a statement that returns it. Also says whether more lines are needed.
---@return function? chunk
---@return string? message
---@return boolean? incomplete
local function compile(code)
  local chunk, expression = loadstring("return " .. code:gsub("^%s*=", ""), "=stdin")
  if chunk then
    return chunk
  end
  local statement
  chunk, statement = load(code, "=stdin", "t")
  return chunk, statement, not chunk and (is_incomplete(expression) or is_incomplete(statement))
end

local function print_values(count, ...)
  local shown = {}
  for i = 1, count do
    shown[i] = show((select(i, ...)))
  end
  if count > 0 then
    print(table.concat(shown, "\t"))
  end
end

local function report(value)
  return core.report("error", value)
end

local function tell(message)
  io.stdout:flush()
  io.stderr:write(message, "\n")
end

local function finish(ok, ...)
  if not ok then
    return tell((...))
  end
  -- To show a value may be a matter of its __tostring, which may fail.
  local shown, message = xpcall(print_values, report, select("#", ...), ...)
  if not shown then
    tell(message)
  end
end

local function evaluate(chunk)
  finish(xpcall(chunk, report))
end

---Reads one chunk, over several lines where the first are incomplete.
---@return function? chunk nil at the end of the input
local function read_chunk(read)
  local code = read(PROMPT)
  while code do
    local chunk, message, incomplete = compile(code)
    local line = incomplete and read(CONTINUED)
    if chunk then
      return chunk
    elseif line then
      code = code .. "\n" .. line
    else
      io.stderr:write("error: ", message, "\n")
      code = read(PROMPT)
    end
  end
end

---Runs the prompt until the input ends.
---@async
function repl.run()
  io.stdout:setvbuf "line"
  local read = reader()
  for chunk in read_chunk, read do
    core.join(core.spawn(evaluate, chunk))
  end
  print()
end

return repl
