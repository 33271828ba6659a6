-- A spec that fails while the machine stands still runs again (spec/support/test.sh); one that
-- fails without that has failed.

local command = require "spec.support.command"
local temp = require "spec.support.temp"

-- Counts in a file how often it ran. As a machine that stands still cannot be had, it says itself
-- that this one did, in the place of stalls.c.
local INNER = [[
  local halo = require "halo"

  local function append(path, text)
    local file = assert(io.open(path, "a"))
    file:write(text)
    file:close()
  end

  it("depends on its clock", function()
    append(%q, "x")
    local now = halo.now()
    if %s then
      append(os.getenv "HALO_STALLS", ("%%f %%f\n"):format(now, now + 0.2))
    end
    local file = assert(io.open(%q))
    local times = #file:read "*a"
    file:close()
    assert.is_true(times > %d)
  end)
]]

describe("a spec that failed", function()
  local dir = temp.dir()

  ---@return integer runs
  ---@return string sum
  ---@return integer status
  local function run(stalled, failures)
    local runs = dir:path "runs"
    dir:file("inner_spec.lua", INNER:format(runs, stalled, runs, failures))
    command.run(command.quote("mkdir", dir:path "build"))
    command.run(command.quote("ln", "-s", command.halo_bin, dir:path "build/halo"))
    local stdout, _, status = command.run(("env BUILD_DIR=%s SPEC=%s ENGINES=auto BUSTED_FLAGS= "
      .. "WRAPPER= HALO_GC= ON= sh spec/support/test.sh"):format(command.quote(dir:path "build"),
      command.quote(dir:path "inner_spec.lua")))
    return #dir:read "runs", stdout:match "([^\n]*)\n$", status
  end

  it("has failed", function()
    assert.same({ 1, "0 passed, 1 failed, 0 skipped", 1 }, { run("false", 1) })
  end)

  it("runs again where the machine stood still", function()
    assert.same({ 2, "1 passed, 0 failed, 0 skipped", 0 }, { run("true", 1) })
    assert.same({ 4, "1 passed, 0 failed, 0 skipped", 0 }, { run("true", 3) })
  end)

  it("has failed where it goes on failing", function()
    assert.same({ 4, "0 passed, 1 failed, 0 skipped", 1 }, { run("true", 9) })
  end)
end)
