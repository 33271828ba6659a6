local ffi = require "ffi"
local core = require "spec.support.core"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"

local lib = core.lib

local EBADF, EMFILE, ESPIPE, ECANCELED = -9, -24, -29, -125
local O_RDWR = 2
local PIPE_BYTES = 65536

core.describe("files of the core", function(_, new_loop, close_loop)
  local dir = temp.dir()

  ---What halo_file_info() says of a handle: the struct, or the error.
  local function info(loop, file)
    local said = ffi.new("struct halo_file_info")
    local result = lib.halo_file_info(loop, file, said)
    return result == 0 and said or result
  end

  local function adopt(loop, fd, borrow)
    local file = ffi.new("uint64_t[1]")
    local result = lib.halo_file_adopt(loop, fd, borrow, file)
    return result == 0 and file[0] or result
  end

  local function read(loop, file, length)
    local op = core.file_op(loop, lib.HALO_OP_READ, file)
    op.length = length
    return op
  end

  local function close(loop, file)
    return core.result(loop, core.file_op(loop, lib.HALO_OP_CLOSE, file))
  end

  it("go by a handle, which is never 0 and never comes back", function()
    local loop, seen = new_loop(), {}
    for _ = 1, 300 do
      local file = core.open(loop, "/")
      assert.is_nil(seen[tonumber(file)])
      seen[tonumber(file)] = true
      assert.equal(0, info(loop, file).in_flight)
      assert.equal(0, close(loop, file))
    end
    for handle in pairs(seen) do
      assert.equal(EBADF, info(loop, handle))
      assert.equal(EBADF, close(loop, handle))
    end
    for _, handle in ipairs { 0, 1, 2 ^ 20, 2 ^ 40 + 5, core.HALO_POSITION } do
      assert.equal(EBADF, info(loop, handle))
    end
  end)

  it("tell their descriptor, flags, position and kind", function()
    local loop = new_loop()
    local file = core.open(loop, dir:file("file", "abcdef"), O_RDWR)
    local op = read(loop, file, 4)
    assert.equal(4, core.perform(loop, op))
    assert.equal("abcd", ffi.string(op.data, 4)) -- memory of the operation's own
    lib.halo_op_release(loop, op)
    local said, fd = info(loop, file), lib.halo_file_fd(loop, file)
    assert.equal(4, tonumber(said.position))
    assert.equal(O_RDWR, tonumber(said.flags))
    assert.is_false(said.stream)
    assert.is_true(posix.is_open(fd))
    assert.equal(0, close(loop, file))
    assert.is_false(posix.is_open(fd))
    assert.equal(EBADF, lib.halo_file_fd(loop, file))
    assert.is_true(info(loop, core.open(loop, dir:fifo("fifo"), O_RDWR)).stream)
  end)

  it("are read into and written from the caller's memory", function()
    local loop = new_loop()
    local file = core.open(loop, dir:file("file"), O_RDWR)
    local memory = ffi.new("uint8_t[6]", { 0x61, 0x62, 0x63 })
    local op = core.file_op(loop, lib.HALO_OP_WRITE, file)
    op.data, op.length, op.offset = memory, 3, 2
    assert.equal(3, core.result(loop, op))
    assert.equal("\0\0abc", dir:read("file"))
    op = core.file_op(loop, lib.HALO_OP_READ, file)
    op.data, op.length, op.offset = memory, 6, 1
    assert.equal(4, core.result(loop, op))
    assert.equal("\0abc\0\0", ffi.string(memory, 6))
  end)

  it("are refused above max_files, those that are being opened included", function()
    local loop = new_loop { max_files = 2 }
    local first = core.open(loop, "/")
    local second = core.submit(loop, core.op(loop, lib.HALO_OP_OPEN, "/"))
    local third = core.op(loop, lib.HALO_OP_OPEN, "/")
    assert.is_false(lib.halo_op_submit(loop, third, 0))
    assert.equal(EMFILE, tonumber(third.result))
    lib.halo_op_release(loop, third)
    assert.same({ second }, core.drain(loop))
    lib.halo_op_release(loop, second)
    assert.equal(EMFILE, adopt(loop, lib.halo_file_fd(loop, first), true))
    assert.equal(0, close(loop, first))
    core.open(loop, "/")
    assert.equal(2, core.stats(loop).files_open)
  end)

  it("that could not be opened take no place", function()
    local loop = new_loop { max_files = 1 }
    for _ = 1, 3 do
      assert.equal(-2, core.result(loop, core.op(loop, lib.HALO_OP_OPEN, dir:path("missing"))))
    end
    assert.equal(0, core.stats(loop).files_open)
  end)

  describe("over a descriptor that somebody else has opened", function()
    local reading, writing

    before_each(function()
      reading, writing = posix.pipe()
    end)

    after_each(function()
      for _, fd in ipairs { reading, writing } do
        if posix.is_open(fd) then
          posix.close(fd)
        end
      end
    end)

    it("close it, unless it is borrowed", function()
      local loop = new_loop()
      assert.equal(0, close(loop, adopt(loop, reading, true)))
      assert.is_true(posix.is_open(reading))
      assert.equal(0, close(loop, adopt(loop, reading, false)))
      assert.is_false(posix.is_open(reading))
      assert.equal(EBADF, adopt(loop, reading, false))
    end)

    it("read what there is, and have no offsets", function()
      local loop = new_loop()
      local file = adopt(loop, reading, true)
      assert.is_true(info(loop, file).stream)
      posix.write(writing, "abc")
      assert.equal(3, core.result(loop, read(loop, file, 100)))
      local op = read(loop, file, 1)
      op.offset = 0
      assert.equal(ESPIPE, core.result(loop, op))
    end)

    it("refuse new operations while they are being closed, which comes after all others", function()
      local loop = new_loop()
      local file = adopt(loop, reading, false)
      local under_way = core.submit(loop, read(loop, file, 1))
      lib.halo_loop_turn(loop, 0)
      assert.equal(1, info(loop, file).in_flight)
      local closing = core.submit(loop, core.file_op(loop, lib.HALO_OP_CLOSE, file))
      assert.equal(EBADF, core.result(loop, read(loop, file, 1)))
      assert.same({ under_way, closing }, core.drain(loop))
      assert.equal(ECANCELED, tonumber(under_way.result))
      assert.equal(0, tonumber(closing.result))
      assert.is_false(posix.is_open(reading))
      core.release(loop, { under_way, closing })
    end)

    it("are closed once they are dropped, after what is in flight", function()
      local loop = new_loop()
      local file = adopt(loop, reading, false)
      local op = core.submit(loop, read(loop, file, 1))
      lib.halo_loop_turn(loop, 0)
      lib.halo_file_drop(loop, file)
      lib.halo_file_drop(loop, file)
      assert.is_true(posix.is_open(reading))
      assert.same({ op }, core.drain(loop))
      assert.equal(ECANCELED, tonumber(op.result))
      lib.halo_op_release(loop, op)
      assert.is_false(posix.is_open(reading))
      assert.equal(0, core.stats(loop).files_open)
      lib.halo_file_drop(loop, file)
    end)
  end)

  it("that were dropped with nothing in flight are closed at once", function()
    local loop = new_loop()
    local file = core.open(loop, dir:file("file"))
    local fd = lib.halo_file_fd(loop, file)
    lib.halo_file_drop(loop, file)
    assert.equal(EBADF, info(loop, file))
    assert.is_false(posix.is_open(fd))
  end)

  it("are closed with their loop", function()
    local before = posix.count_descriptors()
    local loop = new_loop()
    for _ = 1, 10 do
      core.open(loop, "/")
    end
    core.open(loop, dir:fifo("fifo"), O_RDWR)
    assert.equal(0, close_loop(loop))
    assert(posix.count_descriptors() <= before) -- the collector may have closed some of before
  end)

  it("are closed behind a write that nobody waits for, which has its turn though others give up",
    function()
      local loop = new_loop()
      local reading, writing = posix.pipe()
      local file = adopt(loop, writing, true)
      posix.write(writing, ("x"):rep(PIPE_BYTES)) -- it is full
      local data = ffi.new("uint8_t[5]", "abcde")
      local first = core.file_op(loop, lib.HALO_OP_WRITE, file)
      local behind = core.file_op(loop, lib.HALO_OP_WRITE, file)
      behind.flags = core.HALO_WRITE_BEHIND
      for _, op in ipairs { first, behind } do
        op.data, op.length = data, 5
        assert.is_true(lib.halo_op_submit(loop, op, 0))
      end
      local closing = core.file_op(loop, lib.HALO_OP_CLOSE, file)
      assert.is_true(lib.halo_op_submit(loop, closing, 0))
      lib.halo_loop_turn(loop, 0)
      assert.equal(PIPE_BYTES, ffi.C.read(reading, ffi.new("char[?]", PIPE_BYTES), PIPE_BYTES))
      local ended = core.drain(loop)
      assert.equal(3, #ended)
      assert.same({ ECANCELED, 5, 0 },
        { tonumber(first.result), tonumber(behind.result), tonumber(closing.result) })
      core.release(loop, ended)
      posix.close(reading)
      posix.close(writing)
    end)

  it("tell a look at a stream how much there is, and leave it no bytes of others", function()
    local loop = new_loop()
    local reading, writing = posix.pipe()
    local file = adopt(loop, reading, false)
    local look, rest = read(loop, file, 100), read(loop, file, 100)
    look.flags = core.HALO_READ_PEEK
    assert.is_true(lib.halo_op_submit(loop, look, 0))
    assert.is_true(lib.halo_op_submit(loop, rest, 0))
    posix.write(writing, "abc")
    local ended = core.drain(loop)
    assert.same({ 3, 3 }, { tonumber(look.result), tonumber(rest.result) })
    assert.is_true(look.data == nil) -- the read has freed them
    assert.equal("abc", ffi.string(rest.data, 3))
    core.release(loop, ended)
    assert.equal(0, close(loop, file))
    posix.close(writing)
  end)
end)
