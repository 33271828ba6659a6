-- Answers and system calls that fail within the engines of this run: every public call, each fault,
-- at each place where one can happen (spec/faults/cells.lua, in a build of its own). What is
-- promised for each stands in spec/faults/rules.lua.

local command = require "spec.support.command"

local engine = os.getenv "HALO_ENGINE" or "auto"
engine = engine ~= "" and engine or "auto"

local faulty = command.build_dir .. "/faults/halo"

---Runs all cells of these calls, or of every call. Returns what it printed.
local function try(kind, how, way, ...)
  local line = command.quote("env", "HALO_ENGINE=", "timeout", "600", faulty, "--engine=" .. engine,
    "spec/faults/cells.lua", kind, how, way, ...)
  local output, errors, status = command.run(line)
  assert(status == 0, output:gsub("tried:[^\n]*\n", "") .. errors)
  return output
end

describe("where a system call of an operation fails #slow", function()
  it("copies keep what they should, or tell, and are not interrupted", function()
    try("calls", "once", "alone", "copy", "fs.move(")
  end)
end)

describe("where an operation answers with a fault", function()
  local cases = {
    { "a poll that the kernel gives up is begun again", "a read of a FIFO", "a write to a FIFO" },
    { "a watch tells that it could not wait", "an event of a watch" },
    { "a walk that raises has closed its root", "a walk" },
    { "mkdir with parents tells why it cannot look at what is there", "fs.mkdir(dir, parents)" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      for _, way in ipairs { "alone", "company" } do
        assert.not_matches("\n0 cells", try("answers", "once", way, unpack(case, 2)))
      end
    end)
  end

  it("ends where that is ECANCELED, for ever", function()
    assert.not_matches("\n0 cells", try("answers", "ever", "alone", "fs.stat", "File:read("))
  end)
end)
