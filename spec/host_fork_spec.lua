-- A host that forks, and its child: spec/support/host_fork.c.

local command = require "spec.support.command"
local host_program = require "spec.support.host_program"

local program, why_not = host_program.build "host_fork"

local cases = {
  { "made", "cannot use its parent's runtime, nor reach it by any call" },
  { "own", "cannot do so where the state is the host's, either" },
  { "fresh", "has one of its own where the parent's had not begun" },
  { "locked", "finds no lock held, whatever other threads did" },
}

describe("a child of a host", function()
  for _, case in ipairs(cases) do
    it(case[2], function()
      if not program then
        return pending(why_not)
      elseif os.getenv "SANITIZE" == "thread" then
        return pending "TSAN has no threads in a child of fork()"
      end
      local stdout, stderr, status = command.run(command.quote(program, case[1]))
      assert.same({ "as expected\n", "", 0 }, { stdout, stderr, status })
    end)
  end
end)
