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

---@param line string for the shell
---@param options { columns: integer?, environment: string? }?
---@return spec.Process
function terminal.start(line, options)
  options = options or {}
  local inner = ("stty rows 24 cols %d; exec env %s %s"):format(options.columns or 80,
    options.environment or "TERM=xterm", line)
  return command.start(command.quote("script", "-qefc", inner, "/dev/null"))
end

return terminal
