-- A program that runs others without a certain system call, as containers do.

local command = require "spec.support.command"

local quote, run = command.quote, command.run

local denial = {}

---Builds spec/support/deny_call.c, the first time. Nil and a reason where that is not possible.
---@return string? program takes the system call, the error, and a command
---@return string? reason
function denial.program()
  local program = command.build_dir .. "/deny_call"
  local compiler = command.exists("cc") and "cc" or command.exists("gcc") and "gcc"
  if not compiler then
    return nil, "there is no C compiler"
  end
  local source = "spec/support/deny_call.c"
  local _, stderr, status = run(("test %s -nt %s || %s -Wall -Wextra -o %s %s"):format(
    quote(program), source, compiler, quote(program), source))
  assert(status == 0, stderr)
  _, stderr, status = run(quote(program, "setup", "EPERM", "true"))
  return status == 0 and program or nil, "seccomp does not work here: " .. stderr
end

return denial
