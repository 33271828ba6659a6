-- A command on a terminal of its own, for specs that type at it.
--
--     local terminal = terminal.start(command.halo())
--     terminal:await "> "
--     terminal:type "1 + 1\r"
--     terminal:await "2\r\n"

local command = require "spec.support.command"

local terminal = {}

---Whether there is what it takes.
---@return boolean
function terminal.is_available()
  return command.exists "script" and command.exists "stty"
end

---@class spec.TerminalOptions
---@field term string?
---@field state string? where the history is
---@field columns integer?
---@field environment string? for env(1), before the command
---@field settings string? a path: what stty says before goes to PATH.before, and afterwards to
---PATH.after
---@field patience_s number? where it has to last longer than others

---@param line string for the shell
---@param options spec.TerminalOptions?
---@return spec.Process
function terminal.start(line, options)
  options = options or {}
  local settings = command.quote(options.settings or "/dev/null")
  local suffix = options.settings and { ".before", ".after" } or { "", "" }
  local inner = table.concat({
    "stty rows 24 cols " .. (options.columns or 80),
    "trap : INT QUIT TERM HUP", -- which are for the command alone
    "stty -a >" .. settings .. suffix[1],
    ("env %s %s"):format(options.environment or "TERM=xterm", line),
    "status=$?",
    "stty -a >" .. settings .. suffix[2],
    "exit $status",
  }, "; ")
  return command.start(command.quote("script", "-qefc", inner, "/dev/null"), options.patience_s)
end

return terminal
