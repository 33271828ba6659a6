-- A program that runs others without a certain system call, as containers do.

local build = require "spec.support.build"
local command = require "spec.support.command"

local quote, run = command.quote, command.run

local denial = {}

---Builds spec/support/deny_call.c, the first time. Nil and a reason where that is not possible.
---@return string? program takes the system call, the error, and a command
---@return string? reason
function denial.program()
  local program, reason = build.program "deny_call"
  if not program then
    return nil, reason
  end
  local _, stderr, status = run(quote(program, "setup", "EPERM", "true"))
  return status == 0 and program or nil, "seccomp does not work here: " .. stderr
end

return denial
