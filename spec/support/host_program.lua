-- C programs of spec/support/ that are hosts of halo: built against the library under test.

local busted = require "busted"
local command = require "spec.support.command"

local quote, run = command.quote, command.run

local PATIENCE_S = 120

local host_program = {}

local function flags_of(package)
  return (run(("pkg-config --cflags --libs %s"):format(package)):gsub("%s+$", ""))
end

---Builds spec/support/NAME.c. Nil and a reason where that is not possible.
---@param name string
---@param more string? further flags
---@return string? program
---@return string? reason
function host_program.build(name, more)
  local compiler = command.exists("cc") and "cc" or command.exists("gcc") and "gcc"
  if not compiler or not command.exists "pkg-config" then
    return nil, "there is no C compiler"
  end
  -- Each engine's specs have one of their own: they run at the same time.
  local program = ("%s/%s.%s"):format(command.build_dir, name, os.getenv "HALO_ENGINE" or "auto")
  local sanitize = os.getenv "SANITIZE" or ""
  local _, stderr, status = run(table.concat({
    compiler, "-std=gnu11 -O1 -g -Wall -Wextra -D_GNU_SOURCE= -pthread -Ibindings -Icore",
    sanitize ~= "" and "-fsanitize=" .. sanitize or "", "-o", quote(program),
    quote(("spec/support/%s.c"):format(name), command.build_dir .. "/libhalo.a"),
    more or "", flags_of "luajit", flags_of "liburing", flags_of "libmd", "-lm",
    os.getenv "HOST_LIBS" or "",
  }, " "), PATIENCE_S)
  assert(status == 0, stderr)
  return program
end

---@class spec.HostCase
---@field [1] string the program's argument
---@field [2] string what it shows
---@field says string? a pattern: what it says before
---@field not_in_tsan string? why that cannot be tried under TSAN

---A block with a test for each case of a program, which says "as expected" or what was not so.
---@param what string
---@param name string of the program
---@param cases spec.HostCase[]
---@param more string? further flags
function host_program.describe(what, name, cases, more)
  local program, why_not = host_program.build(name, more)
  local in_tsan = os.getenv "SANITIZE" == "thread"

  busted.describe(what, function()
    for _, case in ipairs(cases) do
      busted.it(case[2], function()
        local reason = not program and why_not or in_tsan and case.not_in_tsan
        if reason then
          busted.pending(reason)
          return
        end
        local stdout, stderr, status = run(quote(program, case[1]))
        busted.assert.same({ "", 0 }, { stderr, status }, stdout)
        busted.assert.matches("^" .. (case.says or "") .. "as expected\n$", stdout)
      end)
    end
  end)
end

return host_program
