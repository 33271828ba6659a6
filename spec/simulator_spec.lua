-- halo on a model of a kernel: programs drawn from seeds, and small ones that a bug was found by.
-- `make fuzz` runs many more of them. The simulator has engines of its own, so that once is enough.

local command = require "spec.support.command"

local ENGINE = os.getenv "HALO_ENGINE" or "auto"
local SEEDS = 60

---Runs a program for some seeds, each of them twice.
local function simulate(program, first, seeds)
  local line = command.quote("env", "JOBS=2", command.build_dir .. "/simulator/halo",
    "spec/simulator/" .. program, first, seeds, "1")
  local output, errors, status = command.run(line)
  assert(status == 0, output .. errors)
  return output
end

if (os.getenv "SANITIZE" or "") ~= "" then
  describe("in the simulator #slow", function()
    it("is not tried", function()
      pending "sanitizers do not follow the stacks that it switches between"
    end)
  end)
elseif ENGINE == "auto" then
  it("the texts that `make mutants` replaces stand in the sources, once", function()
    for _, mutant in ipairs(require "spec.simulator.mutants") do
      local file = assert(io.open(mutant[2]))
      local text = file:read "*a"
      file:close()
      local _, stop = text:find(mutant[3], 1, true)
      assert.is_truthy(stop, mutant[1])
      assert.is_nil(text:find(mutant[3], stop + 1, true), mutant[1])
    end
  end)

  describe("in the simulator #slow", function()
    for part = 1, 4 do
      it("random programs keep every promise, and do the same again, " .. part, function()
        simulate("fuzz.lua", part * 1000, SEEDS)
      end)
    end

    it("another process gives the same traces", function()
      local first, second = simulate("fuzz.lua", 1, 20), simulate("fuzz.lua", 1, 20)
      assert.equal(first:match "trace %x+", second:match "trace %x+")
    end)

    for _, case in ipairs { "lock_after_cancel", "size_after_cancel", "position_after_error",
      "sync_at_once", "owner_of_copy" } do
      it("holds for " .. case, function()
        simulate(("cases/%s.lua"):format(case), 1, 300)
      end)
    end
  end)
end
