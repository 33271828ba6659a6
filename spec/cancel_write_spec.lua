-- What a cancel or a timeout leaves of writes and opens that are under way in a slow place: writes
-- keep their place, buffers that were lent stay busy, what was opened is closed.

local eventually = require "spec.support.eventually"
local fuse = require "spec.support.fuse"
local halo = require "halo"
local posix = require "spec.support.posix"

local fs = halo.fs

describe("a write that was cancelled #slow", function()
  local SLOW_MS = 100
  local mount = fuse.mount(SLOW_MS)
  if not mount then
    it("keeps its place", function()
      pending(select(2, fuse.mount(SLOW_MS)))
    end)
    return
  end

  local path

  before_each(function()
    path = mount.path .. "/file"
  end)

  ---What was done to the file, without what is not asked for.
  local function done(...)
    local wanted, list = { ... }, {}
    for _, line in ipairs(fuse.log(mount)) do
      for _, word in ipairs(wanted) do
        if line:match "^%S+" == word then
          list[#list + 1] = line
        end
      end
    end
    return list
  end

  ---Starts a write at the file's position and cancels it while it is under way.
  local function cancelled_write(file, data)
    fuse.hold(mount)
    local task = halo.spawn(file.write, file, data)
    halo.sleep(SLOW_MS / 4e3)
    local start = halo.now()
    task:cancel()
    local ok, err = pcall(task.join, task)
    local took = halo.now() - start
    fuse.release(mount)
    assert(not ok and halo.is_cancelled(err), "it was not cancelled")
    assert(took < 5, "the cancel has waited")
  end

  it("goes before later writes, and the position says what went out", function()
    local file = assert(fs.open(path, "r+"))
    cancelled_write(file, "12345")
    assert.equal(3, file:write "abc")
    local position = file:seek "cur"
    file:close()
    local log = done "write"
    if #log == 2 then
      assert.same({ "write file 0 5", "write file 5 3" }, log)
      assert.equal(8, position)
    else -- it was ended before it began
      assert.same({ "write file 0 3" }, log)
      assert.equal(3, position)
    end
  end)

  it("goes before a sync and a close", function()
    local file = assert(fs.open(path, "r+"))
    cancelled_write(file, "12345")
    assert(file:fsync())
    assert(file:close())
    local log = done("write", "fsync", "flush")
    if #log == 3 then
      assert.same({ "write file 0 5", "fsync file", "flush file" }, log)
    else
      assert.same({ "fsync file", "flush file" }, log)
    end
  end)

  it("goes before a close alone, and nothing comes after that", function()
    local file = assert(fs.open(path, "r+"))
    cancelled_write(file, "12345")
    assert(file:close())
    local log = done("write", "flush")
    halo.sleep(3 * SLOW_MS / 1e3)
    assert.same(log, done("write", "flush"))
    assert.equal("flush file", log[#log])
  end)

  it("goes before one at a place, of a handle that appends, and of many that were cancelled",
    function()
      local file = assert(fs.open(path, "r+"))
      for i = 1, 3 do
        cancelled_write(file, ("x"):rep(i))
      end
      assert.equal(1, file:write "y")
      local position = file:seek "cur"
      file:close()
      local log, at = done "write", 0
      for _, line in ipairs(log) do
        local offset, size = line:match "(%d+) (%d+)$"
        assert.equal(at, tonumber(offset))
        at = at + tonumber(size)
      end
      assert.equal(at, position)
      assert.equal("1", log[#log]:match "%d+$")
    end)

  it("is over before the buffer that it was lent is used again", function()
    local file = assert(fs.open(path, "r+"))
    local buffer = halo.buffer(16)
    local in_flight = halo.stats().in_flight
    local task = halo.spawn(file.pwrite, file, buffer, 0)
    halo.sleep(SLOW_MS / 4e3)
    task:cancel()
    pcall(task.join, task)
    local busy = not pcall(buffer.set, buffer, "x", 0)
    assert(busy or halo.stats().in_flight <= in_flight, "the buffer is not busy")
    fuse.await_answers(in_flight)
    buffer:set("x", 0)
    file:close()
  end)

  it("leaves a read that was cancelled no way into a buffer that is used again", function()
    local file = assert(fs.open(path, "r+"))
    local buffer = halo.buffer(16)
    local in_flight = halo.stats().in_flight
    fuse.hold(mount)
    local code = select(3, halo.timeout(SLOW_MS / 4e3, file.pread_into, file, buffer, 16, 0))
    fuse.release(mount)
    assert.equal("ETIMEDOUT", code)
    local ok = pcall(buffer.set, buffer, "0123456789abcdef", 0)
    fuse.await_answers(in_flight)
    halo.sleep(SLOW_MS / 1e3)
    if ok then
      assert.equal("0123456789abcdef", buffer:string(0, 16))
    end
    file:close()
  end)

  it("makes no file by an exclusive open, and keeps no descriptor", function()
    local before, in_flight = halo.stats().files_open, halo.stats().in_flight
    for i, wait_ms in ipairs { 10, SLOW_MS / 2, SLOW_MS * 1.2, SLOW_MS * 1.8 } do
      local name = mount.path .. "/new" .. i
      local task = halo.spawn(fs.open, name, "wx")
      halo.sleep(wait_ms / 1e3)
      local start = halo.now()
      task:cancel()
      local ok, err = pcall(task.join, task)
      assert(not ok and halo.is_cancelled(err))
      assert(halo.now() - start < SLOW_MS / 2e3, "the cancel has waited")
    end
    fuse.await_answers(in_flight)
    eventually("all is closed", function()
      return halo.stats().files_open == before and halo.stats().in_flight <= in_flight
    end)
    local created, gone = done "create", done "unlink"
    assert.equal(#created, #gone, "created and not removed")
    for i = 1, 4 do
      assert.is_nil((fs.stat(mount.path .. "/new" .. i)))
    end
  end)

  it("keeps no descriptor of an open", function()
    local before, in_flight = posix.count_descriptors(), halo.stats().in_flight
    for _, wait_ms in ipairs { 10, SLOW_MS / 2, SLOW_MS * 1.5 } do
      local _, _, code = halo.timeout(wait_ms / 1e3, fs.open, path)
      assert.equal("ETIMEDOUT", code)
    end
    fuse.await_answers(in_flight)
    eventually("all is closed", function()
      return posix.count_descriptors() <= before
    end)
  end)
end)
