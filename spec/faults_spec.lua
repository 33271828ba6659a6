-- Faults within the engines of this run: every public call, each fault, at each place where one can
-- happen (spec/faults, in a build of its own). What is promised for each stands in
-- spec/faults/rules.lua. FAULTS=all tries what is only tried in part, or on another engine, too.

local command = require "spec.support.command"
local survived = require "spec.support.survived"

local PATIENCE_S = 900 -- of what takes half a minute on an idle machine

local engine = os.getenv "HALO_ENGINE" or "auto"
engine = engine ~= "" and engine or "auto"

local faulty = command.build_dir .. "/faults/halo"
local all = os.getenv "FAULTS" == "all"
local why_not = (os.getenv "SANITIZE" or "") ~= "" and "a sanitizer has calls of its own"
  or not require("spec.support.posix").exists(faulty) and "build/faults/halo is not built"

---Runs a script of spec/faults. Returns what it printed.
local function run(script, ...)
  local line = command.quote("env", "HALO_ENGINE=", "timeout", PATIENCE_S, faulty,
    "--engine=" .. engine, ("spec/faults/%s.lua"):format(script), ...)
  local pipe = assert(io.popen(line .. " 2>&1; echo status $?"))
  local output = pipe:read "*a"
  pipe:close()
  local status = output:match "status (%d+)\n$"
  local shown = output:gsub("tried:[^\n]*\n", ""):gsub("operation:[^\n]*\n", "")
  assert(status == "0", shown)
  return output
end

---What there is to be tried: `kind, how, way, further arguments`.
local function products()
  if all then
    local list = {}
    for _, kind in ipairs { "answers", "calls" } do
      for _, how in ipairs { "once", "ever" } do
        for _, way in ipairs { "alone", "company" } do
          list[#list + 1] = { kind, how, way }
        end
      end
    end
    return list
  end
  local short = {
    ring = { { "answers", "once", "alone", "-Dir:" } },
    pool = { { "answers", "once", "alone", "-Dir:" } },
    auto = { { "answers", "once", "company", "-Dir:" } },
  }
  return short[engine]
end

---Each operation of the core's table with each fault has to be among what was tried.
local function missing(outputs)
  local text, found = table.concat(outputs), {}
  local faults = text:match "faults:\t([^\n]*)\n"
  for operation in outputs[1]:gmatch "operation:\t([^\n]*)" do
    for fault in faults:gmatch "[^\t]+" do
      if not text:find(("tried:\t%s\t%s\t"):format(operation, fault), 1, true) then
        found[#found + 1] = operation .. " " .. fault
      end
    end
  end
  return table.concat(found, ", ")
end

local function describe_faults(name, define)
  describe(name, function()
    if why_not then
      it("is told", function()
        pending(why_not)
      end)
    else
      define()
    end
  end)
end

describe_faults("a fault within an engine #slow", function()
  local outputs, cells = {}, 0

  for _, product in ipairs(products()) do
    it(("is told, or not to be seen, and nothing is left: %s, %s, %s"):format(unpack(product)),
      function()
        local output = run("cells", unpack(product))
        cells = cells + tonumber(output:match "(%d+) cells, 0 went wrong")
        if product[1] == "answers" and product[2] == "once" then
          outputs[#outputs + 1] = output
        end
      end)
  end

  it("was tried on each operation", function()
    assert.equal("", missing(outputs))
    survived.tell_of_file {
      name = "faults",
      kind = "an operation or a system call fails: each call, each place, 11 faults",
      tried = cells,
      unit = "faults",
      command = "make test SPEC=spec/faults_spec.lua",
    }
  end)
end)

describe_faults("an allocation that fails #slow", function()
  local failed = 0
  -- Three engines together try half of them.
  local from = ({ ring = 0, pool = 1, auto = 2 })[engine]

  for _, whose in ipairs { "core", "lua" } do
    for _, how in ipairs { "once", "ever" } do
      it(("is an error and no more: %s, %s"):format(whose, how), function()
        local step = (all or whose == "core") and 1 or 6
        local output = run("allocations", whose, how, step, from)
        failed = failed + tonumber(output:match "(%d+) allocations failed, 0 went wrong")
      end)
    end
  end

  it("was tried in every call", function()
    assert(failed > 1000, failed .. " allocations have failed")
    survived.tell_of_file {
      name = "allocations",
      kind = "memory is out at an allocation, of C's or of Lua's: every call",
      tried = failed,
      unit = "allocations",
      command = "make test SPEC=spec/faults_spec.lua",
    }
  end)
end)

describe_faults("where an operation answers with a fault", function()
  local cases = {
    { "a poll that the kernel gives up is begun again", "a read of a FIFO", "a write to a FIFO" },
    { "a watch tells that it could not wait", "an event of a watch" },
    { "a walk that raises has closed its root", "a walk" },
    { "mkdir with parents tells why it cannot look at what is there", "fs.mkdir(dir, parents)" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      for _, way in ipairs { "alone", "company" } do
        local output = run("cells", "answers", "once", way, unpack(case, 2))
        assert.not_matches("\n0 cells", output)
      end
    end)
  end

  it("the call ends where that is ECANCELED, for ever", function()
    local output = run("cells", "answers", "ever", "alone", "fs.stat", "File:read(")
    assert.not_matches("\n0 cells", output)
  end)
end)

describe_faults("where a system call of an operation fails", function()
  it("copies keep what they should, or tell, and are not interrupted", function()
    run("cells", "calls", "once", "alone", "a copy", "fs.move(file")
  end)
end)

-- The ring does the same of these as the workers.
describe_faults("a system call that fails, or meets another file by its name, #slow", function()
  local parts = { { "a digest", "a read" } } -- the others take minutes
  if all then
    parts = { { "a copy" }, { "below a directory, without" }, { "below a directory, with " },
      { "a listing", "a digest", "a read", "a write", "a realpath", "a removal", "a process",
        "a walk" },
      { "company", "a read", "a listing", "a digest", "a write", "a walk" } }
  end
  for i, part in ipairs(parts) do
    it("has another way, or is told, and nobody else's file is touched: " .. part[1], function()
      if engine ~= "auto" and not all then
        return pending "on another engine"
      end
      local tried = tonumber(run("ways", unpack(part)):match "(%d+) cells, 0 went wrong")
      survived.tell {
        name = "ways_" .. i,
        kind = "a system call fails for which there is another way, or meets another file",
        tried = tried,
        unit = "faults",
        lost = 0,
        command = "make test SPEC=spec/faults_spec.lua",
      }
    end)
  end
end)

describe_faults("memory that is out at any time of a loop's life", function()
  it("is told, and leaves nothing", function()
    local line = command.quote("env", "HALO_CORE=own", "HALO_ENGINE=", faulty,
      "spec/faults/session.lua", engine)
    local stdout, stderr, status = command.run(line)
    assert.same({ "", 0 }, { stderr, status })
    assert(tonumber(stdout:match "(%d+) allocations failed") > 15, stdout)
  end)
end)

describe_faults("a stream for whose File there is no memory", function()
  it("is closed", function()
    run("allocations", "lua", "once", 1, 0, "/dev/null")
  end)
end)
