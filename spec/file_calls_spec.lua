-- The calls of a File as people hold them who come from Lua's io: what they guess works, or raises
-- and says what to write.

local halo = require "halo"
local fs = halo.fs
local eventually = require "spec.support.eventually"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local MIB = 2 ^ 20

describe("file:write", function()
  local dir = temp.dir()

  it("writes what io.write writes, number for number", function()
    local pieces = { "a", 1, 2.5, -0.1, 1e15, 1e100, 2 ^ 53, 0 / 0, 1 / 0, "\0", 1e5, 1e14 / 3, "" }
    local theirs = assert(io.open(dir:path "theirs", "w"))
    assert(theirs:write(unpack(pieces)))
    theirs:close()
    local expected = dir:read "theirs"
    local file = assert(fs.create(dir:path "ours"))
    assert.equal(#expected, file:write(unpack(pieces)))
    assert.equal(#expected, file:write(pieces))
    for _, piece in ipairs(pieces) do
      file:write(piece)
    end
    file:close()
    assert.equal(expected:rep(3), dir:read "ours")
  end)

  it("puts strings, numbers, buffers and arrays of them in their order", function()
    local buffer = halo.buffer(3):set "buf"
    local file = assert(fs.create(dir:path "file"))
    assert.equal(17, file:write("one ", 2, buffer, { " ", 3, buffer, "x" }, {}, "", "!", 44))
    assert.equal(0, file:write())
    assert.equal(0, file:write({}))
    file:close()
    assert.equal("one 2buf 3bufx!44", dir:read "file")
  end)

  it("writes no offset: a number is data", function()
    local file = assert(fs.create(dir:path "file"))
    file:write("n: ", 5)
    file:close()
    assert.equal("n: 5", dir:read "file")
  end)

  it("keeps the order of tasks that write several pieces each", function()
    local file = assert(fs.create(dir:path "file"))
    local expected = {}
    halo.scope(function(scope)
      for i = 1, 50 do
        scope:spawn(function() file:write(i, " ", ("x"):rep(i * 100), "\n") end)
        expected[i] = i .. " " .. ("x"):rep(i * 100) .. "\n"
      end
    end)
    file:close()
    assert.equal(table.concat(expected), dir:read "file")
  end)
end)

describe("file:read", function()
  local dir = temp.dir()

  it("ends a loop as in io", function()
    local content = ("0123456789"):rep(1000)
    local file = assert(fs.open(dir:file("file", content)))
    local pieces = {}
    for piece in function() return file:read(999) end do
      pieces[#pieces + 1] = piece
    end
    assert.equal(content, table.concat(pieces))
    assert.equal("", file:read "a")
    file:close()
  end)

  for _, size in ipairs { 0, 1, 65534, 65535, 65536, 65537, 3 * MIB + 5 } do
    it(("reads all of %d bytes, and all that is left"):format(size), function()
      local content = ("0123456\n"):rep(size / 8 + 1):sub(1, size)
      local file = assert(fs.open(dir:file("file", content), "r+"))
      assert.is_true(content == file:read "a")
      assert.equal(size, file:tell())
      assert.equal("", file:read "a")
      assert.is_nil(file:read(1))
      file:seek("set", math.floor(size / 2))
      assert.is_true(content:sub(math.floor(size / 2) + 1) == file:read "a")
      file:seek("set", size + 10)
      assert.equal("", file:read "a")
      file:close()
    end)
  end

  it("reads all of what says that it has no size", function()
    local plain = assert(io.open "/proc/cpuinfo")
    local expected = #plain:read "*a"
    plain:close()
    local file = assert(fs.open "/proc/cpuinfo")
    assert.is_true(math.abs(expected - #file:read "a") < 1000)
    file:close()
  end)

  it("reads all of a stream, in the order of those who ask", function()
    local path = dir:fifo "fifo"
    local opening = halo.spawn(fs.open, path)
    local writer = assert(fs.open(path, "w"))
    local reader = assert(opening:join())
    local first = halo.spawn(function() return reader:read(10) end)
    local all = halo.spawn(function() return reader:read "a" end)
    local last = halo.spawn(function() return reader:read(10) end)
    writer:write "0123456789"
    local content = ("line\n"):rep(60000)
    writer:write(content:sub(1, 1000))
    halo.yield()
    writer:write(content:sub(1001))
    writer:close()
    assert.equal("0123456789", first:join())
    assert.is_true(content == all:join())
    assert.is_nil(last:join())
    assert.equal("", reader:read "a")
    reader:close()
  end)

  it("loses no byte of a stream where it is cancelled", function()
    local fifo = assert(fs.open(dir:fifo "fifo", "r+"))
    local sent = {}
    for i = 1, 20 do
      local reading = halo.spawn(function() return fifo:read "a" end)
      for k = 1, 5 do
        sent[#sent + 1] = ("%d %d "):format(i, k) .. ("x"):rep(i * 500)
        fifo:write(sent[#sent])
        halo.yield()
      end
      if i % 2 == 0 then
        assert.equal("ETIMEDOUT", (select(3, halo.timeout(0.001, function() fifo:read "a" end))))
      end
      reading:cancel()
      assert.is_false(pcall(reading.join, reading))
    end
    local expected, got = table.concat(sent), ""
    while #got < #expected do
      got = got .. assert(fifo:read(#expected - #got))
    end
    assert.is_true(expected == got)
    fifo:close()
  end)

  it("of 0 bytes says whether there are more, and takes none", function()
    local path = dir:fifo "fifo"
    local opening = halo.spawn(fs.open, path)
    local writer = assert(fs.open(path, "w"))
    local reader = assert(opening:join())
    local asking = halo.spawn(function() return reader:read(0) end)
    halo.yield()
    writer:write "ab"
    assert.equal("", asking:join())
    assert.equal("", reader:read(0))
    assert.equal("a", reader:read(1))
    assert.equal("", reader:read(0))
    assert.equal("b", reader:read(5))
    writer:close()
    assert.equal(1, select("#", reader:read(0)))
    assert.is_nil(reader:read(0))
    reader:close()
  end)

  it("gives the refusal, not the end, of what cannot be read", function()
    local file = assert(fs.open(dir.root))
    local refusal = "EISDIR: is a directory: " .. dir.root
    assert.refused(refusal, file:read(1))
    assert.refused(refusal, file:read(0))
    assert.refused(refusal, file:read "a")
    assert.refused(refusal, file:pread(0, 0))
    file:close()
  end)
end)

describe("a wrong guess", function()
  local dir = temp.dir()

  local function with_file(fn)
    return function()
      local file = assert(fs.open(dir:file("file", "content"), "r+"))
      fn(file)
      file:close()
      assert.equal("content", dir:read "file")
    end
  end

  local amount = '(a number of bytes or "a" expected, got %s: %s)'
  local rows = {
    { "bad argument #1 to 'read' " .. amount:format("nothing", "file:lines() gives the lines"),
      function(f) f:read() end },
    { "bad argument #2 to 'read' " .. amount:format("nothing", "file:lines() gives the lines"),
      function(f) fs.read(f) end },
    { "bad argument #1 to 'read' " .. amount:format("'*l'", "file:lines() gives the lines"),
      function(f) f:read "*l" end },
    { "bad argument #1 to 'read' " .. amount:format("'L'", "file:lines(true) gives the lines"),
      function(f) f:read "L" end },
    { "bad argument #1 to 'read' " .. amount:format("'*a'", 'write "a"'),
      function(f) f:read "*a" end },
    { "bad argument #1 to 'read' "
      .. amount:format("'n'", "Lua's own io.open gives a file that reads numbers"),
      function(f) f:read "n" end },
    { "bad argument #2 to 'read' (no such argument: file:pread(...) takes an offset)",
      function(f) f:read(1, 0) end },
    { "bad argument #3 to 'read' (no such argument: file:pread(...) takes an offset)",
      function(f) fs.read(f, 1, 0) end },
    { "bad argument #2 to 'read' (no such argument: file:pread(...) takes an offset)",
      function(f) f:read(1, nil) end },
    { "bad argument #1 to 'read' (File expected, got number: file:read(...) passes it)",
      function(f) f.read(1) end },
    { "bad argument #1 to 'write' (File expected, got string: file:write(...) passes it)",
      function(f) f.write "x" end },
    { "bad argument #1 to 'lock' (File expected, got string: file:lock(...) passes it)",
      function(f) f.lock "shared" end },
    { "bad argument #3 to 'read_into' (no such argument: file:pread_into(...) takes an offset)",
      function(f) f:read_into(halo.buffer(1), 1, 0) end },
    { "bad argument #2 to 'pread' (offset expected: file:read(n) has the file's own position)",
      function(f) f:pread(1) end },
    { "bad argument #2 to 'pwrite' (offset expected: file:write(...) has the file's own position)",
      function(f) f:pwrite "x" end },
    { "bad argument #2 to 'write' (string, number, buffer or an array of them expected, got nil)",
      function(f) f:write("x", nil) end },
    { "bad argument #1 to 'lock' (\"exclusive\" or \"shared\" expected, got nil)",
      function(f) f:lock() end },
    { "bad argument #1 to 'lock' (\"exclusive\" or \"shared\" expected, got 'ex')",
      function(f) f:lock "ex" end },
    { "bad argument #1 to 'lock' (\"exclusive\" or \"shared\" expected, got true)",
      function(f) f:lock(true, 0) end },
    { "bad argument #2 to 'lock' (a number of seconds expected)",
      function(f) f:lock("shared", -1) end },
    { "bad argument #1 to 'chmod' (the decimal 644 is 1204 in octal: write \"644\", or 420)",
      function(f) f:chmod(644) end },
    { "bad argument #1 to 'truncate' (number expected, got string)",
      function(f) f:truncate "1" end },
  }

  for _, row in ipairs(rows) do
    it("raises: " .. row[1], with_file(function(file)
      local place = debug.getinfo(row[2], "S")
      local ok, message = pcall(row[2], file)
      assert.is_false(ok)
      assert.equal(("%s:%d: %s"):format(place.short_src, place.linedefined, row[1]), message)
    end))
  end

  it("in a tail call is counted as that of a function", with_file(function(file)
    local object = {}
    function object.method(_, f) return f:read() end
    local ok, message = pcall(function() return (object:method(file)) end)
    assert.is_false(ok)
    assert.matches("bad argument #2 to 'read'", message, 1, true)
  end))
end)

describe("file:lock", function()
  local dir = temp.dir()

  it("tries, waits for so long, or waits", function()
    local path = dir:file "file"
    local one, other = assert(fs.open(path)), assert(fs.open(path))
    assert.is_true(one:lock("exclusive"))
    for _, mode in ipairs { "exclusive", "shared" } do
      assert.equal("EAGAIN", (select(3, other:lock(mode, 0))))
      assert.equal("ETIMEDOUT", (select(3, other:lock(mode, 0.005))))
    end
    local waiting = halo.spawn(function() return other:lock("shared") end)
    eventually("wait", function() return waiting:status() == "waiting" end)
    assert.is_true(one:lock("shared", 0))
    assert.is_true(waiting:join())
    one:close()
    other:close()
  end)
end)
