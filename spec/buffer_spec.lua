-- Buffers that are lent to operations in flight: busy until the operation's own completion.

local halo = require "halo"
local fs = halo.fs
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local start = tasks.start

local LENT = "this buffer is lent to an operation in flight, until that has ended"

describe("a buffer that is lent to an operation", function()
  local dir = temp.dir()
  local fifo, buffer

  before_each(function()
    fifo = assert(fs.open(dir:fifo("fifo"), "r+"))
    buffer = halo.buffer(16)
  end)

  after_each(function()
    fifo:close()
  end)

  local uses = {
    string = function() buffer:string() end,
    ptr = function() buffer:ptr() end,
    set = function() buffer:set("text") end,
    search = function() buffer:search("text") end,
    read_into = function() fifo:read_into(buffer) end,
    readfile_into = function() fs.readfile_into("/etc/passwd", buffer) end,
    write = function() fifo:write(buffer) end,
    ["write of an array"] = function() fifo:write { "text", buffer } end,
  }

  for name, use in pairs(uses) do
    it("to be read into is refused: " .. name, function()
      local reader = start(fifo.read_into, fifo, buffer)
      assert.misuse(LENT, use)
      fifo:write("bytes")
      assert.equal(5, reader:join())
      assert.equal("bytes", buffer:string(0, 5))
    end)
  end

  it("says its size all the same", function()
    local reader = start(fifo.read_into, fifo, buffer)
    assert.equal(16, buffer:size())
    assert.equal(16, #buffer)
    reader:cancel()
  end)

  it("to be written from may be looked at, and not changed", function()
    local big = halo.buffer(1048576)
    big:set("text")
    local writer = start(fifo.write, fifo, big) -- more than the pipe holds
    assert.equal("text", big:string(0, 4))
    assert.truthy(big:ptr())
    for _, use in ipairs {
      function() big:set("other") end,
      function() fifo:read_into(big) end,
      function() fs.readfile_into("/etc/passwd", big) end,
    } do
      assert.misuse(LENT, use)
    end
    local left = 1048576
    while left > 0 do
      left = left - #fifo:read(left)
    end
    assert.equal(1048576, writer:join())
    big:set("other")
  end)

  it("is free again once a read that was cancelled has ended", function()
    local reader = start(fifo.read_into, fifo, buffer)
    reader:cancel()
    assert.is_true(tasks.ends_cancelled(reader))
    while halo.stats().in_flight > 0 do
      halo.yield()
    end
    assert.equal(("\0"):rep(16), buffer:string())
    fifo:write("bytes")
    assert.equal(5, fifo:read_into(buffer))
    assert.equal("bytes", buffer:string(0, 5))
  end)

  it("is free again once a read has been refused", function()
    local file = assert(fs.open(dir:file("file"), "w"))
    for _ = 1, 3 do
      assert.is_nil((file:read_into(buffer)))
      buffer:set("text")
    end
    file:close()
  end)
end)

describe("a buffer's search", function()
  local buffer = halo.buffer(32):set("a needle, a.b, a needle\0z")

  it("gives the offset of a text, which is no pattern", function()
    assert.equal(2, buffer:search "needle")
    assert.equal(10, buffer:search "a.b")
    assert.equal(23, buffer:search "\0z")
    assert.equal(0, buffer:search "")
    assert.is_nil(buffer:search "n.edle")
  end)

  it("looks only at the bytes that are named", function()
    assert.equal(17, buffer:search("needle", 3))
    assert.is_nil(buffer:search("needle", 3, 19))
    assert.equal(17, buffer:search("needle", 3, 20))
    assert.is_nil(buffer:search("needle", 32))
    assert.is_nil(buffer:search("a", 5, 0))
  end)

  it("takes a string and places in the buffer", function()
    assert.misuse("bad argument #1 to 'search' (string expected, got number)",
      function() buffer:search(5) end)
    assert.has_error(function() buffer:search("a", 33) end)
    assert.has_error(function() buffer:search("a", 30, 3) end)
    assert.has_error(function() buffer:search("a", 0, true) end)
  end)
end)
