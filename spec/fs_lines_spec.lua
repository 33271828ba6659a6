local halo = require "halo"
local fs = halo.fs
local eventually = require "spec.support.eventually"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local MIB = 2 ^ 20

local function collect(...)
  local lines = {}
  for line in fs.lines(...) do
    lines[#lines + 1] = line
  end
  return lines
end

---The lines as io.lines gives them, with the newline where there is one.
local function expected(content, keep)
  local lines = {}
  for line, newline in content:gmatch "([^\n]*)(\n?)" do
    if line ~= "" or newline ~= "" then
      lines[#lines + 1] = keep and line .. newline or line
    end
  end
  return lines
end

describe("fs.lines", function()
  local dir = temp.dir()

  it("gives the lines of a file", function()
    assert.same({ "one", "", "three" }, collect(dir:file("file", "one\n\nthree\n")))
  end)

  it("gives a last line without a newline, and none where there is nothing", function()
    assert.same({ "one", "last" }, collect(dir:file("one", "one\nlast")))
    assert.same({ "last" }, collect(dir:file("two", "last")))
    assert.same({}, collect(dir:file("three", "")))
    assert.same({ "" }, collect(dir:file("four", "\n")))
  end)

  it("keeps newlines where it is asked to", function()
    local path = dir:file("file", "one\n\nlast")
    assert.same({ "one\n", "\n", "last" }, collect(path, true))
    assert.same({ "last" }, collect(path, true, 5))
  end)

  it("keeps carriage returns and zero bytes", function()
    assert.same({ "one\r", "t\0wo\r" }, collect(dir:file("file", "one\r\nt\0wo\r\n")))
  end)

  it("finds lines that cross the pieces in which it reads", function()
    for _, size in ipairs { 65535, 65536, 65537, 131071, 131072, 131073 } do
      local content = ("x"):rep(size - 1) .. "\n" .. ("y"):rep(size) .. "\n\nend"
      local path = dir:file("file", content)
      for _, keep in ipairs { false, true } do
        assert.same(expected(content, keep), collect(path, keep))
      end
    end
  end)

  it("gives what io.lines gives, whatever is in the file", function()
    for seed = 1, tasks.rounds(60) do
      math.randomseed(seed)
      local pieces = {}
      for i = 1, math.random(0, 400) do
        local length = math.random(4) == 1 and math.random(0, 3000) or math.random(0, 3)
        pieces[i] = string.char(math.random(97, 122)):rep(length)
      end
      local path = dir:file("file", table.concat(pieces, "\n"))
      local lines = {}
      for line in io.lines(path) do
        lines[#lines + 1] = line
      end
      assert.same(lines, collect(path))
    end
  end)

  it("takes a line of 64 MiB in time that grows with its length alone", function()
    local path = dir:file("file", "first\n" .. ("x"):rep(64 * MIB) .. "\nlast\n")
    local lines = collect(path)
    assert.equal(3, #lines)
    assert.equal(64 * MIB, #lines[2])
    assert.equal("last", lines[3])
  end)

  it("lets other tasks run", function()
    local path = dir:file("file", ("line\n"):rep(8 * MIB))
    local others, over = 0, false
    local other = tasks.start(function()
      while not over do
        others = others + 1
        halo.yield()
      end
    end)
    local before, count = others, 0
    for _ in fs.lines(path) do
      count = count + 1
    end
    over = true
    other:join()
    assert.equal(8 * MIB, count)
    assert.is_true(others > before)
  end)

  it("closes the file at the end", function()
    local path = dir:file("file", "one\n")
    local next_line, file = fs.lines(path)
    assert.equal(path, file:path())
    assert.equal("one", next_line())
    assert.is_true(file:is_open())
    assert.is_nil(next_line())
    assert.is_false(file:is_open())
    assert.is_nil(next_line())
  end)

  it("leaves a file to the collector where the loop was left", function()
    local path, before = dir:file("file", "one\ntwo\n"), halo.stats().files_open
    fs.lines(path)()
    eventually("the file is closed", function()
      collectgarbage()
      return halo.stats().files_open == before
    end)
  end)

  it("closes the file when it is cancelled, and raises that", function()
    local path = dir:file("file", ("line\n"):rep(100000))
    local file
    local task = halo.spawn(function()
      local next_line
      next_line, file = fs.lines(path)
      for _ in next_line do
        halo.current():cancel()
      end
    end)
    assert.is_true(tasks.ends_cancelled(task))
    assert.is_false(file:is_open())
  end)

  it("works in a generator, and where nothing can be suspended", function()
    local path = dir:file("file", "b\na\n")
    local generator = coroutine.wrap(function()
      for line in fs.lines(path) do
        coroutine.yield(line)
      end
    end)
    assert.equal("b", generator())
    assert.equal("a", generator())
    assert.is_nil(generator())
    local lines = {}
    table.sort({ 1, 2 }, function()
      lines = collect(path)
      return false
    end)
    assert.same({ "b", "a" }, lines)
  end)

  it("can be shared by tasks through halo.map", function()
    local path = dir:file("file", ("line\n"):rep(1000))
    local next_line = fs.lines(path)
    local lengths = halo.map(next_line, function(line) return #line end, 8)
    assert.equal(1000, #lengths)
  end)

  it("raises what the operating system refuses, at the caller's line", function()
    local missing = dir:path("missing")
    assert.misuse("ENOENT: no such file or directory: " .. missing,
      function() fs.lines(missing) end)
    local next_line, directory = fs.lines(dir.root)
    assert.misuse("EISDIR: is a directory: " .. dir.root, function() next_line() end)
    assert.is_false(directory:is_open())
    local file
    next_line, file = fs.lines(dir:file("file", "one\ntwo"))
    file:close()
    assert.misuse("EBADF: the file is closed: " .. dir:path("file"), function() next_line() end)
  end)

  it("raises misuse", function()
    assert.misuse("bad argument #1 to 'lines' (path (a string) expected, got nil)",
      function() fs.lines() end)
    assert.misuse("bad argument #1 to 'lines' (the path contains a NUL byte)",
      function() fs.lines("a\0b") end)
    assert.misuse("bad argument #3 to 'lines' (number expected, got string)",
      function() fs.lines(dir.root, false, "1") end)
    for _, offset in ipairs { -1, 0.5, 0 / 0 } do
      local message = "bad argument #3 to 'lines' (a whole number from 0 to 2^53 expected, got %s)"
      assert.misuse(message:format(offset), function() fs.lines(dir.root, false, offset) end)
    end
  end)
end)

describe("File:lines", function()
  local dir = temp.dir()

  it("begins at the file's position, which follows line by line", function()
    local file = fs.open(dir:file("file", "header\none\ntwo\nbody"))
    assert.equal("header\n", file:read(7))
    for line in file:lines() do
      if line == "one" then
        assert.equal(11, file:tell())
      elseif line == "two" then
        break
      end
    end
    assert.equal("body", file:read(100))
    assert.is_true(file:is_open())
    file:close()
  end)

  it("follows through lines that cross the pieces in which it reads", function()
    local content = ("x"):rep(70000) .. "\n" .. ("y"):rep(140000) .. "\nend"
    local file = fs.open(dir:file("file", content))
    local next_line = file:lines(true)
    for _, position in ipairs { 70001, 210002, 210005, 210005 } do
      next_line()
      assert.equal(position, file:tell())
    end
    file:close()
  end)

  it("begins at an offset, and leaves the position alone", function()
    local file = fs.open(dir:file("file", "one\ntwo\nthree\n"))
    file:seek("set", 1)
    local lines = {}
    for line in file:lines(false, 4) do
      lines[#lines + 1] = line
    end
    assert.same({ "two", "three" }, lines)
    assert.equal(1, file:tell())
    assert.is_nil(file:lines(false, 2 ^ 52)())
    file:close()
  end)

  it("leaves the file open at the end, and is a function as well", function()
    local file = fs.open(dir:file("file", "one\n"))
    assert.same({ "one" }, collect(file))
    assert.same({}, collect(file))
    assert.is_true(file:is_open())
    file:close()
  end)

  it("goes on with a file that grows", function()
    local path = dir:file("file", "one\npar")
    local file = fs.open(path)
    assert.same({ "one", "par" }, collect(file))
    fs.writefile(path, "tial\n", { append = true })
    assert.same({ "tial" }, collect(file))
    file:close()
  end)

  it("goes on where a read, a seek or a loop in the loop has left the position", function()
    local content = "head 6\nabcde\nnext\nBEGIN\nx\nEND\nagain\nlast\n"
    local path = dir:file("file", content)
    local function told(file)
      local found, again = {}, false
      for line in file:lines() do
        table.insert(found, line)
        if line == "head 6" then
          table.insert(found, (file:read(6)))
        elseif line == "BEGIN" then
          for inner in file:lines() do
            table.insert(found, "(" .. inner)
            if inner == "END" then break end
          end
        elseif line == "again" and not again then
          again = true
          file:seek("set", 13)
        end
      end
      file:close()
      return found
    end
    local expected_lines = told(io.open(path))
    assert.equal("(x", expected_lines[5])
    assert.same(expected_lines, told(fs.open(path)))
  end)

  it("sees what the loop itself writes, in a later loop", function()
    local file = fs.open(dir:file("file", "one\ntwo\n"), "r+")
    assert.equal("one", file:lines()())
    file:pwrite("TWO", 4)
    assert.same({ "TWO" }, collect(file))
    file:close()
  end)

  it("raises in the loop once the file is closed", function()
    local file = fs.open(dir:file("file", "one\ntwo\n"))
    assert.misuse("EBADF: the file is closed: " .. file:path(), function() for _ in file:lines() do
      file:close() end end)
  end)

  ---Has the lines taken by several tasks in loops of their own, or over one iterator.
  local function take_together(count, loop)
    local seen, twice = 0, {}
    halo.scope(function(scope)
      for _ = 1, 4 do
        scope:spawn(function()
          for line in loop() do
            local i = assert(tonumber(line:match "^line (%d+)$"), line)
            assert(not twice[i], line)
            twice[i], seen = true, seen + 1
            if i % 3 == 0 then halo.yield() end
          end
        end)
      end
    end)
    assert.equal(count, seen)
  end

  for _, how in ipairs { "loops of their own", "one loop" } do
    it("gives each line to one of several tasks, in " .. how, function()
      local count, lines = tasks.rounds(20000), {}
      for i = 1, count do
        lines[i] = ("line %d\n"):format(i)
      end
      local content = table.concat(lines)
      local plain = fs.open(dir:file("file", content))
      local path = dir:fifo("fifo")
      local opening = halo.spawn(fs.open, path)
      local writer = fs.open(path, "w")
      local stream = opening:join()
      local writing = halo.spawn(function()
        writer:write(content)
        writer:close()
      end)
      for _, file in ipairs { plain, stream } do
        local shared = how == "one loop" and file:lines()
        take_together(count, function() return shared or file:lines() end)
        file:close()
      end
      writing:join()
    end)
  end

  describe("of a stream", function()
    local reader, writer

    before_each(function()
      local path = dir:fifo("fifo")
      local opening = halo.spawn(fs.open, path)
      writer = fs.open(path, "w")
      reader = opening:join()
    end)

    after_each(function()
      reader:close()
      writer:close()
    end)

    it("gives each line as soon as it is there", function()
      local next_line = reader:lines()
      writer:write("one\ntw")
      assert.equal("one", next_line())
      local waiting = tasks.start(next_line)
      writer:write("o\n")
      assert.equal("two", waiting:join())
      writer:write("last")
      writer:close()
      assert.equal("last", next_line())
      assert.is_nil(next_line())
    end)

    it("keeps for the next loop what it has read beyond the line", function()
      writer:write("one\ntwo\nthree\npart")
      assert.equal("one", reader:lines()())
      local next_line = reader:lines(true)
      assert.equal("two\n", next_line())
      assert.equal("three\n", next_line())
      writer:write("ial\n")
      assert.equal("partial\n", next_line())
    end)

    it("loses nothing where a line does not come in time", function()
      local next_line = reader:lines()
      writer:write("par")
      assert.is_nil((halo.timeout(0.02, next_line)))
      assert.is_nil((halo.timeout(0.02, next_line)))
      writer:write("tial\n")
      assert.equal("partial", next_line())
      assert.is_true(reader:is_open())
    end)

    it("leaves what it has read beyond the line to the reads", function()
      writer:write("one\ntwo\nthree\nfour\nfive\nsix\nseven")
      assert.equal("one", reader:lines()())
      assert.equal("two\n", reader:read(4))
      assert.equal("three", reader:lines()())
      local buffer, other = halo.buffer(2), halo.buffer(100)
      assert.equal(2, reader:read_into(buffer))
      assert.equal("fo", buffer:string())
      assert.equal(1, reader:read_into(other, 1))
      assert.equal("u", other:string(0, 1))
      assert.equal("", reader:read(0))
      assert.equal("r\nfive\nsix\nseven", reader:read(100))
      writer:write("eight\nni")
      assert.equal("eight", reader:lines()())
      assert.is_nil((halo.timeout(0.02, reader:lines())))
      writer:write("ne\nten")
      writer:close()
      assert.equal("nine\nten", reader:read("a"))
      assert.is_nil(reader:read(1))
    end)

    it("keeps for the reads what they were cancelled with", function()
      writer:write("one\ntwo\nth")
      assert.equal("one", reader:lines()())
      assert.is_nil((halo.timeout(0.02, reader.read, reader, "a")))
      assert.equal("two", reader:lines()())
      writer:write("ree\n")
      assert.equal("three", reader:lines()())
    end)

    it("does not keep the file from the collector", function()
      local path = reader:path()
      writer:write("one\n")
      assert.equal("one", reader:lines()())
      reader:close()
      writer:close()
      local opening = halo.spawn(fs.open, path)
      writer = fs.open(path, "w")
      local forgotten = setmetatable({ opening:join() }, { __mode = "v" })
      writer:write("one\n")
      assert.equal("one", forgotten[1]:lines()())
      opening = nil -- luacheck: ignore 311
      eventually("the file is collected", function()
        collectgarbage()
        return forgotten[1] == nil
      end)
      reader = fs.open(path, "r+")
    end)

    it("takes no offset", function()
      assert.misuse("ESPIPE: illegal seek: " .. reader:path(),
        function() reader:lines(false, 0)() end)
    end)
  end)
end)
