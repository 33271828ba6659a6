-- A host's descriptors, for which scripts wait by halo.poll(): spec/support/host_polls.c.

local command = require "spec.support.command"
local host_program = require "spec.support.host_program"

local program, why_not = host_program.build "host_polls"

local cases = {
  { "eventfd", "wakes the host when it is ready, and not before" },
  { "socket", "may be a socket, whose end counts as ready" },
  { "many", "is one of many that are ready by turns" },
  { "cancelled", "is not looked at any more once the wait is given up" },
  { "closed", "may be closed meanwhile, and its number be another's" },
}

describe("a host's descriptor that a script polls", function()
  for _, case in ipairs(cases) do
    it(case[2], function()
      if not program then
        return pending(why_not)
      end
      local stdout, stderr, status = command.run(command.quote(program, case[1]))
      assert.same({ "as expected", "", 0 }, { stdout:match "([^\n]*)\n$", stderr, status }, stdout)
    end)
  end
end)
