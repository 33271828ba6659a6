-- Corners of the core that scripts hardly come to: few threads, files that are dropped twice or
-- borrowed, directories that are closed below what is under way.

local core = require "spec.support.core"
local ffi = require "ffi"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"

local lib = core.lib
local dir = temp.dir()

local ECANCELED, EBADF, EMFILE, EAGAIN, SIGKILL = 125, 9, 24, 11, 9
local O_PATH_DIRECTORY = 2097152 + 65536

core.describe("A loop", function(engine, new_loop, close_loop)
  it("does everything with any number of threads", function()
    for threads = 1, 4 do
      local loop = new_loop { pool_threads = threads, max_in_flight = 2 }
      for _ = 1, 10 do
        core.submit(loop, core.op(loop, lib.HALO_OP_REALPATH, "/dev/null"))
      end
      local ended = core.drain(loop)
      assert.equal(10, #ended)
      core.release(loop, ended)
      assert.equal(0, close_loop(loop))
    end
  end)

  it("shows the files that are open, and not those that are borrowed or being closed", function()
    local loop = new_loop()
    local reader, writer = posix.pipe()
    local handle = ffi.new "uint64_t[1]"
    assert.equal(0, lib.halo_file_adopt(loop, reader, true, handle))
    local borrowed = handle[0]
    assert.equal(0, lib.halo_file_adopt(loop, writer, false, handle))
    local file = core.open(loop, "/dev/null")
    local seen = {}
    local visit = ffi.cast("void (*)(uint64_t, void *)", function(each)
      table.insert(seen, tostring(each))
    end)
    lib.halo_file_each(loop, visit, nil)
    assert.same({ tostring(handle[0]), tostring(file) }, seen)

    -- A read of a pipe is under way, and so its close waits.
    local pipe_reader, pipe_writer = posix.pipe()
    assert.equal(0, lib.halo_file_adopt(loop, pipe_reader, false, handle))
    local read = core.file_op(loop, lib.HALO_OP_READ, handle[0])
    read.length = 10
    core.submit(loop, read)
    core.submit(loop, core.file_op(loop, lib.HALO_OP_CLOSE, handle[0]))
    seen = {}
    lib.halo_file_each(loop, visit, nil)
    assert.equal(2, #seen)
    visit:free()
    core.release(loop, core.drain(loop))
    posix.close(pipe_writer)

    -- What is borrowed stays open, dropped as well.
    lib.halo_file_drop(loop, borrowed)
    lib.halo_file_drop(loop, borrowed)
    assert.equal(-EBADF, lib.halo_file_fd(loop, borrowed))
    assert.equal(0, close_loop(loop))
    assert.is_true(posix.is_open(reader))
    posix.close(reader)
  end)

  it("leaves a plain file open that was borrowed, and is dropped", function()
    local loop = new_loop()
    local other = new_loop()
    local file = core.open(other, dir:file("file", "content"))
    local fd = lib.halo_file_fd(other, file)
    local handle = ffi.new "uint64_t[1]"
    assert.equal(0, lib.halo_file_adopt(loop, fd, true, handle))
    lib.halo_file_drop(loop, handle[0])
    assert.equal(-EBADF, lib.halo_file_fd(loop, handle[0]))
    assert.is_true(posix.is_open(fd))
  end)

  it("takes no file for a process, and no handle that is stale for either", function()
    local loop = new_loop()
    local file = core.open(loop, "/dev/null")
    assert.equal(-EBADF, lib.halo_file_signal(loop, file, 0))
    assert.equal(-EBADF, lib.halo_file_reap(loop, file))
    lib.halo_file_drop(loop, file)
    for _, call in ipairs { "halo_file_fd", "halo_file_share", "halo_file_reap" } do
      assert.equal(-EBADF, lib[call](loop, file))
    end
    assert.equal(-EBADF, lib.halo_file_signal(loop, file, 0))
    assert.equal(-EBADF, lib.halo_file_seek(loop, file, 0))
    assert.equal(-EBADF, lib.halo_file_confine(loop, file, 1))
    local handle = ffi.new "uint64_t[1]"
    assert.equal(-EBADF, lib.halo_file_adopt(loop, -1, false, handle))
  end)

  it("starts no process where a stream is not open, or there is no room for its handle", function()
    local path = "/bin/true"
    local argv = ffi.new("char *[2]", { ffi.cast("char *", path) })
    for _, fds in ipairs { { 9999, 0, 1 }, { 0, 9999, -1 }, { 0, -1, -1 } } do
      local loop = new_loop { max_files = 1 }
      core.open(loop, "/dev/null")
      local spawn = ffi.new("struct halo_spawn", { argv = argv, cwd_fd = -1 })
      spawn.fds = fds
      local before = posix.count_descriptors()
      local op = lib.halo_op_new(loop, lib.HALO_OP_SPAWN)
      op.spawn = spawn
      local result = core.result(loop, op)
      assert(result == (fds[2] == -1 and -EMFILE or -EBADF), result)
      assert(posix.count_descriptors() <= before) -- the collector may have closed some of before
      close_loop(loop)
    end
  end)

  it("signals and reaps a process that leads no group", function()
    local loop = new_loop()
    local argv = ffi.new("char *[3]")
    argv[0], argv[1] = ffi.cast("char *", "sleep"), ffi.cast("char *", "1000")
    local spawn = ffi.new("struct halo_spawn", { argv = argv, cwd_fd = -1 })
    spawn.fds = { -1, -1, -1 }
    local op = lib.halo_op_new(loop, lib.HALO_OP_SPAWN)
    op.spawn = spawn
    assert(core.perform(loop, op) > 0)
    local process = op.file
    lib.halo_op_release(loop, op)
    assert.equal(-EAGAIN, lib.halo_file_reap(loop, process))
    assert.equal(0, lib.halo_file_signal(loop, process, SIGKILL))
    assert.equal(0, core.result(loop, core.file_op(loop, lib.HALO_OP_WAIT, process)))
    assert(lib.halo_file_reap(loop, process) > SIGKILL)
    assert.equal(-EBADF, lib.halo_file_reap(loop, process))
  end)

  it("waits no longer than it is asked to, and not where something is there already", function()
    local loop = new_loop()
    local timer = ffi.new "struct halo_timer"
    assert.equal(0, lib.halo_timer_start(loop, timer, lib.halo_now_ns() + 1e15))
    assert.equal(0, lib.halo_loop_turn(loop, 0))
    assert.equal(0, lib.halo_loop_turn(loop, 1e6))
    assert.equal(0, lib.halo_timer_start(loop, timer, lib.halo_now_ns() + 1e6))
    assert.equal(0, lib.halo_loop_turn(loop, 1e15))
    assert.equal(0, lib.halo_timer_start(loop, timer, lib.halo_now_ns() + 1e6))
    assert.equal(0, lib.halo_loop_turn(loop, -1))
    lib.halo_timer_stop(loop, timer)
    lib.halo_loop_interrupt(loop)
    lib.halo_loop_wait(loop)
    lib.halo_loop_turn(loop, 0)
    local reader, writer = posix.pipe()
    local op = core.poll(loop, reader, posix.POLLIN)
    posix.write(writer, "x")
    while not lib.halo_op_has_ended(op) do
      lib.halo_loop_turn(loop, 1e9)
    end
    lib.halo_loop_wait(loop)
    assert.is_true(lib.halo_loop_next(loop) == op)
    lib.halo_op_release(loop, op)
    posix.close(reader)
    posix.close(writer)
  end)

  it("forgets names below a directory that is closed", function()
    local loop = new_loop()
    local directory = core.open(loop, dir.root, O_PATH_DIRECTORY)
    local held = lib.halo_leftover_hold(loop, directory, "none")
    assert.is_true(held ~= nil)
    assert.is_true(lib.halo_leftover_hold(loop, directory, "none either") ~= nil)
    assert.equal(0, core.result(loop, core.file_op(loop, lib.HALO_OP_CLOSE, directory)))
    assert.is_true(lib.halo_leftover_hold(loop, directory, "late") == nil)
    lib.halo_leftover_release(loop, held)
    assert.equal(0, close_loop(loop))
  end)

  it("says which operations it carries", function()
    local loop = new_loop()
    local by_ring, names = ffi.new "bool[1]", {}
    local code = 0
    while lib.halo_loop_carries(loop, code, by_ring) ~= nil do
      names[ffi.string(lib.halo_loop_carries(loop, code, by_ring))] = true
      assert.is_true(not by_ring[0] or engine ~= "pool")
      code = code + 1
    end
    assert.is_true(names.open and names.read)
    assert.is_true(lib.halo_loop_carries(loop, code + 1000, by_ring) == nil)
  end)

  it("waits for what has ended already no longer", function()
    local loop = new_loop()
    local reader, writer = posix.pipe()
    local op = core.poll(loop, reader, posix.POLLIN)
    posix.write(writer, "x")
    lib.halo_op_wait(loop, op)
    assert.is_true(lib.halo_op_has_ended(op))
    assert.equal(posix.POLLIN, tonumber(op.result))
    lib.halo_op_release(loop, op)

    -- And where it was collected in a turn, it is taken out of those to be handed on.
    op = core.poll(loop, reader, posix.POLLIN)
    while not lib.halo_op_has_ended(op) do
      lib.halo_loop_turn(loop, 1e9)
    end
    assert.equal(0, tonumber(lib.halo_loop_timeout_ns(loop)))
    assert.is_true(lib.halo_loop_busy(loop))
    lib.halo_op_wait(loop, op)
    assert.is_true(lib.halo_loop_next(loop) == nil)
    lib.halo_op_release(loop, op)
    posix.close(reader)
    posix.close(writer)
  end)

  it("cancels what waits below a directory that is closed", function()
    local loop = new_loop { max_in_flight = 1 }
    local fifo = dir:path "fifo"
    posix.mkfifo(fifo)
    local base = core.open(loop, dir.root, O_PATH_DIRECTORY)
    local base2 = core.open(loop, dir.root, O_PATH_DIRECTORY)

    local open = core.op(loop, lib.HALO_OP_OPEN, "fifo")
    open.base, open.flags = base, 1 -- O_WRONLY, for which nobody reads
    core.submit(loop, open)
    local rename = core.op(loop, lib.HALO_OP_RENAME, "old", "new")
    rename.base, rename.base2 = base2, base
    core.submit(loop, rename)
    core.submit(loop, core.file_op(loop, lib.HALO_OP_CLOSE, base))
    local results = {}
    for _, op in ipairs(core.drain(loop)) do
      results[ffi.string(lib.halo_op_name(op))] = tonumber(op.result)
      lib.halo_op_release(loop, op)
    end
    assert.equal(-ECANCELED, results.open)
    assert.equal(0, results.close)
    -- Done directly, it had failed before.
    assert(results.rename == -ECANCELED or engine == "auto", results.rename)
  end)
end)

core.describe("A file's attributes", function(_, new_loop)
  it("are listed by its handle", function()
    local loop = new_loop()
    local file = core.open(loop, dir:file("file", "content"), 2)
    local set = core.op(loop, lib.HALO_OP_FSETXATTR, "", "user.halo")
    set.file = file
    local value = ffi.new("uint8_t[5]", "value")
    set.data, set.length = value, 5
    if core.result(loop, set) ~= 0 then
      pending "the file system here has no attributes"
      return
    end
    local result, op = core.perform(loop, core.file_op(loop, lib.HALO_OP_FLISTXATTR, file))
    assert.equal("user.halo\0", ffi.string(op.data, result))
    lib.halo_op_release(loop, op)
  end)

  local STAT, FOLLOW = 1, 2
  local KIND, DIRECTORY, LINK = 0xf000, 0x4000, 0xa000

  ---The kinds of what is in a directory below a base, by name; links are what they lead to.
  local function kinds(loop, base, path)
    local op = core.op(loop, lib.HALO_OP_READDIR, path)
    op.base, op.flags = base, STAT + FOLLOW
    local found, entry = {}, ffi.new "struct halo_entry"
    for _ = 1, core.perform(loop, op) do
      lib.halo_op_entry(op, entry)
      found[ffi.string(entry.name, entry.length)] = bit.band(entry.statx.stx_mode, KIND)
    end
    lib.halo_op_release(loop, op)
    return found
  end

  it("lists what links lead to, from a directory that confines only below it", function()
    local loop = new_loop()
    os.execute(("cd '%s' && mkdir -p linked/sub/there outside && cd linked/sub && "
      .. "ln -s there inside && ln -s ../../outside out && ln -s nowhere none"):format(dir.root))
    local base = core.open(loop, dir:path "linked", O_PATH_DIRECTORY)
    local all = { there = DIRECTORY, inside = DIRECTORY, out = DIRECTORY, none = LINK }
    assert.same(all, kinds(loop, base, "sub"))
    assert.equal(0, lib.halo_file_confine(loop, base, core.HALO_CONFINE_BENEATH))
    all.out = LINK
    assert.same(all, kinds(loop, base, "sub"))
    all.inside = LINK -- the path to it is too long
    assert.same(all, kinds(loop, base, ("./"):rep(2045) .. "sub"))
  end)
end)
