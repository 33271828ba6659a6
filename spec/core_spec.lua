local ffi = require "ffi"
local core = require "spec.support.core"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"

local lib = core.lib

local EBADF, EINVAL, ECANCELED = -9, -22, -125

local function show(name)
  return ffi.string(name)
end

describe("the core", function()
  it("knows the names of errors, whatever their sign", function()
    assert.equal("ENOENT", show(lib.halo_error_name(2)))
    assert.equal("ENOENT", show(lib.halo_error_name(-2)))
    assert.equal("ECANCELED", show(lib.halo_error_name(ECANCELED)))
    assert.equal("UNKNOWN", show(lib.halo_error_name(41)))
    assert.equal("UNKNOWN", show(lib.halo_error_name(99999)))
  end)

  it("explains why there is no loop", function()
    local text = ffi.new("char[192]")
    local config = ffi.new("struct halo_config", { engine = lib.HALO_ENGINE_RING })
    for error, cause in pairs { [-1] = "seccomp", [-12] = "RLIMIT_MEMLOCK", [-24] = "ulimit" } do
      lib.halo_loop_explain(error, config, text, 192)
      assert.matches("^io_uring: E%u+: ", show(text))
      assert.matches(cause, show(text), 1, true)
    end
    lib.halo_loop_explain(-1, config, text, 10)
    assert.equal(9, #show(text))
  end)
end)

core.describe("the core", function(engine, new_loop, close_loop)
  local dir = temp.dir()

  describe("creates a loop", function()
    it("that knows its engine and why it was taken", function()
      local loop = new_loop()
      local name = show(lib.halo_loop_engine(loop))
      assert.is_true(name == engine or engine == "auto" and (name == "ring" or name == "pool"))
      assert.is_true(#show(lib.halo_loop_engine_reason(loop)) > 0)
      assert.is_false(lib.halo_loop_busy(loop))
      assert.equal(0, core.stats(loop).submitted)
    end)

    it("within the limits, and refuses what is beyond them", function()
      for field, most in pairs {
        max_in_flight = core.HALO_MAX_IN_FLIGHT_LIMIT,
        max_files = 2 ^ 20,
      } do
        assert.same({ nil, EINVAL }, { core.create(engine, { [field] = most + 1 }) })
        assert.equal(0, close_loop(new_loop { [field] = most }))
        assert.equal(0, close_loop(new_loop { [field] = 1 }))
      end
    end)
  end)

  describe("carries out an operation", function()
    it("and hands it back once, with its result", function()
      local loop = new_loop()
      local op = core.op(loop, lib.HALO_OP_STAT, dir:file("file", "four"))
      op.user = ffi.cast("void *", 4711)
      local under_way = lib.halo_op_submit(loop, op, 0)
      assert.is_true(under_way or engine == "auto") -- where it may have ended already
      assert.equal(under_way, lib.halo_loop_busy(loop))
      assert.same(under_way and { op } or {}, core.drain(loop))
      assert.equal(0, tonumber(op.result))
      assert.equal(4, tonumber(op.statx.stx_size))
      assert.equal(4711, tonumber(ffi.cast("intptr_t", op.user)))
      assert.equal("stat", show(lib.halo_op_name(op)))
      assert.equal(lib.HALO_OP_STAT, tonumber(lib.halo_op_kind(op)))
      lib.halo_op_release(loop, op)
      assert.is_false(lib.halo_loop_busy(loop))
    end)

    it("on paths that it has copied", function()
      local loop = new_loop()
      dir:file("a", "moved")
      local from, to = dir:path("a"), dir:path("b")
      local bytes = ffi.new("char[?]", #from + 1, from)
      local op = lib.halo_op_new(loop, lib.HALO_OP_RENAME)
      assert.equal(0, lib.halo_op_set_paths(op, bytes, #from, to, #to))
      ffi.fill(bytes, #from, 0x78)
      assert.equal(0, core.result(loop, op))
      assert.equal("moved", dir:read("b"))
    end)

    it("or says at once why not", function()
      local loop = new_loop()
      local op = core.file_op(loop, lib.HALO_OP_FSTAT, 12345)
      assert.is_false(lib.halo_op_submit(loop, op, 0))
      assert.equal(EBADF, tonumber(op.result))
      lib.halo_op_release(loop, op)
      assert.is_true(lib.halo_loop_next(loop) == nil)
    end)

    it("or does not, where it is released instead of submitted", function()
      local loop = new_loop()
      lib.halo_op_release(loop, core.op(loop, lib.HALO_OP_MKDIR, dir:path("never")))
      assert.same({}, core.drain(loop))
      assert.is_false(dir:has("never"))
      assert.equal(0, core.stats(loop).submitted)
    end)

    it("on the loop's thread where it is alone, on the engine auto", function()
      local loop = new_loop()
      local op = core.op(loop, lib.HALO_OP_STAT, "/")
      local under_way = lib.halo_op_submit(loop, op, core.HALO_ALONE)
      assert.equal(engine ~= "auto", under_way)
      assert.equal(engine == "auto" and 1 or 0, core.stats(loop).direct)
      core.drain(loop)
      assert.equal(0, tonumber(op.result))
      lib.halo_op_release(loop, op)
    end)

    it("under a number that no other one ever has", function()
      local loop, seen = new_loop(), {}
      for _ = 1, 50 do
        for _ = 1, 100 do
          local op = core.submit(loop, core.op(loop, lib.HALO_OP_STAT, "/"))
          assert.is_nil(seen[tonumber(op.seq)])
          seen[tonumber(op.seq)] = true
        end
        core.release(loop, core.drain(loop))
      end
      assert.equal(5000, core.stats(loop).retired)
    end)

    it("though there are 10,000 of them and room for 8", function()
      local loop = new_loop { max_in_flight = 8 }
      local file = core.open(loop, "/proc/self/exe")
      local waiting, most = {}, 0
      local at_once = -core.stats(loop).direct
      for i = 1, 10000 do
        local op = core.file_op(loop, lib.HALO_OP_READ, file)
        op.offset, op.length = i % 4, 1
        core.submit(loop, op)
        waiting[tonumber(op.seq)] = true
      end
      at_once = at_once + core.stats(loop).direct
      assert.equal(10000 - 8 - at_once, core.stats(loop).queued)
      local ended = core.drain(loop, function()
        local now = core.stats(loop)
        most = math.max(most, now.in_flight - now.queued)
      end)
      assert.equal(10000, #ended)
      assert.is_true(most > 0 and most <= 8, most .. " at once")
      for _, op in ipairs(ended) do
        assert.is_true(waiting[tonumber(op.seq)])
        waiting[tonumber(op.seq)] = nil
        local at = tonumber(op.offset) + 1
        assert.equal(("\127ELF"):byte(at), op.result == 1 and op.data[0])
      end
      core.release(loop, ended)
      local now = core.stats(loop)
      assert.equal(now.submitted, now.retired)
      assert.equal(0, now.queued)
      assert.equal(0, now.unknown)
    end)
  end)

  describe("cancels an operation", function()
    local reading, writing

    before_each(function()
      reading, writing = posix.pipe()
    end)

    after_each(function()
      posix.close(reading)
      posix.close(writing)
    end)

    it("that waits with the engine", function()
      local loop = new_loop()
      local op = core.poll(loop, reading, posix.POLLIN)
      lib.halo_loop_turn(loop, 0)
      lib.halo_op_cancel(loop, op)
      lib.halo_op_cancel(loop, op)
      assert.same({ op }, core.drain(loop))
      assert.equal(ECANCELED, tonumber(op.result))
      lib.halo_op_release(loop, op)
    end)

    it("that waits for room, before the others have ended", function()
      local loop = new_loop { max_in_flight = 1 }
      local file = core.open(loop, dir:file("file"), 2)
      local first = core.submit(loop, core.file_op(loop, lib.HALO_OP_FSYNC, file))
      local second = core.file_op(loop, lib.HALO_OP_FALLOCATE, file)
      second.offset, second.length = 0, 1000
      core.submit(loop, second)
      assert.equal(1, core.stats(loop).queued)
      lib.halo_op_cancel(loop, second)
      assert.equal(0, core.stats(loop).queued)
      assert.equal(second, lib.halo_loop_next(loop))
      assert.equal(ECANCELED, tonumber(second.result))
      assert.same({ first }, core.drain(loop))
      assert.equal(0, tonumber(first.result))
      core.release(loop, { first, second })
      assert.equal("", dir:read("file"))
    end)

    it("that has ended without any effect", function()
      local loop = new_loop()
      local op = core.op(loop, lib.HALO_OP_STAT, "/")
      assert.equal(0, core.perform(loop, op))
      lib.halo_op_cancel(loop, op)
      assert.equal(0, tonumber(op.result))
      assert.same({}, core.drain(loop))
      lib.halo_op_release(loop, op)
    end)

    it("that nobody waits for, and closes the file that it has opened all the same", function()
      local loop = new_loop()
      for _ = 1, 100 do
        local op = core.submit(loop, core.op(loop, lib.HALO_OP_OPEN, "/"))
        lib.halo_loop_turn(loop, 0)
        lib.halo_op_abandon(loop, op)
      end
      local ended = core.drain(loop)
      assert.equal(100, #ended)
      core.release(loop, ended)
      assert.equal(0, core.stats(loop).files_open)
    end)

    it("and hands back each one once, whatever becomes of them", function()
      local loop, waiting = new_loop { max_in_flight = 16 }, {}
      local file = core.open(loop, dir:file("file", ("x"):rep(100000)))
      local codes = { lib.HALO_OP_STAT, lib.HALO_OP_READ, lib.HALO_OP_POLL, lib.HALO_OP_READDIR }
      for i = 1, 1000 do
        local op = core.op(loop, codes[i % 4 + 1], dir.root)
        op.file, op.length, op.fd, op.flags = file, 1000, writing, posix.POLLOUT
        core.submit(loop, op)
        waiting[tonumber(op.seq)] = true
        if i % 3 == 0 then
          lib.halo_op_cancel(loop, op)
        end
        if i % 7 == 0 then
          lib.halo_loop_turn(loop, 0)
        end
      end
      local ended = core.drain(loop)
      for _, op in ipairs(ended) do
        assert.is_true(waiting[tonumber(op.seq)])
        waiting[tonumber(op.seq)] = nil
        assert.is_true(op.result >= 0 or op.result == ECANCELED)
      end
      assert.same({}, waiting)
      core.release(loop, ended)
      assert.equal(0, core.stats(loop).unknown)
    end)
  end)

  it("waits for one operation, and keeps those that end meanwhile", function()
    local loop, ops = new_loop(), {}
    local file = core.open(loop, dir:file("file"), 2)
    for i = 1, 11 do
      ops[i] = core.submit(loop, core.file_op(loop, lib.HALO_OP_FSYNC, file))
    end
    lib.halo_op_wait(loop, ops[6])
    assert.equal(0, tonumber(ops[6].result))
    lib.halo_op_release(loop, table.remove(ops, 6))
    assert.equal(10, #core.drain(loop))
    for _, op in ipairs(ops) do
      assert.equal(0, tonumber(op.result))
    end
    core.release(loop, ops)
  end)
end)
