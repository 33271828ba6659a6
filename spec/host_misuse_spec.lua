-- Calls of a host that are wrong get a code that halo_lua.h names: spec/support/host_misuse.c.

local command = require "spec.support.command"
local host_program = require "spec.support.host_program"

local program, why_not = host_program.build "host_misuse"

local cases = {
  { "null", "has NULL in it, or too little on the stack" },
  { "options", "asks for what cannot be" },
  { "after_close", "comes after the close" },
  { "wrong_thread", "comes from another thread" },
  { "reentrant", "comes from inside of a step" },
  { "tokens", "completes a token twice, or awaits one that is used up" },
  { "answers", "leaves fewer values than it says, or waits in a function that cannot" },
  { "never", "is not followed by an answer, or by one when all is over" },
  { "memory", "finds no memory, at each allocation in turn" },
}

describe("a host's call that", function()
  for _, case in ipairs(cases) do
    it(case[2], function()
      if not program then
        return pending(why_not)
      end
      if case[1] == "memory" and os.getenv "SANITIZE" == "thread" then
        return pending "a thousand starts are too slow for TSAN"
      end
      local stdout, stderr, status = command.run(command.quote(program, case[1]))
      assert.same({ "as expected\n", "", 0 }, { stdout, stderr, status })
    end)
  end
end)
