local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local MIB = 2 ^ 20
local LARGEST = 2 ^ 53

---Bytes that are not the same anywhere.
local function pattern(size)
  local pieces = {}
  for i = 1, size / 8 do
    pieces[i] = ("%08x"):format(i)
  end
  return table.concat(pieces)
end

describe("data of a File", function()
  local dir = temp.dir()

  describe("is read", function()
    it("from the file's position on, which advances", function()
      local file = fs.open(dir:file("file", "abcdef"))
      assert.equal("ab", file:read(2))
      assert.equal("cd", fs.read(file, 2))
      assert.equal("ef", file:read(100))
      assert.is_nil(file:read(100))
      file:close()
    end)

    it("from an offset, which leaves the position alone", function()
      local file = fs.open(dir:file("file", "abcdef"))
      assert.equal("def", file:pread(3, 3))
      assert.equal("ab", file:read(2))
      assert.equal("a", file:pread(1, 0))
      assert.equal("cd", file:read(2))
      file:close()
    end)

    it("as nil alone at the end and beyond it, for 0 bytes too", function()
      local file = fs.open(dir:file("file", "abc"))
      for _, n in ipairs { 0, 1, 100000 } do
        for _, offset in ipairs { 3, 2 ^ 40, LARGEST } do
          assert.equal(1, select("#", file:pread(n, offset)))
          assert.is_nil(file:pread(n, offset))
        end
      end
      assert.equal("", file:pread(0, 0))
      assert.equal("", file:read(0))
      assert.equal("abc", file:read(3))
      assert.equal(1, select("#", file:read(0)))
      assert.is_nil(file:read(0))
      file:close()
      local empty = fs.open(dir:file("empty"))
      assert.equal(1, select("#", empty:read(100)))
      assert.is_nil(empty:read(100))
      empty:close()
    end)

    it("up to the end, however much is asked for", function()
      local file = fs.open(dir:file("file", "abc"))
      assert.equal("abc", file:read(LARGEST))
      file:close()
    end)

    it("byte by byte as it is", function()
      local bytes = {}
      for i = 0, 255 do
        bytes[i + 1] = string.char(i)
      end
      local all = table.concat(bytes)
      local file = fs.open(dir:file("file", all))
      assert.equal(all, file:read(256))
      file:close()
    end)

    it("anew where the file has grown", function()
      local path = dir:file("file", "abc")
      local file, writer = fs.open(path), fs.open(path, "a")
      assert.equal("abc", file:read(100))
      assert.is_nil(file:read(100))
      writer:write("def")
      assert.equal("def", file:read(100))
      file:close()
      writer:close()
    end)
  end)

  describe("is written", function()
    it("at the file's position, which advances and is that of reads", function()
      local file = fs.open(dir:file("file", "abcdef"), "r+")
      assert.equal("ab", file:read(2))
      assert.equal(1, file:write("-"))
      assert.equal("de", file:read(2))
      assert.equal(3, fs.write(file, "xyz"))
      file:close()
      assert.equal("ab-dexyz", dir:read("file"))
    end)

    it("at an offset, which leaves the position alone", function()
      local file = fs.open(dir:file("file", "abcdef"), "r+")
      assert.equal(2, file:pwrite("--", 4))
      assert.equal("abcd--", file:read(100))
      file:close()
    end)

    it("at the end by a file opened to append, which takes no offset", function()
      local path = dir:file("file", "abc")
      local file = fs.open(path, "a+")
      assert.equal("a", file:read(1))
      assert.equal(3, file:write("def"))
      assert.equal(3, file:write("ghi"))
      local message = "EINVAL: invalid argument: a file opened to append takes no offset, and one "
        .. "opened with DIRECT only aligned ones: " .. path
      assert.refused(message, file:pwrite("x", 0))
      file:close()
      assert.equal("abcdefghi", dir:read("file"))
    end)

    it("with a hole below it, beyond 4 GiB too", function()
      local file = fs.open(dir:path("file"), "w+")
      local far = 5 * 2 ^ 30 + 1
      assert.equal(3, file:pwrite("far", far))
      assert.equal(far + 3, file:stat().size)
      assert.equal("\0\0far", file:pread(100, far - 2))
      assert.is_nil(file:pread(1, far + 3))
      assert.is_true(file:stat().blocks * 512 < MIB)
      file:close()
    end)

    it("from an array of strings and buffers as if it were one", function()
      local buffer = halo.buffer(3):set("-b-")
      local file = fs.open(dir:path("file"), "w")
      assert.equal(6, file:write { "a", buffer, "", "cd" })
      assert.equal(0, file:write {})
      assert.equal(0, file:write "")
      local many = {}
      for i = 1, 10000 do
        many[i] = tostring(i % 10)
      end
      assert.equal(10000, file:write(many))
      file:close()
      assert.equal("a-b-cd" .. table.concat(many), dir:read("file"))
    end)

    it("as it was when the call was made", function()
      local file = fs.open(dir:path("file"), "w")
      local array = { "abc", "def" }
      local task = halo.spawn(file.write, file, array)
      halo.spawn(function()
        array[1], array[2] = nil, nil
        collectgarbage()
      end)
      assert.equal(6, task:join())
      file:close()
      assert.equal("abcdef", dir:read("file"))
    end)

    it("in whole or not at all, as far as the caller is told", function()
      -- The limit cuts the file off at 4 KiB, within the second write.
      local script = [[
        local fs = require("halo").fs
        local file = fs.create(...)
        print(file:write(("x"):rep(3000)))
        print(file:write(("x"):rep(3000)))
      ]]
      dir:file("script.lua", script)
      local path = dir:path("file")
      local line = command.halo(dir:path("script.lua"), path)
      local stdout, stderr, status = command.run("ulimit -f 8; exec " .. line)
      assert.equal(("3000\nnil\tEFBIG: file too large: %s\tEFBIG\n"):format(path), stdout)
      assert.equal("", stderr)
      assert.equal(0, status)
    end)
  end)

  describe("of many MiB", function()
    local data = pattern(3 * MIB) .. "odd"

    it("is written and read as a string", function()
      local file = fs.open(dir:path("file"), "w+")
      assert.equal(#data, file:write(data))
      assert.is_true(data == file:pread(#data, 0))
      assert.is_true(data == file:pread(2 * #data, 0))
      assert.is_true(data:sub(MIB) == file:pread(#data, MIB - 1))
      file:close()
      assert.is_true(data == dir:read("file"))
    end)

    it("is written and read through a buffer", function()
      local buffer = halo.buffer(#data):set(data)
      local file = fs.open(dir:path("file"), "w+")
      assert.equal(#data, file:write(buffer))
      local copy = halo.buffer(#data + 100)
      assert.equal(#data, file:pread_into(copy, #data + 100, 0))
      assert.is_true(data == copy:string(0, #data))
      file:close()
    end)
  end)

  describe("in a buffer", function()
    it("is read up to its size, and counted", function()
      local buffer = halo.buffer(4)
      local file = fs.open(dir:file("file", "abcdef"))
      assert.equal(4, file:read_into(buffer))
      assert.equal("abcd", buffer:string())
      assert.equal(2, fs.read_into(file, buffer))
      assert.equal("efcd", buffer:string())
      assert.equal(0, file:read_into(buffer))
      assert.equal(3, file:pread_into(buffer, 3, 1))
      assert.equal("bcdd", buffer:string())
      file:close()
    end)

    it("is there for FFI, strings and the length operator", function()
      local buffer = halo.buffer(6)
      assert.equal(("\0"):rep(6), buffer:string())
      assert.equal(buffer, buffer:set("abc", 2))
      assert.equal("\0\0abc\0", buffer:string())
      assert.equal("bc\0", buffer:string(3))
      assert.equal("b", buffer:string(3, 1))
      assert.equal("", buffer:string(6))
      buffer:ptr()[0] = 0x41
      assert.equal("A", buffer:string(0, 1))
      assert.equal(6, #buffer)
      assert.equal(6, buffer:size())
    end)

    it("lies where O_DIRECT wants it", function()
      local path = dir:file("file", ("x"):rep(8192))
      local file, _, code = fs.open(path, fs.flags.RDWR + fs.flags.DIRECT)
      if code == "EINVAL" then
        pending("the file system has no O_DIRECT")
      end
      local buffer = halo.buffer(4096)
      assert.equal(4096, file:pread_into(buffer, 4096, 4096))
      assert.equal(("x"):rep(4096), buffer:string())
      assert.equal(4096, file:pwrite(buffer:set("y"), 4096))
      local message = "EINVAL: invalid argument: a file opened to append takes no offset, and one "
        .. "opened with DIRECT only aligned ones: " .. path
      if not file:pwrite("odd", 1) then -- tmpfs takes it
        assert.refused(message, file:pwrite("odd", 1))
      end
      file:close()
      assert.equal("y", dir:read("file"):sub(4097, 4097))
    end)

    it("is kept apart from what lies beside it, or the call raises", function()
      local buffer = halo.buffer(4)
      local file = fs.open(dir:file("file", "abcdef"))
      local range = "(a number from 0 to %d expected, got %d)"
      assert.misuse("bad argument #3 to 'read_into' (more bytes than the buffer has)",
        function() fs.read_into(file, buffer, 5) end)
      assert.misuse("bad argument #1 to 'string' " .. range:format(4, 5),
        function() buffer:string(5) end)
      assert.misuse("bad argument #2 to 'string' " .. range:format(3, 4),
        function() buffer:string(1, 4) end)
      assert.misuse("bad argument #2 to 'set' " .. range:format(2, 3),
        function() buffer:set("ab", 3) end)
      assert.misuse("bad argument #1 to 'set' (the string is longer than the buffer)",
        function() buffer:set("abcde") end)
      assert.equal(("\0"):rep(4), buffer:string())
      file:close()
    end)
  end)

  describe("is moved by several tasks", function()
    it("one after the other, in the order of their calls, at the file's position", function()
      local file, expected = fs.open(dir:path("file"), "w+"), {}
      local tasks = {}
      for i = 1, 100 do
        -- Long ones and short ones: none overtakes another.
        local piece = ("%02d"):format(i % 100) .. ("x"):rep(i % 3 * 50000)
        expected[i] = piece
        tasks[i] = halo.spawn(file.write, file, piece)
      end
      for i, task in ipairs(tasks) do
        assert.equal(#expected[i], task:join())
      end
      assert.is_true(table.concat(expected) == dir:read("file"))
      file:close()

      file = fs.open(dir:path("file"))
      for i = 1, 100 do
        tasks[i] = halo.spawn(file.read, file, #expected[i])
      end
      for i, task in ipairs(tasks) do
        assert.is_true(expected[i] == task:join(), "read number " .. i)
      end
      file:close()
    end)

    it("who go on in that order, though the first takes the longest", function()
      local file = fs.open(dir:file("file", pattern(MIB)))
      local order, tasks = {}, {}
      for i = 1, 10 do
        tasks[i] = halo.spawn(function()
          file:read(i == 1 and MIB / 2 or 8)
          table.insert(order, i)
        end)
      end
      for _, task in ipairs(tasks) do
        task:join()
      end
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, order)
      file:close()
    end)

    it("by handles of their own, each with its position", function()
      local path = dir:file("file", pattern(80000))
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = halo.spawn(function()
          local file, pieces = fs.open(path), {}
          repeat
            local piece = file:read(i * 997)
            table.insert(pieces, piece)
          until not piece or #pieces > 100
          file:close()
          return table.concat(pieces)
        end)
      end
      for _, task in ipairs(tasks) do
        assert.is_true(pattern(80000) == task:join())
      end
    end)

    it("at offsets, all at once", function()
      local file, tasks = fs.open(dir:path("file"), "w+"), {}
      for i = 1000, 1, -1 do
        table.insert(tasks, halo.spawn(file.pwrite, file, ("%08x"):format(i), (i - 1) * 8))
      end
      for _, task in ipairs(tasks) do
        assert.equal(8, task:join())
      end
      assert.is_true(pattern(8000) == file:pread(8000, 0))
      file:close()
    end)

    it("at the end where they append, each piece in one", function()
      local path, tasks = dir:path("file"), {}
      for i = 1, 50 do
        tasks[i] = halo.spawn(function()
          local file = fs.open(path, "a")
          file:write(("%08x"):format(i))
          file:close()
        end)
      end
      for _, task in ipairs(tasks) do
        task:join()
      end
      local pieces = {}
      for piece in dir:read("file"):gmatch("%x%x%x%x%x%x%x%x") do
        table.insert(pieces, piece)
      end
      table.sort(pieces)
      assert.equal(pattern(400), table.concat(pieces))
    end)
  end)

  describe("is asked for wrongly, which raises:", function()
    -- The argument that must be a number of bytes, and what is said of it.
    local numbers = {
      { -1, "a number from 0 to 2^53 expected, got -1" },
      { LARGEST + 2, "a number from 0 to 2^53 expected, got " .. LARGEST + 2 },
      { 1 / 0, "a number from 0 to 2^53 expected, got inf" },
      { 0 / 0, ("a number from 0 to 2^53 expected, got %s"):format(0 / 0) },
      { 0.5, "an integral number expected, got 0.5" },
      { "0", "number expected, got string" },
      { {}, "number expected, got table" },
      { 5LL, "number expected, got cdata" },
    }
    local file

    before_each(function()
      file = fs.open(dir:file("file", "abcdef"), "r+")
    end)

    after_each(function()
      file:close()
      assert.equal("abcdef", dir:read("file"))
    end)

    it("a number of bytes, or an offset, that is none", function()
      for _, case in ipairs(numbers) do
        local bad, said = unpack(case)
        local expected = "bad argument #%d to '%s' (%s)"
        local got = type(bad) == "string" and "'0'" or type(bad)
        local amount = type(bad) == "number" and said or ('a number of bytes or "a" expected, got '
          .. "%s: file:lines() gives the lines"):format(got)
        assert.misuse(expected:format(2, "read", amount), function() fs.read(file, bad) end)
        assert.misuse(expected:format(2, "pread", said), function() fs.pread(file, bad, 0) end)
        assert.misuse(expected:format(3, "pread", said), function() fs.pread(file, 1, bad) end)
        assert.misuse(expected:format(3, "pwrite", said), function() fs.pwrite(file, "x", bad) end)
        assert.misuse(expected:format(4, "pread_into", said),
          function() fs.pread_into(file, halo.buffer(1), 1, bad) end)
      end
    end)

    it("something else than a File", function()
      local names = { "read", "read_into", "write", "fsync", "fdatasync", "fstat", "close" }
      for _, name in ipairs(names) do
        local expected = ("bad argument #1 to '%s' (File expected, got %%s: file:%s(...) "
          .. "passes it)"):format(name, name)
        assert.misuse(expected:format("nil"), function() fs[name](nil, "x") end)
        assert.misuse(expected:format("string"), function() fs[name]("/etc", "x") end)
        assert.misuse(expected:format("userdata"), function() fs[name](halo.buffer(1), "x") end)
        assert.misuse(expected:format("userdata"), function() fs[name](io.stdout, "x") end)
      end
    end)

    it("something else than data", function()
      local expected = "bad argument #2 to 'write' (string, number, buffer or an array of them "
        .. "expected, "
      assert.misuse(expected .. "got nil)", function() fs.write(file, nil) end)
      assert.misuse(expected .. "got boolean)", function() fs.write(file, true) end)
      assert.misuse(expected .. "got cdata)", function() fs.write(file, 5LL) end)
      assert.misuse(expected .. "got userdata)", function() fs.write(file, file) end)
      assert.misuse((expected:gsub("#2", "#3")) .. "got nil)",
        function() fs.write(file, "x", nil, "y") end)
      assert.misuse("bad argument #2 to 'write' (element 2 is no string, number or buffer)",
        function() fs.write(file, { "a", false, "b" }) end)
      assert.misuse("bad argument #3 to 'write' (element 1 is no string, number or buffer)",
        function() fs.write(file, "x", { { "a" } }) end)
      assert.misuse("bad argument #2 to 'read_into' (buffer expected, got string)",
        function() fs.read_into(file, "x") end)
    end)
  end)
end)
