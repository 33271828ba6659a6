-- The README's table "What it survived": what runs tell becomes its rows, and each row says how to
-- repeat it.

local temp = require "spec.support.temp"
local survived_table = require "spec.support.survived_table"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

describe("the table of what it survived", function()
  local dir = temp.dir()

  it("adds up what the engines tell, and keeps what none has told of", function()
    os.execute("mkdir '" .. dir:path "survived" .. "'")
    dir:file("survived/kill.ring", "kill -9\t1000\tkills\t0\tmake test SPEC=a\n")
    dir:file("survived/kill.pool", "kill -9\t234\tkills\t1\tmake test SPEC=a\n")
    local readme = "before\n<!-- survived: made by make survived -->\n"
      .. "| old | 5,000,000 seeds | 0 | `make fuzz` |\n| kill -9 | 1 kills | 0 | `make x` |\n"
      .. "<!-- /survived -->\nafter\n"
    local renewed = survived_table.renew(readme, dir.root)
    assert.is_truthy(renewed:find("| kill -9 | 1,234 kills | 1 | `make test SPEC=a` |\n", 1, true))
    assert.is_truthy(renewed:find("| old | 5,000,000 seeds | 0 | `make fuzz` |\n", 1, true))
    assert.is_truthy(renewed:find("^before\n.*cores.*\nafter\n$"))
    assert.equal(renewed, survived_table.renew(renewed, dir.root))
  end)

  it("has commands that there are", function()
    local makefile, count = read "Makefile", 0
    for _, row in pairs(survived_table.made(read "README.md")) do
      local target, rest = row.command:match "^make ([%w-]+)(.*)$"
      assert.is_truthy(target, row.command)
      assert.is_truthy(("\n" .. makefile):find("\n" .. target:gsub("%-", "%%-") .. ":"), target)
      for path in rest:gmatch "SPEC=(%S+)" do
        read(path)
      end
      count = count + 1
    end
    assert.is_true(count > 0)
  end)
end)
