-- What halo_lua.h promises beyond what examples/host.c uses: no call lets an error out.

local command = require "spec.support.command"
local host_program = require "spec.support.host_program"

local program, why_not = host_program.build "host_calls"

describe("a call of a host", function()
  local function check(case, expected)
    if not program then
      return pending(why_not)
    end
    local stdout, _, status = command.run(command.quote(program, case))
    assert.same({ expected, 0 }, { (stdout:gsub("task %d+ waits", "task N waits")), status })
  end

  it("has as many results as it asks for, or an error", function()
    check("results", "run: -2 not enough memory\nrun: 0 \nrun: 0 3 1\n")
  end)

  it("is told of tasks that only the host can wake, and may go on", function()
    local waits = "step: -3 deadlock: every task waits for another one\n"
      .. "\ttask N waits in channel at script:1 (0)\n"
    check("stuck", waits .. waits .. "step: 0 (0)\ngot value\nstep: 0 (0)\n")
  end)

  it("is told of a deadlock, and may end it", function()
    if not program then
      return pending(why_not)
    end
    local stdout = command.run(command.quote(program, "deadlock"))
    assert.matches("^step: %-3 deadlock: [^\n]*\n\ttask", stdout)
    assert.matches("step: 0 %(0%)\n$", stdout)
  end)

  it("is woken, though a call waits on the spot meanwhile", function()
    check("wake", "step: 1\n")
  end)

  it("reaches into a shield by the second interruption", function()
    check("interrupt", "step: 1 (0)\nstep: 0 (0)\n")
  end)

  it("reaches into the shield of a task that another one waits for", function()
    check("interrupt_members", "step: 2 (0)\nstep: 0 (0)\n")
  end)

  it("lets halo's own code come to its end, wherever an interruption comes", function()
    check("interrupt_each", "interrupted: often\n")
  end)
end)
