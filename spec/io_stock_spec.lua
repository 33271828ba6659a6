-- io and os in halo are those of luajit: one long script says the same with both.

local command = require "spec.support.command"
local halo = require "halo"
local temp = require "spec.support.temp"

local quote = command.quote

local PATIENCE_S = 300 -- on a machine that has other things to do

describe("io and os", function()
  local dir = temp.dir()

  ---What the cases tell, and what the shells in them have to say.
  local function tell(program, ...)
    assert(halo.fs.mkdir(dir:path "cases"))
    local line = program .. " " .. quote("spec/support/io_cases.lua", dir:path "cases", ...)
    local stdout, stderr, status = command.run(line .. " </dev/null", PATIENCE_S)
    halo.fs.rmtree(dir:path "cases")
    assert.equal(0, status, stderr)
    return stdout, stderr
  end

  ---The first line that differs says most.
  local function assert_same_lines(expected, got)
    local theirs, ours = expected:gmatch "[^\n]*", got:gmatch "[^\n]*"
    repeat
      local line = theirs()
      assert.same({ line }, { ours() })
    until line == nil
  end

  ---@param every integer of so many cases one is tried
  local function assert_as_luajit(program, every, ...)
    if os.getenv "SANITIZE" == "thread" then
      return pending "luajit takes TSAN along by LD_PRELOAD, which its shells do not survive"
    end
    local expected, their_errors = tell(command.luajit, "alone", every)
    local got, errors = tell(program, ...)
    assert_same_lines(expected, got)
    assert.equal(#their_errors, #errors) -- of shells that run at the same time
  end

  -- Each operation of the pool's is a walk to a worker.
  local every = halo.engine() == "pool" and 40 or 20

  it("are as luajit's, where nothing else runs #slow", function()
    assert_as_luajit(command.halo(), 10, "alone", 10)
  end)

  it("are as luajit's, while other tasks run #slow", function()
    assert_as_luajit(command.halo(), every, "crowd", every)
  end)

  it("are luajit's own with --stock-io", function()
    assert_as_luajit(command.halo("--stock-io"), 40, "alone", 40)
  end)

  it("are as before in plain luajit, with halo.io installed", function()
    assert_as_luajit(command.luajit, 40, "alone", 40, "install")
  end)
end)
