-- The position of a file: what moves it, and what does not.

local ffi = require "ffi"
local core = require "spec.support.core"
local halo = require "halo"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"

ffi.cdef [[
int open(const char *path, int flags, ...);
int64_t lseek(int fd, int64_t offset, int whence);
]]

local C, lib, fs = ffi.C, core.lib, halo.fs

local O_RDWR, SEEK_SET, SEEK_CUR, SEEK_DATA, SEEK_HOLE = 2, 0, 1, 3, 4
local ENXIO = -6

local function adopt(loop, fd)
  local file = ffi.new("uint64_t[1]")
  assert(lib.halo_file_adopt(loop, fd, true, file) == 0)
  return file[0]
end

local function position(loop, file)
  local info = ffi.new("struct halo_file_info")
  assert(lib.halo_file_info(loop, file, info) == 0)
  return tonumber(info.position)
end

---The next bytes at the file's own position.
local function read(loop, file, length)
  local op = core.file_op(loop, lib.HALO_OP_READ, file)
  op.length = length
  local result = core.perform(loop, op)
  local data = result >= 0 and ffi.string(op.data, result) or result
  lib.halo_op_release(loop, op)
  return data
end

core.describe("the position of a file", function(_, new_loop)
  local dir = temp.dir()

  describe("of a descriptor that others share", function()
    local fd

    before_each(function()
      fd = C.open(dir:file("file", "0123456789"), O_RDWR)
      assert(fd >= 0)
    end)

    after_each(function()
      posix.close(fd)
    end)

    for name, whence in pairs { SEEK_DATA = SEEK_DATA, SEEK_HOLE = SEEK_HOLE } do
      for _, from in ipairs { 0, 5, 10, 4096 } do
        it(("is left alone by %s from %d"):format(name, from), function()
          local loop = new_loop()
          local file = adopt(loop, fd)
          assert.equal("01", read(loop, file, 2))
          local seek = core.file_op(loop, lib.HALO_OP_SEEK, file)
          seek.flags, seek.offset = whence, from
          local expected = from >= 10 and ENXIO or whence == SEEK_HOLE and 10 or from
          assert.equal(expected, core.result(loop, seek))
          assert.equal(2, tonumber(C.lseek(fd, 0, SEEK_CUR)))
          assert.equal(2, position(loop, file))
          assert.equal("23", read(loop, file, 2))
          assert.equal(4, tonumber(C.lseek(fd, 0, SEEK_CUR)))
        end)
      end
    end

    it("is left alone by seeks beside reads in flight", function()
      local loop = new_loop()
      local file = adopt(loop, fd)
      local seen = {}
      for i = 1, 5 do
        local op = core.file_op(loop, lib.HALO_OP_READ, file)
        op.length = 2
        seen[i] = core.submit(loop, op)
        local seek = core.file_op(loop, lib.HALO_OP_SEEK, file)
        seek.flags, seek.offset = i % 2 == 0 and SEEK_DATA or SEEK_HOLE, 0
        core.submit(loop, seek)
      end
      local ended = core.drain(loop)
      assert.equal(10, #ended)
      for i = 1, 5 do
        assert.equal(2, tonumber(seen[i].result))
        assert.equal(("0123456789"):sub(2 * i - 1, 2 * i), ffi.string(seen[i].data, 2))
      end
      core.release(loop, ended)
      assert.equal(10, tonumber(C.lseek(fd, 0, SEEK_CUR)))
    end)

    it("is the others' as well, who may move it", function()
      local loop = new_loop()
      local file = adopt(loop, fd)
      assert.equal("01", read(loop, file, 2))
      C.lseek(fd, 6, SEEK_SET)
      assert.equal("67", read(loop, file, 2))
    end)
  end)

  -- Whichever way a read takes, a seek that came after it says where the next one begins.
  for name, length in pairs { short = 16, long = 2 ^ 21 } do
    it(("is where a seek has put it, after a %s read in flight"):format(name), function()
      local content = ("0123456789abcdef"):rep(2 ^ 21 / 16) .. "the end"
      local loop = new_loop()
      local file = core.open(loop, dir:file("file", content))
      local op = core.file_op(loop, lib.HALO_OP_READ, file)
      op.length = length
      local under_way = lib.halo_op_submit(loop, op, 0)
      assert.equal(0, lib.halo_file_seek(loop, file, 5))
      if under_way then
        lib.halo_op_wait(loop, op)
      end
      assert.equal(length, tonumber(op.result))
      assert.equal(content:sub(1, 16), ffi.string(op.data, 16))
      lib.halo_op_release(loop, op)
      assert.equal(5, position(loop, file))
      assert.equal("56", read(loop, file, 2))
    end)
  end

  it("is where a seek has put it, for the reads that were waiting as well", function()
    local loop = new_loop()
    local file = core.open(loop, dir:file("file", ("0123456789abcdef"):rep(2 ^ 17)))
    for _ = 1, 3 do
      local op = core.file_op(loop, lib.HALO_OP_READ, file)
      op.length = 4096
      core.submit(loop, op)
    end
    assert.equal(0, lib.halo_file_seek(loop, file, 7))
    local ended = core.drain(loop)
    assert.equal(3, #ended)
    core.release(loop, ended)
    -- Each of them began before the seek or after it.
    assert.equal(7, position(loop, file) % 4096)
  end)
end)

describe("a seek during a read", function()
  local dir = temp.dir()

  it("is where the next one begins", function()
    local path = dir:file("file", ("0123456789abcdef"):rep(2 ^ 19))
    local file = assert(fs.open(path))
    for round = 1, 20 do
      file:seek("set", 0)
      local reader = halo.spawn(file.read, file, 2 ^ 23)
      local has_begun = round % 2 == 0
      if has_begun then
        halo.yield()
      end
      assert(file:seek("set", 3))
      assert.equal(has_begun and 2 ^ 23 or 2 ^ 23 - 3, #reader:join())
      assert.equal(has_begun and "345" or nil, (file:read(3)))
    end
    file:close()
  end)
end)
