local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local MIB = 2 ^ 20

---Lets the others run until the task waits in a call of this name.
local function until_waiting(task, call)
  eventually("the task waits in " .. call, function()
    return select(2, task:status()) == call
  end)
end

local function assert_cancelled(task)
  local ok, message = pcall(task.join, task)
  assert.is_false(ok)
  assert.equal("cancelled", tostring(message))
end

describe("a File of a FIFO", function()
  local dir = temp.dir()
  local path

  before_each(function()
    path = dir:fifo("fifo")
  end)

  ---Both ends: one to read, one to write.
  local function open_both()
    local reader = halo.spawn(fs.open, path)
    local writer = assert(fs.open(path, "w"))
    return assert(reader:join()), writer
  end

  it("says what readv has read where its wait for more is cancelled", function()
    local reader, writer = open_both()
    local first, second = halo.buffer(4), halo.buffer(4)
    writer:write("abcd")
    local later
    local task = halo.spawn(function()
      local count = reader:readv { first, second }
      later = { pcall(halo.yield) }
      return count
    end)
    eventually("the first buffer is full, and the task waits", function()
      local is_free, text = pcall(first.string, first)
      return is_free and text == "abcd" and select(2, task:status()) == "read"
    end)
    task:cancel()
    assert.equal(4, task:join())
    assert.is_false(later[1])
    assert.is_true(halo.is_cancelled(later[2]))
    writer:write("ef")
    assert.equal("ef", reader:read(100))
    reader:close()
    writer:close()
  end)

  describe("waits for its other end", function()
    it("where it is opened to write", function()
      local task = halo.spawn(fs.open, path, "w")
      until_waiting(task, "open")
      local reader = fs.open(path)
      local writer = task:join()
      assert.equal(5, writer:write("hello"))
      assert.equal("hello", reader:read(100))
      reader:close()
      writer:close()
    end)

    it("where it is opened to read, at the latest in the first read", function()
      local task = halo.spawn(function()
        local reader = fs.open(path)
        local data = reader:read(100)
        reader:close()
        return data
      end)
      until_waiting(task, "read")
      local writer = fs.open(path, "w")
      writer:write("hello")
      assert.equal("hello", task:join())
      writer:close()
    end)

    it("until it is cancelled", function()
      local before = halo.stats().files_open
      local opening = halo.spawn(fs.open, path, "w")
      until_waiting(opening, "open")
      opening:cancel()
      assert_cancelled(opening)
      local reading = halo.spawn(function()
        fs.read(fs.open(path, "r+"), 100)
      end)
      until_waiting(reading, "read")
      reading:cancel()
      assert_cancelled(reading)
      eventually("both files are closed", function()
        collectgarbage()
        return halo.stats().files_open == before
      end)
    end)

    it("or not where the caller says so", function()
      local flags = fs.flags.WRONLY + fs.flags.NONBLOCK
      assert.refused("ENXIO: no such device or address: " .. path, fs.open(path, flags))
    end)
  end)

  describe("is read", function()
    it("as far as there is something, not up to the count", function()
      local reader, writer = open_both()
      writer:write("one")
      assert.equal("one", reader:read(100))
      writer:write("two")
      local buffer = halo.buffer(10)
      assert.equal(3, reader:read_into(buffer))
      assert.equal("two", buffer:string(0, 3))
      writer:write("three")
      assert.equal("thr", reader:read(3))
      assert.equal("ee", reader:read(3))
      reader:close()
      writer:close()
    end)

    it("as an empty string once nobody writes any more", function()
      local reader, writer = open_both()
      writer:write("last")
      writer:close()
      assert.equal("last", reader:read(100))
      assert.is_nil(reader:read(100))
      reader:close()
    end)

    it("by the tasks in the order in which they have asked", function()
      local reader, writer = open_both()
      local first, second = halo.spawn(reader.read, reader, 3), halo.spawn(reader.read, reader, 3)
      halo.yield()
      writer:write("onetwo")
      assert.equal("two", second:join())
      assert.equal("one", first:join())
      reader:close()
      writer:close()
    end)

    it("by the next one where the first is cancelled", function()
      local reader, writer = open_both()
      local first, second = halo.spawn(reader.read, reader, 3), halo.spawn(reader.read, reader, 3)
      until_waiting(first, "read")
      first:cancel()
      assert_cancelled(first)
      writer:write("onetwo")
      assert.equal("one", second:join())
      reader:close()
      writer:close()
    end)

    it("without a loss where a reader is cancelled before there was anything", function()
      local reader, writer = open_both()
      local task = halo.spawn(reader.read, reader, 100)
      until_waiting(task, "read")
      task:cancel()
      assert_cancelled(task)
      writer:write("kept")
      assert.equal("kept", reader:read(100))
      reader:close()
      writer:close()
    end)
  end)

  describe("is written", function()
    it("in whole, though it holds less at a time", function()
      local reader, writer = open_both()
      local data = ("0123456789abcde\n"):rep(MIB / 16)
      local task = halo.spawn(function()
        local count = writer:write(data)
        writer:close()
        return count
      end)
      local pieces = {}
      repeat
        local piece = reader:read(100000)
        table.insert(pieces, piece)
      until not piece
      assert.equal(MIB, task:join())
      assert.is_true(data == table.concat(pieces))
      assert.is_true(#pieces > 2)
      reader:close()
    end)

    it("while another task waits to read from the same File", function()
      local file = fs.open(path, "r+")
      local task = halo.spawn(file.read, file, 100)
      until_waiting(task, "read")
      assert.equal(5, file:write("hello"))
      assert.equal("hello", task:join())
      file:close()
    end)

    it("no more once nobody reads: EPIPE", function()
      local reader, writer = open_both()
      reader:close()
      assert.refused("EPIPE: broken pipe: " .. path, writer:write("x"))
      writer:close()
    end)
  end)

  it("has no offsets and nothing to sync", function()
    local reader, writer = open_both()
    writer:write("x")
    assert.refused("ESPIPE: illegal seek: " .. path, reader:pread(1, 0))
    assert.refused("ESPIPE: illegal seek: " .. path, writer:pwrite("x", 0))
    assert.refused("EINVAL: invalid argument: " .. path, writer:fsync())
    reader:close()
    writer:close()
  end)

  describe("that is closed", function()
    it("ends the reads under way with ECANCELED", function()
      local reader, writer = open_both()
      local tasks = {}
      for i = 1, 3 do
        tasks[i] = halo.spawn(reader.read, reader, 100)
        until_waiting(tasks[i], "read")
      end
      assert.is_true(reader:close())
      for _, task in ipairs(tasks) do
        assert.refused("ECANCELED: operation canceled: " .. path, task:join())
      end
      assert.is_false(reader:is_open())
      writer:close()
    end)

    it("ends a write that waits for room with ECANCELED", function()
      local reader, writer = open_both()
      local task = halo.spawn(writer.write, writer, ("x"):rep(MIB))
      until_waiting(task, "write")
      assert.is_true(writer:close())
      assert.refused("ECANCELED: operation canceled: " .. path, task:join())
      reader:close()
    end)

    it("is not closed again when the collector finds it", function()
      local descriptor = (function()
        local file = fs.open(path, "r+")
        local number = file:fd()
        file:close()
        return number
      end)()
      local other = fs.open(path, "r+")
      assert.equal(descriptor, other:fd())
      collectgarbage()
      collectgarbage()
      halo.yield()
      assert.is_true(posix.is_open(descriptor))
      other:close()
    end)
  end)

  it("that is forgotten is closed by the collector", function()
    local before = halo.stats().files_open
    local descriptor = (function() return fs.open(path, "r+"):fd() end)()
    eventually("it is closed", function()
      collectgarbage()
      return halo.stats().files_open == before
    end)
    assert.is_false(posix.is_open(descriptor))
  end)

  describe("holds up nobody else,", function()
    ---A bit of everything, which has to go on whatever is stuck meanwhile.
    local function work()
      local file = assert(fs.create(dir:path("file")))
      assert(file:write("data"))
      assert(file:fsync())
      assert(file:close())
      assert.equal(4, fs.stat(dir:path("file")).size)
      assert.equal("table", type(fs.readdir(dir.root)))
      assert(fs.remove(dir:path("file")))
    end

    it("though 40 reads of such a File are stuck", function()
      local files, tasks = {}, {}
      for i = 1, 40 do
        files[i] = fs.open(dir:fifo(i), "r+")
        tasks[i] = halo.spawn(files[i].read, files[i], 100)
        until_waiting(tasks[i], "read")
      end
      work()
      for i, task in ipairs(tasks) do
        files[i]:write(tostring(i))
        assert.equal(tostring(i), task:join())
        files[i]:close()
      end
    end)

    it("though 40 opens of such a File are stuck", function()
      local tasks = {}
      for i = 1, 40 do
        tasks[i] = halo.spawn(fs.open, dir:fifo(i), "w")
        until_waiting(tasks[i], "open")
      end
      work()
      for i, task in ipairs(tasks) do
        local reader = fs.open(dir:path(i))
        task:join():close()
        reader:close()
      end
    end)

    it("not even the end of the program", function()
      dir:file("script.lua", [[
        local halo = require "halo"
        local path = ...
        halo.spawn(halo.fs.open, path, "w")
        local file = halo.fs.open(path, "r+")
        halo.spawn(file.read, file, 100)
        halo.spawn(halo.fs.open, path .. "2", "w")
        halo.yield()
        os.exit(7)
      ]])
      dir:fifo("fifo2")
      local stdout, stderr, status = command.run(command.halo(dir:path("script.lua"), path))
      assert.same({ "", "", 7 }, { stdout, stderr, status })
    end)
  end)
end)

describe("a File of a device", function()
  it("is read and written as devices are", function()
    local null, zero = fs.open("/dev/null", "r+"), fs.open("/dev/zero")
    assert.equal(3, null:write("abc"))
    assert.is_nil(null:read(100))
    assert.equal(("\0"):rep(100), zero:read(100))
    null:close()
    zero:close()
  end)

  it("says that it is full", function()
    local full = fs.open("/dev/full", "w")
    assert.refused("ENOSPC: no space left on device: /dev/full", full:write("x"))
    full:close()
  end)
end)
