-- What others print while a line is being typed: it appears above that line, which is drawn again
-- whole.

local channel = require("halo.channel").channel
local core = require "halo.core"

local metatable_of = debug.getmetatable

local output = {}

local editor -- nil once the prompt has been left: what still unwinds prints as in a script
local printing = 0 -- how many tasks do: each may wait for the terminal, while others go on
local hidden = false -- the line is, by the first of them
local waiting = false -- the prompt does, until all have printed
local left = 0 -- how many are to have printed until it waits no longer
local settled = channel(1)

---Once none prints any more the line is drawn again, on a row of its own.
local function finish(at_start, ok, ...)
  local flushed, message = pcall(io.stdout.flush, io.stdout)
  printing = printing - 1
  if printing == 0 then
    if hidden and editor then
      editor:show(at_start)
    end
    hidden = false
  end
  left = left - 1
  if waiting and (printing == 0 or left <= 0) then
    waiting = false
    settled:send(true)
  end
  if not ok or not flushed then
    error(ok and message or (...), 0) -- as when the task is cancelled meanwhile
  end
  return ...
end

---Calls fn with the line off the screen.
local function above(fn, ends_row, ...)
  if not editor then
    return fn(...)
  end
  hidden = editor:hide() or hidden
  printing = printing + 1
  return finish(ends_row, pcall(fn, ...))
end

---Waits until nobody prints, and the line may be drawn; but not for ever for tasks that never stop.
---@async
function output.settle()
  if printing > 0 then
    waiting, left = true, printing
    settled:recv()
  end
end

---Whether the last of some values ends a row.
local function ends_row(...)
  local count = select("#", ...)
  local last = count > 0 and select(count, ...) or "\n"
  return type(last) == "string" and last:sub(-1) == "\n"
end

---Lets all that prints to the terminal do so above the editor's line.
---@param of halo.Editor
function output.above(of)
  editor = of
  local files, File = metatable_of(io.stdout).__index, core.File
  local print_plainly, write_plainly, write_file = print, io.write, files.write
  local fd_of, write_halo = core.fd, File.write
  local to_terminal = { [io.stdout] = true, [io.stderr] = true }

  _G.print = function(...)
    return above(print_plainly, true, ...)
  end
  io.write = function(...) -- luacheck: ignore 122
    return above(write_plainly, ends_row(...), ...)
  end
  files.write = function(file, ...)
    if to_terminal[file] then
      return above(write_file, ends_row(...), file, ...)
    end
    return write_file(file, ...)
  end
  File.write = function(file, ...)
    local fd = fd_of(file)
    if fd == 1 or fd == 2 then
      return above(write_halo, ends_row(...), file, ...)
    end
    return write_halo(file, ...)
  end
end

---Lets it be printed as before: the editor is about to be closed.
function output.plainly()
  editor = nil
end

return output
