local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local flags = fs.flags

local function octal(digits)
  return tonumber(digits, 8)
end

describe("a File", function()
  local dir = temp.dir()

  describe("is opened", function()
    -- What becomes of a file "older!" into which "new" is written, or nil where it cannot be; and
    -- what can then be read from its beginning.
    local modes = {
      ["r"] = { reads = "older!" },
      ["r+"] = { written = "newer!", reads = "newer!" },
      ["w"] = { written = "new", creates = true },
      ["w+"] = { written = "new", reads = "new", creates = true },
      ["a"] = { written = "older!new", creates = true },
      ["a+"] = { written = "older!new", reads = "older!new", creates = true },
    }

    for mode, expected in pairs(modes) do
      it(("with the mode %q"):format(mode), function()
        local path, missing = dir:file("file", "older!"), dir:path("missing")
        local file = assert(fs.open(path, mode))
        if expected.written then
          assert.equal(3, file:write("new"))
        else
          assert.refused("EBADF: the file is not open for writing: " .. path, file:write("new"))
        end
        if expected.reads then
          assert.equal(expected.reads, mode == "a+" and file:read(100) or file:pread(100, 0))
        else
          assert.refused("EBADF: the file is not open for reading: " .. path, file:pread(100, 0))
        end
        file:close()
        assert.equal(expected.written or "older!", dir:read("file"))

        if expected.creates then
          fs.open(missing, mode):close()
          assert.equal("", dir:read("missing"))
        else
          assert.refused("ENOENT: no such file or directory: " .. missing, fs.open(missing, mode))
        end
      end)

      it(("with the mode %q, by its creator alone"):format(mode .. "x"), function()
        local path = dir:path("file")
        fs.open(path, mode .. "x"):close()
        assert.equal("", dir:read("file"))
        assert.refused("EEXIST: file exists: " .. path, fs.open(path, mode .. "x"))
      end)
    end

    it("to read by default, and to write by create", function()
      local path = dir:file("file", "older!")
      local file = fs.open(path)
      assert.equal("older!", file:read(100))
      file:close()
      file = fs.create(path)
      file:write("new")
      file:close()
      assert.equal("new", dir:read("file"))
    end)

    it("with flags of open(2)", function()
      local path = dir:path("file")
      local file = fs.open(path, flags.RDWR + flags.CREAT)
      file:write("abc")
      assert.equal("bc", file:pread(100, 1))
      file:close()
      dir:symlink("link", "file")
      assert.refused("ENOTDIR: not a directory: " .. path, fs.open(path, flags.DIRECTORY))
      assert.refused("ELOOP: too many levels of symbolic links: " .. dir:path("link"),
        fs.open(dir:path("link"), flags.NOFOLLOW))
    end)

    it("with permission bits, 0644 by default, less the umask", function()
      local umask = posix.umask(octal "027")
      finally(function() posix.umask(umask) end)
      fs.create(dir:path("default")):close()
      fs.create(dir:path("created"), octal "666"):close()
      fs.open(dir:path("opened"), "wx", octal "777"):close()
      assert.equal(octal "100640", fs.stat(dir:path("default")).mode)
      assert.equal(octal "100640", fs.stat(dir:path("created")).mode)
      assert.equal(octal "100750", fs.stat(dir:path("opened")).mode)
    end)

    it("not where the system refuses it", function()
      posix.mksocket(dir:path("socket"))
      for _, mode in ipairs { "r+", "w", "a" } do
        assert.refused("EISDIR: is a directory: " .. dir.root, fs.open(dir.root, mode))
      end
      assert.refused(("ENXIO: no such device or address: %s/socket"):format(dir.root),
        fs.open(dir:path("socket"), flags.WRONLY))
    end)

    it("on a directory to be looked at, not read", function()
      local file = fs.open(dir.root)
      assert.is_true(file:stat().is_dir)
      assert.refused("EISDIR: is a directory: " .. dir.root, file:read(1))
      file:close()
    end)

    it("without a descriptor that other programs would inherit or that does not wait", function()
      local file = fs.open(dir:file("file"))
      local info = assert(io.open("/proc/self/fdinfo/" .. file:fd()))
      local opened_with = info:read("*a"):match("flags:%s+(%d+)")
      info:close()
      local large_cloexec = octal "2100000"
      assert.equal(large_cloexec, octal(opened_with))
      file:close()
    end)

    it("by a mode that makes sense, or it raises", function()
      local path = dir:file("file")
      for _, mode in ipairs { "", "x", "rw", "read", "r\0" } do
        local expected = "bad argument #2 to 'open' (invalid mode '%s': "
          .. "'r', 'w' or 'a', with '+' to read and write, and 'x' to be the creator)"
        expected = expected:format(mode:gsub("%z.*", ""))
        assert.misuse(expected, function() fs.open(path, mode) end)
      end
      assert.misuse("bad argument #2 to 'open' (mode (a string or a number of fs.flags) expected, "
        .. "got table)", function() fs.open(path, {}) end)
      assert.misuse("bad argument #2 to 'open' (an integral number expected, got 0.5)",
        function() fs.open(path, 0.5) end)
      for _, mode in ipairs { "rb", "r+b", "rb+" } do -- as in Lua; Linux knows no difference
        assert(fs.open(path, mode)):close()
      end
    end)
  end)

  it("has every call of halo.fs as a method", function()
    local file = fs.open(dir:path("file"), "w+")
    local names = { "read", "read_into", "write", "fsync", "fdatasync", "fstat", "close" }
    for _, name in ipairs(names) do
      assert.equal(fs[name], file[name], name)
    end
    assert.same(fs.fstat(file), file:stat())
    assert.is_true(file:fsync())
    assert.is_true(file:fdatasync())
    assert.is_true(file:close())
  end)

  it("tells its path, its descriptor and whether it is open", function()
    local path = dir:file("file")
    local file = fs.open(path)
    assert.equal(path, file:path())
    assert.is_true(file:is_open())
    assert.is_true(posix.is_open(file:fd()))
    assert.equal(("file (%s)"):format(path), tostring(file))
    file:close()
    assert.equal(path, file:path())
    assert.is_false(file:is_open())
    assert.is_nil(file:fd())
    assert.equal(("file (closed, %s)"):format(path), tostring(file))
  end)

  describe("that is closed", function()
    it("refuses every call", function()
      local path = dir:file("file", "content")
      local file = fs.open(path, "r+")
      assert.is_true(file:close())
      local expected = "EBADF: the file is closed: " .. path
      assert.refused(expected, file:read(1))
      assert.refused(expected, file:pread(1, 0))
      assert.refused(expected, file:read_into(halo.buffer(1)))
      assert.refused(expected, file:write("x"))
      assert.refused(expected, file:fstat())
      assert.refused(expected, file:fsync())
      assert.refused(expected, file:fdatasync())
      assert.refused(expected, file:close())
    end)

    it("by two tasks at once is closed by the first", function()
      local path = dir:file("file")
      local file = fs.open(path)
      local first, second = halo.spawn(file.close, file), halo.spawn(file.close, file)
      assert.is_true(first:join())
      assert.refused("EBADF: the file is closed: " .. path, second:join())
    end)

    it("never reaches another file, however many are opened after it", function()
      local path = dir:file("stale", "stale")
      local stale = fs.open(path, "r+")
      stale:close()
      local others = {}
      for i = 1, 100 do
        others[i] = fs.open(dir:file(i, "other"), "r+")
        assert.refused("EBADF: the file is closed: " .. path, stale:pread(5, 0))
        assert.refused("EBADF: the file is closed: " .. path, stale:pwrite("wrong", 0))
        assert.refused("EBADF: the file is closed: " .. path, stale:close())
      end
      for i, other in ipairs(others) do
        assert.equal("other", other:read(100))
        other:close()
        assert.equal("other", dir:read(i))
      end
    end)

    it("by a task that was cancelled is closed all the same", function()
      local path = dir:file("file")
      local file = fs.open(path)
      local task = halo.spawn(function()
        pcall(halo.sleep, 3600)
        file:close()
      end)
      halo.yield()
      task:cancel()
      assert.is_false((pcall(task.join, task)))
      eventually("it is closed", function() return not file:is_open() end)
    end)

    it("while others read it lets them end before", function()
      local path = dir:file("file", ("x"):rep(2 ^ 20))
      for _ = 1, 5 do
        local file, readers = fs.open(path), {}
        for i = 1, 10 do
          readers[i] = halo.spawn(file.pread, file, 2 ^ 20, 0)
        end
        halo.yield()
        assert.is_true(file:close())
        for _, reader in ipairs(readers) do
          assert.equal("ended", (reader:status()))
          local data, _, code = reader:join()
          assert.is_true(data and #data > 0 or code == "ECANCELED")
        end
      end
    end)
  end)

  describe("that is forgotten", function()
    it("is closed by the collector", function()
      local before = halo.stats().files_open
      local descriptor = (function() return fs.open(dir:file("file")):fd() end)()
      assert.equal(before + 1, halo.stats().files_open)
      collectgarbage()
      collectgarbage()
      halo.yield()
      assert.equal(before, halo.stats().files_open)
      assert.is_false(posix.is_open(descriptor))
    end)

    it("in the midst of a call is not, until the call has ended", function()
      local path = dir:file("file", "content")
      local task = halo.spawn(function()
        return fs.read(fs.open(path), 100)
      end)
      eventually("the task ends", function()
        collectgarbage()
        return task:status() == "ended"
      end)
      assert.equal("content", task:join())
    end)
  end)

  describe("among many", function()
    ---Runs a script by the command halo and returns what it prints.
    local function printed_by(script)
      local stdout, stderr, status = command.run(command.halo("-e", script))
      assert.equal("", stderr)
      assert.equal(0, status)
      return stdout
    end

    it("is refused with EMFILE above max_files, and not once one is closed", function()
      assert.equal("EMFILE: too many open files: /etc EMFILE\n" .. "3 true\n", printed_by [[
        local halo = require "halo"
        local fs = halo.fs
        halo.configure { max_files = 3 }
        local files = {}
        for i = 1, 3 do
          files[i] = assert(fs.open("/"))
        end
        print(select(2, fs.open("/etc")))
        files[1]:close()
        files[1] = assert(fs.open("/etc"))
        print(halo.stats().files_open, fs.stat("/").is_dir)
      ]]:gsub("\t", " "))
    end)

    it("waits its turn above max_in_flight", function()
      assert.equal("296 waited, 4 at most ran at once, 300 were done\n", printed_by [[
        local halo = require "halo"
        halo.configure { max_in_flight = 4 }
        local file = halo.fs.open("/")
        local most = 0
        local function queued()
          local now = halo.stats()
          most = math.max(most, now.in_flight - now.queued)
          return now.queued
        end
        local tasks = {}
        for i = 1, 300 do
          tasks[i] = halo.spawn(function()
            local ok = file:fadvise "normal"
            queued()
            return ok
          end)
        end
        halo.yield()
        local waited, done = queued(), 0
        for _, task in ipairs(tasks) do
          done = done + (task:join() and 1 or 0)
        end
        print(("%d waited, %d at most ran at once, %d were done"):format(waited, most, done))
      ]])
    end)
  end)
end)
