-- Operations of the core that nobody waits for any more: what they have brought is kept or undone.

local busted = require "busted"
local ffi = require "ffi"
local core = require "spec.support.core"
local fuse = require "spec.support.fuse"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"

core.describe("an operation of the core that nobody waits for", function(_, new_loop, close_loop)
  local lib = core.lib
  local dir = temp.dir()

  local function read_op(loop, file, length)
    local op = core.file_op(loop, lib.HALO_OP_READ, file)
    op.length = length
    return op
  end

  ---Reads what is there at the front of a stream.
  local function read(loop, file, length)
    local op = read_op(loop, file, length)
    local result = core.perform(loop, op)
    local data = result >= 0 and ffi.string(op.data, result) or result
    lib.halo_op_release(loop, op)
    return data
  end

  for _, moment in ipairs { "before its end", "after its end" } do
    it("keeps the bytes of a stream for the next reader, abandoned " .. moment, function()
      local loop = new_loop()
      local file = core.open(loop, dir:fifo "fifo", 2)
      local fd = lib.halo_file_fd(loop, file)
      local op = core.submit(loop, read_op(loop, file, 4))
      lib.halo_loop_turn(loop, 0)
      posix.write(fd, "abcdefgh")
      if moment == "before its end" then
        lib.halo_op_abandon(loop, op)
        core.release(loop, core.drain(loop))
      else
        core.drain(loop)
        assert.equal(4, tonumber(op.result))
        lib.halo_op_abandon(loop, op)
        lib.halo_op_release(loop, op)
      end
      -- In pieces smaller and larger than what was kept.
      local all = ""
      while #all < 8 do
        local piece = read(loop, file, #all == 0 and 3 or 100)
        assert(type(piece) == "string" and #piece > 0, piece)
        all = all .. piece
      end
      assert.equal("abcdefgh", all)
    end)
  end

  for order, step in pairs { ["the first first"] = 1, ["the last first"] = -1 } do
    it("keeps the order of what several have brought, given up " .. order, function()
      local loop = new_loop()
      local file = core.open(loop, dir:fifo "fifo", 2)
      local fd = lib.halo_file_fd(loop, file)
      local ops = {}
      for i = 1, 4 do
        ops[i] = core.submit(loop, read_op(loop, file, 2))
      end
      lib.halo_loop_turn(loop, 0)
      posix.write(fd, "aabbccddee")
      core.drain(loop)
      for i = step > 0 and 1 or 4, step > 0 and 4 or 1, step do
        assert.equal(2, tonumber(ops[i].result))
        lib.halo_op_abandon(loop, ops[i])
        lib.halo_op_release(loop, ops[i])
      end
      local all = ""
      while #all < 10 do
        all = all .. read(loop, file, 3)
      end
      assert.equal("aabbccddee", all)
    end)
  end

  for _, owner in ipairs { "the operation's own memory", "the caller's memory" } do
    it("puts back what was taken from the front of a stream into " .. owner, function()
      local loop = new_loop()
      local file = core.open(loop, dir:fifo "fifo", 2)
      local fd = lib.halo_file_fd(loop, file)
      local first = core.submit(loop, read_op(loop, file, 8))
      lib.halo_loop_turn(loop, 0)
      posix.write(fd, "abcdefgh")
      core.drain(loop)
      lib.halo_op_abandon(loop, first)
      lib.halo_op_release(loop, first)
      local ops, memory = {}, {}
      for i = 1, 3 do
        ops[i], memory[i] = read_op(loop, file, 2), ffi.new("uint8_t[8]")
        if owner == "the caller's memory" then
          ops[i].data = memory[i]
        end
        core.perform(loop, ops[i])
        assert.equal(("abcdef"):sub(2 * i - 1, 2 * i), ffi.string(ops[i].data, 2))
      end
      for _, i in ipairs { 2, 3, 1 } do
        lib.halo_op_abandon(loop, ops[i])
        lib.halo_op_release(loop, ops[i])
      end
      local all = ""
      while #all < 8 do
        all = all .. read(loop, file, 3)
      end
      assert.equal("abcdefgh", all)
    end)
  end

  it("puts what was kept before what a read to the end has got meanwhile", function()
    local loop = new_loop()
    local from, to = posix.pipe()
    local adopted = ffi.new("uint64_t[1]")
    assert(lib.halo_file_adopt(loop, from, false, adopted) == 0)
    local early = {}
    for i = 1, 2 do
      early[i] = core.submit(loop, read_op(loop, adopted[0], 2))
    end
    posix.write(to, "aabb")
    core.drain(loop)
    local rest = read_op(loop, adopted[0], 1)
    rest.flags = core.HALO_READ_ALL
    core.submit(loop, rest)
    posix.write(to, "cc")
    while posix.is_readable(from, 0) do
      lib.halo_loop_turn(loop, 1e6)
    end
    lib.halo_loop_turn(loop, 1e6)
    for _, op in ipairs(early) do
      lib.halo_op_abandon(loop, op)
      lib.halo_op_release(loop, op)
      lib.halo_loop_turn(loop, 1e6)
    end
    posix.write(to, "dd")
    posix.close(to)
    core.drain(loop)
    assert.equal("aabbccdd", ffi.string(rest.data, tonumber(rest.result)))
    lib.halo_op_release(loop, rest)
  end)

  it("gives what is put back to a read that waits for the stream already", function()
    local loop = new_loop()
    local file = core.open(loop, dir:fifo "fifo", 2)
    local fd = lib.halo_file_fd(loop, file)
    local first = core.submit(loop, read_op(loop, file, 8))
    local second = core.submit(loop, read_op(loop, file, 8))
    lib.halo_loop_turn(loop, 0)
    posix.write(fd, "token")
    repeat
      lib.halo_loop_turn(loop, 1e8)
      local ended = lib.halo_loop_next(loop)
    until ended == first
    lib.halo_op_abandon(loop, first)
    lib.halo_op_release(loop, first)
    for _ = 1, 50 do
      if lib.halo_op_has_ended(second) then
        break
      end
      lib.halo_loop_turn(loop, 1e8)
    end
    assert.is_true(lib.halo_op_has_ended(second))
    assert.equal("token", ffi.string(second.data, tonumber(second.result)))
  end)

  it("removes what it has made exclusively where the loop closes before it is handed on", function()
    local loop, path = new_loop(), dir:path "exclusive"
    local O_RDWR, O_CREAT, O_EXCL = 2, 64, 128
    local op = core.op(loop, lib.HALO_OP_OPEN, path)
    op.flags, op.mode = O_RDWR + O_CREAT + O_EXCL, 384
    if not lib.halo_op_submit(loop, op, 0) then -- then somebody has it
      lib.halo_op_abandon(loop, op)
      lib.halo_op_release(loop, op)
    else
      while not lib.halo_op_has_ended(op) do
        lib.halo_loop_turn(loop, 1e8)
      end
    end
    assert.equal(0, close_loop(loop))
    assert.is_false(posix.exists(path))
  end)

  local function mkdir_op(loop, path, flags)
    local op = core.op(loop, lib.HALO_OP_MKDIR, path)
    op.mode, op.flags = 448, flags
    return op
  end

  for flags, name in pairs { [0] = "keeps", [core.HALO_MKDIR_UNDO] = "removes" } do
    it(name .. " a directory that it has made, as it was asked to", function()
      local loop = new_loop()
      for _, moment in ipairs { "before", "after" } do
        local path = dir:path(name .. moment)
        local op = mkdir_op(loop, path, flags)
        local under_way = lib.halo_op_submit(loop, op, 0)
        if under_way and moment == "before" then
          lib.halo_op_abandon(loop, op)
          core.release(loop, core.drain(loop))
        else
          if under_way then
            core.drain(loop)
          end
          assert.is_true(posix.exists(path))
          lib.halo_op_abandon(loop, op)
          lib.halo_op_release(loop, op)
        end
        core.release(loop, core.drain(loop))
        if flags ~= 0 or moment == "after" then
          assert.equal(flags == 0, posix.exists(path))
        end
      end
      assert.equal(0, core.stats(loop).in_flight)
    end)
  end

  busted.describe("where files are slow,", function()
    local mount, reason = fuse.mount(1)

    it("removes a directory that it has made where the loop closes before", function()
      if not mount then
        pending(reason)
      end
      local O_DIRECTORY, loop = 65536, new_loop()
      local op = mkdir_op(loop, "new", core.HALO_MKDIR_UNDO)
      op.base = core.open(loop, mount.path, O_DIRECTORY)
      assert.is_true(lib.halo_op_submit(loop, op, 0))
      while not lib.halo_op_has_ended(op) do
        lib.halo_loop_turn(loop, 1e8)
      end
      assert.equal(0, close_loop(loop))
      assert.equal("mkdir new\nrmdir new", table.concat(fuse.log(mount), "\n"))
    end)
  end)

  it("is released unsubmitted without an undo", function()
    local loop = new_loop()
    local path = dir:file "file"
    local one, other = core.open(loop, path, 2), core.open(loop, path, 2)
    local LOCK_EX, LOCK_NB = 2, 4
    local op = core.file_op(loop, lib.HALO_OP_LOCK, one)
    op.flags = LOCK_EX
    assert.equal(0, core.result(loop, op))
    op = core.file_op(loop, lib.HALO_OP_LOCK, one)
    op.flags = LOCK_EX
    lib.halo_op_abandon(loop, op)
    lib.halo_op_release(loop, op)
    op = core.file_op(loop, lib.HALO_OP_LOCK, other)
    op.flags = LOCK_EX + LOCK_NB
    assert.equal(-11, core.result(loop, op))
  end)

  it("moves the position of a file back", function()
    local loop = new_loop()
    local file = core.open(loop, dir:file("file", "0123456789"))
    local op = read_op(loop, file, 4)
    if lib.halo_op_submit(loop, op, 0) then
      core.drain(loop)
    end
    assert.equal(4, tonumber(op.result))
    lib.halo_op_abandon(loop, op)
    lib.halo_op_release(loop, op)
    assert.equal("0123", read(loop, file, 4))
    assert.equal("4567", read(loop, file, 4))
  end)

  it("lets go of a lock", function()
    local loop = new_loop()
    local path = dir:file "file"
    local one, other = core.open(loop, path, 2), core.open(loop, path, 2)
    local LOCK_EX, LOCK_NB = 2, 4
    local op = core.file_op(loop, lib.HALO_OP_LOCK, one)
    op.flags = LOCK_EX
    if lib.halo_op_submit(loop, op, 0) then
      core.drain(loop)
    end
    assert.equal(0, tonumber(op.result))
    lib.halo_op_abandon(loop, op)
    lib.halo_op_release(loop, op)
    op = core.file_op(loop, lib.HALO_OP_LOCK, other)
    op.flags = LOCK_EX + LOCK_NB
    assert.equal(0, core.result(loop, op))
  end)

  it("closes what it has opened, and removes what it has made exclusively", function()
    local loop = new_loop()
    local O_RDWR, O_CREAT, O_EXCL = 2, 64, 128
    local before = posix.count_descriptors()
    for _, moment in ipairs { "before", "after" } do
      for name, flags in pairs { made = O_RDWR + O_CREAT, exclusive = O_RDWR + O_CREAT + O_EXCL } do
        local path = dir:path(name .. moment)
        local op = core.op(loop, lib.HALO_OP_OPEN, path)
        op.flags, op.mode = flags, 384
        local under_way = lib.halo_op_submit(loop, op, 0)
        if under_way and moment == "before" then
          lib.halo_op_abandon(loop, op)
          core.release(loop, core.drain(loop))
        else
          if under_way then
            core.drain(loop)
          end
          lib.halo_op_abandon(loop, op)
          lib.halo_op_release(loop, op)
        end
        core.drain(loop)
        for _ = 1, 3 do
          lib.halo_loop_turn(loop, 1e7)
          core.drain(loop)
        end
        assert.equal(0, core.stats(loop).files_open)
        if name == "exclusive" then
          assert.is_false(posix.exists(path))
        end
      end
    end
    assert(posix.count_descriptors() <= before + 4) -- the engine's own may have come
  end)

  local SHARED, EXCLUSIVE, UNLOCK, TRY = 1, 2, 8, 4

  ---Asks for a lock; where it is abandoned, that is after its end.
  local function lock(loop, file, how, abandoned)
    local op = core.file_op(loop, lib.HALO_OP_LOCK, file)
    op.flags = how
    local result = core.perform(loop, op)
    if abandoned then
      lib.halo_op_abandon(loop, op)
    end
    lib.halo_op_release(loop, op)
    core.release(loop, core.drain(loop))
    return result
  end

  for _, case in ipairs {
    { "none, then a shared one", nil, SHARED, "free" },
    { "a shared one, then an exclusive one", SHARED, EXCLUSIVE, "shared" },
    { "a shared one, then another", SHARED, SHARED, "shared" },
    -- It cannot be had back without waiting for others.
    { "an exclusive one, then a shared one", EXCLUSIVE, SHARED, "shared" },
    { "an exclusive one, then none", EXCLUSIVE, UNLOCK, "free" },
  } do
    it("gives a lock back for what the file held before: " .. case[1], function()
      local loop = new_loop()
      local path = dir:file "locked"
      local file, other = core.open(loop, path), core.open(loop, path)
      if case[2] then
        assert.equal(0, lock(loop, file, case[2]))
      end
      assert.equal(0, lock(loop, file, case[3], true))
      local shared = lock(loop, other, SHARED + TRY) == 0
      local exclusive = lock(loop, other, EXCLUSIVE + TRY) == 0
      assert.equal(case[4], exclusive and "free" or shared and "shared" or "exclusive")
    end)
  end

  it("moves the position of a file back, unless another has moved it since", function()
    local loop = new_loop()
    for _, between in ipairs { "nothing", "a read", "a seek", "a read elsewhere" } do
      local file = core.open(loop, dir:file("numbers", "0123456789"))
      local op = read_op(loop, file, 3)
      op.offset = between == "a read elsewhere" and 5 or op.offset
      core.perform(loop, op)
      local expected = "012"
      if between == "a read" then
        assert.equal("34", read(loop, file, 2))
        expected = "567"
      elseif between == "a seek" then
        assert.equal(0, lib.halo_file_seek(loop, file, 3))
        expected = "345"
      end
      lib.halo_op_abandon(loop, op)
      lib.halo_op_release(loop, op)
      assert.equal(expected, read(loop, file, 3))
    end
  end)

  it("keeps nothing for a file that has been closed meanwhile", function()
    local loop = new_loop()
    local path = dir:fifo "fifo"
    local file = core.open(loop, path, 2)
    posix.write(lib.halo_file_fd(loop, file), "abcd")
    local op = read_op(loop, file, 4)
    assert.equal(4, (core.perform(loop, op)))
    assert.equal(0, core.result(loop, core.file_op(loop, lib.HALO_OP_CLOSE, file)))
    lib.halo_op_abandon(loop, op)
    lib.halo_op_release(loop, op)
    assert.equal(0, core.stats(loop).files_open)
  end)
end)
