-- The prompt on a terminal of its own, for specs.

local assert = require "luassert"
local command = require "spec.support.command"
local terminal = require "spec.support.terminal"

local prompt = {}

---@param dir spec.Dir where the history is, and what stty says before and after
---@param options spec.TerminalOptions?
---@return spec.Process
function prompt.start(dir, options)
  options = options or {}
  options.environment = options.environment or ("%s XDG_STATE_HOME=%s NO_COLOR=1"):format(
    options.term and "TERM=" .. options.term or "TERM=xterm",
    command.quote(options.state or dir:path "state"))
  options.settings = dir:path "settings"
  local process = terminal.start(command.halo("-i"), options)
  process:await "leaves.\r\n"
  process:await "> "
  return process
end

---Types a line, and awaits what comes of it and the next prompt.
function prompt.enter(process, line, expected)
  process:type(line .. "\r")
  process:await("\r\n" .. expected .. "\r\n")
  process:await "> "
end

---@return string stdout all of it
function prompt.leave(process)
  process:type "\4"
  local stdout, stderr, status = process:finish()
  assert.equal(0, status, stderr .. stdout)
  return stdout
end

---The terminal is as it was, however the prompt was left.
function prompt.check_terminal(dir)
  if dir:has "settings.after" then
    assert.equal(dir:read "settings.before", dir:read "settings.after")
  end
end

return prompt
