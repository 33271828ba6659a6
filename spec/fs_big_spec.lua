-- Files whose offsets need more than 31 and more than 32 bits. They are sparse, so that they take
-- no room; what is in them is looked at by plain io as well.

local halo = require "halo"
local fs = halo.fs
local temp = require "spec.support.temp"
require "spec.support.assertions"

local MIB, GIB = 2 ^ 20, 2 ^ 30
local SIZE = 4 * GIB + 1000
local MARK = "0123456789"

-- Across the borders, and elsewhere.
local marks = { 0, 2 * GIB - 5, 3 * GIB, 4 * GIB - 5, SIZE - #MARK }

describe("a file of more than 4 GiB #slow", function()
  local dir = temp.dir()
  local path, file

  before_each(function()
    path = dir:path("big")
    file = assert(fs.open(path, "w+"))
    assert(file:truncate(SIZE))
    for _, offset in ipairs(marks) do
      assert(file:pwrite(MARK, offset))
    end
  end)

  after_each(function()
    file:close()
  end)

  ---What plain io reads there.
  local function plain_read(name, offset, count)
    local plain = assert(io.open(name, "rb"))
    assert(plain:seek("set", offset))
    local data = plain:read(count)
    plain:close()
    return data
  end

  ---Where the data of a file lies: offsets and ends.
  local function map_of(name)
    local map, opened = {}, assert(fs.open(name))
    local from = opened:seek("data", 0)
    while from do
      local to = opened:seek("hole", from)
      table.insert(map, { from, to })
      from = opened:seek("data", to)
    end
    opened:close()
    return map
  end

  it("has the size that it was given, and takes no room", function()
    assert.equal(SIZE, file:stat("size"))
    assert.equal(SIZE, fs.stat(path, "size"))
    assert.equal(SIZE, file:seek("end"))
    assert.is_true(file:stat("blocks") * 512 < MIB)
  end)

  it("is read and written at any offset", function()
    for _, offset in ipairs(marks) do
      assert.equal(MARK, plain_read(path, offset, #MARK))
      assert.equal(MARK, file:pread(#MARK, offset))
      if offset > 0 then
        assert.equal("\0" .. MARK:sub(1, 4), file:pread(5, offset - 1))
      end
    end
    assert.equal("9", file:pread(100, SIZE - 1))
    assert.is_nil(file:pread(100, SIZE))
  end)

  it("is read and written at its own position", function()
    for _, border in ipairs { 2 * GIB, 4 * GIB } do
      file:seek("set", border - 8)
      assert.equal("\0\0\00001", file:read(5))
      assert.equal("23456", file:read(5))
      assert.equal(border + 2, file:tell())
      file:write("abc")
      assert.equal(border + 5, file:tell())
      assert.equal("0123456abc\0", plain_read(path, border - 5, 11))
    end
  end)

  it("is read into a buffer across a border", function()
    local buffer = halo.buffer(2 * MIB)
    for _, border in ipairs { 2 * GIB, 4 * GIB } do
      local count = file:pread_into(buffer, nil, border - MIB)
      assert.equal(math.min(2 * MIB, SIZE - border + MIB), count)
      assert.equal("\0" .. MARK .. "\0", buffer:string(MIB - 6, 12))
    end
  end)

  it("is more than one string can hold", function()
    assert.refused("EFBIG: file too large: " .. path, fs.readfile(path))
  end)

  it("is read from one end to the other", function()
    local buffer, total, zeros = halo.buffer(64 * MIB), 0, ("\0"):rep(1024)
    file:seek("set", 0)
    repeat
      local count = assert(file:read_into(buffer))
      if count == 64 * MIB then
        assert.equal(zeros, buffer:string(32 * MIB, 1024))
      end
      total = total + count
    until count == 0
    assert.equal(SIZE, total)
    assert.equal(SIZE, file:tell())
  end)

  it("is appended to", function()
    assert(fs.writefile(path, "appended", { append = true }))
    assert.equal(SIZE + 8, fs.stat(path, "size"))
    assert.equal("9appended", plain_read(path, SIZE - 1, 100))
  end)

  it("is copied exactly, holes included", function()
    file:fsync() -- so that both have their data where they will keep it
    for _, reflink in ipairs { false, nil } do
      local copy = dir:path("copy")
      assert.equal(SIZE, fs.copy(path, copy, { reflink = reflink }))
      assert.equal(SIZE, fs.stat(copy, "size"))
      assert.is_true(fs.stat(copy, "blocks") * 512 < MIB)
      for _, offset in ipairs(marks) do
        assert.equal(MARK, plain_read(copy, offset, #MARK))
      end
      local data, total = map_of(copy), 0
      for _, extent in ipairs(data) do
        total = total + extent[2] - extent[1]
        local original = file:pread(extent[2] - extent[1], extent[1])
        assert.is_true(original == plain_read(copy, extent[1], extent[2] - extent[1]))
      end
      assert.is_true(total >= #marks * #MARK and total < MIB)
      fs.remove(copy)
    end
  end)

  it("has lines beyond the borders", function()
    for _, border in ipairs { 2 * GIB, 4 * GIB } do
      file:pwrite("\nfirst\nsecond, across the border\n\nlast\n", border - 10)
    end
    for _, border in ipairs { 2 * GIB, 4 * GIB } do
      local next_line = fs.lines(path, false, border - 9)
      assert.equal("first", next_line())
      assert.equal("second, across the border", next_line())
      assert.equal("", next_line())
      assert.equal("last", next_line())
      file:seek("set", border - 3)
      assert.equal("second, across the border", file:lines()())
      assert.equal(border + 23, file:tell())
    end
  end)

  it("has lines from one end to the other", function()
    local every = 128 * MIB
    for offset = every, SIZE, every do
      file:pwrite("\n", offset - 1)
    end
    file:pwrite(" a carriage return\r", 3 * GIB - 19 - 1)
    local count, total = 0, 0
    for line in fs.lines(path) do
      count = count + 1
      total = total + #line
      if count == 24 then
        assert.equal(" a carriage return\r", line:sub(-19))
      end
      assert.equal(count <= 32 and every - 1 or SIZE % every, #line)
    end
    assert.equal(33, count)
    assert.equal(SIZE - 32, total)
  end)

  it("is cut and made longer, with holes punched", function()
    file:truncate(4 * GIB + 1)
    assert.equal("4\0", file:pread(1, 4 * GIB - 1) .. "\0")
    assert.equal("5", file:pread(100, 4 * GIB))
    assert(fs.truncate(path, 6 * GIB))
    assert.equal(6 * GIB, file:stat("size"))
    assert.equal(("\0"):rep(10), file:pread(10, 4 * GIB + 1))
    local punched, _, code = file:fallocate(4 * GIB - 8192, 16384, { punch_hole = true })
    if not punched then
      assert.equal("EOPNOTSUPP", code)
      return
    end
    assert.equal(("\0"):rep(10), file:pread(10, 4 * GIB - 5))
    assert.equal(MARK, file:pread(10, 3 * GIB))
  end)
end)
