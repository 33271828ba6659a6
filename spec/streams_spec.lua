local halo = require "halo"
local fs, process = halo.fs, halo.process
local temp = require "spec.support.temp"

local BIG = ("0123456789abcde\n"):rep(65536)

---Misuse is told at the line of the caller, which is in this file.
local function raises_here(text, call)
  local ok, message = pcall(call)
  assert.is_false(ok)
  assert.truthy(message:find("^[^:]*streams_spec%.lua:%d+: "))
  assert.truthy(message:find(text, 1, true), message)
end

describe("halo.copy", function()
  local dir = temp.dir()
  local path

  before_each(function()
    path = dir:file("file", BIG)
  end)

  it("moves bytes from File to File", function()
    local from, to = fs.open(path), fs.open(path .. "2", "w+")
    from:seek("set", 16)
    assert.equal(#BIG - 16, halo.copy(from, to))
    assert.is_true(to:pread(#BIG, 0) == BIG:sub(17))
    assert.equal(0, halo.copy(from, to))
    from:close()
    to:close()
  end)

  it("takes a text", function()
    local to = fs.open(path, "w+")
    assert.equal(5, halo.copy("hello", to))
    assert.equal("hello", to:pread(10, 0))
    to:close()
  end)

  it("feeds processes and reads from them", function()
    local from, to = fs.open(path), fs.open(path .. "2", "w+")
    local upper = process.spawn { "tr", "a-z", "A-Z" }
    local count
    halo.all {
      function() assert.equal(#BIG, halo.copy(from, upper)) end,
      function() count = halo.copy(upper, to) end,
    }
    assert.equal(#BIG, count)
    assert.equal(0, upper:wait())
    assert.is_true(to:pread(#BIG, 0) == BIG:upper())
    upper.stdout:close()
    from:close()
    to:close()
  end)

  it("changes the pieces on the way, or leaves them out", function()
    local from, to = fs.open(path), fs.open(path .. "2", "w+")
    assert.equal(#BIG, halo.copy(from, to, string.upper))
    assert.is_true(to:pread(#BIG, 0) == BIG:upper())
    from:seek("set", 0)
    assert.equal(0, halo.copy(from, to, function() end))
    assert.equal(0, halo.copy("text", to, function() end))
    assert.equal(4, halo.copy("text", to, string.upper))
    assert.equal("TEXT", to:pread(10, #BIG))
    from:close()
    to:close()
  end)

  it("tells what cannot be read or written", function()
    local from, to = fs.open(path), fs.open(path)
    local count, _, code = halo.copy(from, to)
    assert.is_nil(count)
    assert.equal("EBADF", code)
    local full = fs.open("/dev/full", "w")
    from:seek("set", 0)
    assert.equal("ENOSPC", select(3, halo.copy(from, full)))
    from:close()
    assert.equal("EBADF", select(3, halo.copy(from, full)))
    full:close()
    to:close()
  end)

  it("says what it wants", function()
    raises_here("bad argument #1 to 'copy' (File, or a Process with a pipe as its stdout",
      function()
        halo.copy(1, halo.stdout)
      end)
    raises_here("bad argument #2 to 'copy'", function()
      halo.copy("x", path)
    end)
    raises_here("function expected, got number", function()
      halo.copy("x", halo.stderr, 1)
    end)
  end)
end)

describe("halo.lines", function()
  it("gives the lines of several streams, each with its source", function()
    local one = process.spawn { "printf", "a\\nb\\nc", stdin = "null" }
    local two = process.spawn { "printf", "1\\n2\\n", stdin = "null" }
    local got = { [one.stdout] = {}, [two] = {} }
    for line, from in halo.lines(one.stdout, two) do
      table.insert(got[from], line)
    end
    assert.same({ "a", "b", "c" }, got[one.stdout])
    assert.same({ "1", "2" }, got[two])
    one.stdout:close()
    two.stdout:close()
  end)

  it("gives a line as soon as it is there", function()
    local slow = process.spawn { "cat" }
    local fast = process.spawn { "echo", "first", stdin = "null" }
    local lines = {}
    for line in halo.lines(slow, fast) do
      table.insert(lines, line)
      if line == "first" then
        slow.stdin:write "second\n"
        slow.stdin:close()
      end
    end
    assert.same({ "first", "second" }, lines)
    slow.stdout:close()
    fast.stdout:close()
  end)

  it("can be left early", function()
    halo.scope(function()
      local yes = process.spawn { "yes", stdin = "null" }
      local next_line = halo.lines(yes)
      assert.equal("y", next_line())
      yes:kill()
      yes.stdout:close()
    end)
  end)

  it("raises what cannot be read", function()
    local file = fs.open("/dev/null")
    file:close()
    raises_here("the file is closed", function()
      for _ in halo.lines(file) do end
    end)
  end)

  it("wants a stream at least", function()
    raises_here("bad argument #1 to 'lines'", function()
      halo.lines()
    end)
  end)
end)
