local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
require "spec.support.assertions"

describe("fs.readfile", function()
  local dir = temp.dir()

  it("gives all of a file, byte by byte as it is", function()
    local bytes = {}
    for byte = 0, 255 do
      bytes[#bytes + 1] = string.char(byte)
    end
    local content = table.concat(bytes):rep(20000) .. "x" -- more than one piece of the core's
    assert.is_true(fs.readfile(dir:file("file", content)) == content)
    assert.equal("", fs.readfile(dir:file("empty")))
  end)

  it("gives files that claim to be empty, such as those of /proc", function()
    local file = io.open("/proc/version")
    assert.equal(file:read("*a"), fs.readfile("/proc/version"))
    file:close()
    assert.is_truthy(fs.readfile("/proc/self/status"):find("Umask", 1, true))
  end)

  it("reads a FIFO to its end, and other tasks go on", function()
    local path = dir:fifo("fifo")
    local reading = halo.spawn(fs.readfile, path)
    local writer = fs.open(path, "w")
    for i = 1, 3 do
      writer:write(("%d"):format(i):rep(40000))
      halo.sleep(0.001)
    end
    writer:close()
    local data = reading:join()
    assert.equal(120000, #data)
    assert.equal("123", data:sub(1, 1) .. data:sub(40001, 40001) .. data:sub(-1))
  end)

  it("loses nothing of a writer that has waited for a reader", function()
    local path = dir:fifo("fifo")
    for _ = 1, 10 do
      assert(os.execute(command.quote("sh", "-c", "printf hello >" .. path) .. " &") == 0)
      assert.equal("hello", fs.readfile(path))
    end
  end)

  it("can be cancelled while it reads a FIFO, and closes it", function()
    local path = dir:fifo("fifo")
    local reading = halo.spawn(fs.readfile, path)
    local writer = fs.open(path, "w")
    writer:write("some")
    local before = halo.stats().files_open
    eventually("the task waits for more", function()
      return select(2, reading:status()) == "read" and halo.stats().files_open == before
    end)
    reading:cancel()
    assert.is_true(tasks.ends_cancelled(reading))
    eventually("it is closed", function() return halo.stats().files_open == before - 1 end)
    writer:close()
  end)

  it("reads devices", function()
    assert.equal("", fs.readfile("/dev/null"))
  end)

  it("is refused with the path", function()
    local missing = dir:path("missing")
    assert.refused("ENOENT: no such file or directory: " .. missing, fs.readfile(missing))
    assert.refused("EISDIR: is a directory: " .. dir.root, fs.readfile(dir.root))
    local long = ("x"):rep(5000)
    assert.refused("ENAMETOOLONG: file name too long: " .. long, fs.readfile(long))
    assert.refused("ENOENT: no such file or directory: ", fs.readfile(""))
    local loop = dir:symlink("loop", "loop")
    assert.refused("ELOOP: too many levels of symbolic links: " .. loop, fs.readfile(loop))
  end)

  it("raises misuse", function()
    assert.misuse("bad argument #1 to 'readfile' (path (a string) expected, got nil)",
      function() fs.readfile() end)
    assert.misuse("bad argument #1 to 'readfile' (the path contains a NUL byte)",
      function() fs.readfile("a\0b") end)
  end)
end)

describe("fs.readfile_into", function()
  local dir = temp.dir()

  it("gives all of a file that fits, to the last byte, and leaves what is behind it", function()
    local buffer = halo.buffer(9)
    for size = 0, 9 do
      buffer:set(("-"):rep(9))
      local content = ("abcdefghi"):sub(1, size)
      assert.equal(size, fs.readfile_into(dir:file("file", content), buffer))
      assert.equal(content .. ("-"):rep(9 - size), buffer:string())
    end
  end)

  it("refuses what does not fit, and leaves the buffer as it is", function()
    local buffer = halo.buffer(3):set "old"
    for _, content in ipairs { "1234", ("x"):rep(3e6) } do
      local path = dir:file("file", content)
      assert.refused("EFBIG: file too large: " .. path, fs.readfile_into(path, buffer))
    end
    local path = dir:file("one", "1")
    assert.refused("EFBIG: file too large: " .. path, fs.readfile_into(path, halo.buffer(0)))
    assert.equal(0, fs.readfile_into(dir:file "empty", halo.buffer(0)))
    assert.equal("old", buffer:string())
    assert.refused("EFBIG: file too large: /proc/version",
      fs.readfile_into("/proc/version", buffer))
  end)

  it("takes files of /sys, which are shorter than they say", function()
    local path, buffer = "/sys/devices/system/cpu/online", halo.buffer(100)
    if not fs.exists(path) then
      pending "there is no /sys"
      return
    end
    local count = fs.readfile_into(path, buffer)
    assert.equal(fs.readfile(path), buffer:string(0, count))
  end)

  it("does so in tasks, which may be cancelled while it goes on", function()
    local path = dir:file("file", ("x"):rep(2e6))
    for _ = 1, 20 do
      local reading = halo.spawn(fs.readfile_into, path, halo.buffer(2e6))
      halo.yield()
      reading:cancel()
      collectgarbage()
    end
    local buffer = halo.buffer(2e6)
    assert.equal(2e6, fs.readfile_into(path, buffer))
  end)

  it("takes files of any length, those of /proc, and devices", function()
    local content = ("0123456789"):rep(3e5)
    local buffer = halo.buffer(#content + 1)
    assert.equal(#content, fs.readfile_into(dir:file("file", content), buffer))
    assert.is_true(buffer:string(0, #content) == content)
    local count = fs.readfile_into("/proc/version", buffer)
    assert.equal(fs.readfile "/proc/version", buffer:string(0, count))
    assert.equal(0, fs.readfile_into("/dev/null", buffer))
  end)

  it("reads a FIFO to its end", function()
    local path, buffer = dir:fifo("fifo"), halo.buffer(10)
    for _, size in ipairs { 10, 11 } do
      local reading = halo.spawn(function()
        return { fs.readfile_into(path, buffer) }
      end)
      local writer = fs.open(path, "w")
      writer:write(("x"):rep(size))
      writer:close()
      local got = reading:join()
      assert.same(size == 10 and { 10 } or { nil, "EFBIG: file too large: " .. path, "EFBIG" }, got)
    end
  end)

  it("names what is wrong with its arguments", function()
    assert.misuse("bad argument #1 to 'readfile_into' (path (a string) expected, got nil)",
      function() fs.readfile_into() end)
    assert.misuse("bad argument #2 to 'readfile_into' (buffer expected, got string)",
      function() fs.readfile_into("a", "b") end)
  end)
end)
