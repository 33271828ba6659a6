local ffi = require "ffi"
local core = require "spec.support.core"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"

local lib = core.lib

-- Errors as they come from the core.
local EBADF, EMFILE, EINVAL, EINTR, ECANCELED = -9, -24, -22, -4, -125

local O_RDWR, O_CREAT = 2, 0x40

---Where the kernel refuses io_uring there is nothing to test on the ring.
local function is_available(engine)
  local loop = core.create(engine)
  if loop then
    lib.halo_loop_close(loop, 0)
  end
  return loop ~= nil
end

---How many descriptors this process has.
local function count_descriptors()
  local pipe = assert(io.popen("ls /proc/$PPID/fd"))
  local _, count = pipe:read("*a"):gsub("\n", "")
  pipe:close()
  return count
end

---A poll of a descriptor, submitted.
local function poll(loop, fd, events)
  local op = core.op(loop, lib.HALO_OP_POLL)
  op.fd = fd
  op.flags = events
  assert.is_true(lib.halo_op_submit(loop, op, 0))
  return op
end

describe("the core", function()
  it("knows the names of errors, whatever their sign", function()
    assert.equal("ENOENT", ffi.string(lib.halo_error_name(2)))
    assert.equal("ENOENT", ffi.string(lib.halo_error_name(-2)))
    assert.equal("ECANCELED", ffi.string(lib.halo_error_name(ECANCELED)))
    assert.equal("UNKNOWN", ffi.string(lib.halo_error_name(41)))
    assert.equal("UNKNOWN", ffi.string(lib.halo_error_name(99999)))
  end)

  it("explains why a ring was refused", function()
    local text = ffi.new("char[192]")
    for error, cause in pairs { [-1] = "seccomp", [-12] = "RLIMIT_MEMLOCK", [-24] = "ulimit" } do
      lib.halo_ring_explain(error, text, 192)
      assert.matches(cause, ffi.string(text), 1, true)
    end
    lib.halo_ring_explain(-1, text, 10)
    assert.equal(9, #ffi.string(text))
  end)
end)

for _, engine in ipairs(core.engines) do
  if not is_available(engine) then
    pending("the core on the engine " .. engine .. ", which the kernel refuses")
  else
    describe("the core on the engine " .. engine, function()
      local dir = temp.dir()
      local new_loop, close_loop = core.loops(engine)

      describe("creates a loop", function()
        it("that knows its engine and why it was taken", function()
          local loop = new_loop()
          local name = ffi.string(lib.halo_loop_engine(loop))
          assert.is_true(name == engine or engine == "auto" and (name == "ring" or name == "pool"))
          assert.is_true(#ffi.string(lib.halo_loop_engine_reason(loop)) > 0)
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

        it("that takes no descriptor with it when it is closed", function()
          local before = count_descriptors()
          local loop = new_loop()
          assert.equal(0, core.result(loop, core.op(loop, lib.HALO_OP_READDIR, "/")) * 0)
          assert.is_true(count_descriptors() > before)
          assert.equal(0, close_loop(loop))
          assert.equal(before, count_descriptors())
        end)
      end)

      describe("carries out an operation", function()
        it("and hands it back once, with its result", function()
          local loop = new_loop()
          local op = core.op(loop, lib.HALO_OP_STAT, dir:file("file", "four"))
          op.user = ffi.cast("void *", 4711)
          assert.is_true(lib.halo_op_submit(loop, op, 0))
          assert.is_true(lib.halo_loop_busy(loop))
          local ended = core.drain(loop)
          assert.equal(1, #ended)
          assert.equal(op, ended[1])
          assert.equal(0, tonumber(op.result))
          assert.equal(4, tonumber(op.statx.stx_size))
          assert.equal(4711, tonumber(ffi.cast("intptr_t", op.user)))
          assert.equal("stat", ffi.string(lib.halo_op_name(op)))
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
          local op = lib.halo_op_new(loop, lib.HALO_OP_FSTAT)
          op.file = 12345
          assert.is_false(lib.halo_op_submit(loop, op, 0))
          assert.equal(EBADF, tonumber(op.result))
          lib.halo_op_release(loop, op)
          assert.equal(nil, lib.halo_loop_next(loop))
        end)

        it("on the loop's thread where it is alone, on the engine auto", function()
          local loop = new_loop()
          local op = core.op(loop, lib.HALO_OP_STAT, "/")
          local under_way = lib.halo_op_submit(loop, op, core.HALO_ALONE)
          assert.equal(engine ~= "auto", under_way)
          assert.equal(engine == "auto" and 1 or 0, core.stats(loop).direct)
          core.drain(loop)
          lib.halo_op_release(loop, op)
        end)

        it("under a number that no other one ever has", function()
          local loop, seen = new_loop(), {}
          for _ = 1, 50 do
            for _ = 1, 100 do
              local op = core.op(loop, lib.HALO_OP_STAT, "/")
              assert.is_nil(seen[tonumber(op.seq)])
              seen[tonumber(op.seq)] = true
              lib.halo_op_submit(loop, op, 0)
            end
            for _, op in ipairs(core.drain(loop)) do
              lib.halo_op_release(loop, op)
            end
          end
          assert.equal(5000, core.stats(loop).retired)
        end)

        it("though there are 10,000 of them and room for 8 #slow", function()
          local loop = new_loop { max_in_flight = 8 }
          local file = core.open(loop, dir:file("file", ("%08x"):rep(1000):format(unpack(
            (function()
              local numbers = {}
              for i = 1, 1000 do
                numbers[i] = i
              end
              return numbers
            end)()))))
          for i = 1, 10000 do
            local op = lib.halo_op_new(loop, lib.HALO_OP_READ)
            op.file = file
            op.length = 8
            op.offset = (i - 1) % 1000 * 8
            assert.is_true(lib.halo_op_submit(loop, op, 0))
          end
          assert.equal(10000 - 8, core.stats(loop).queued)
          local most = 0
          local ended = core.drain(loop, function()
            local now = core.stats(loop)
            most = math.max(most, now.in_flight - now.queued)
          end)
          assert.equal(10000, #ended)
          assert.is_true(most <= 8, most .. " were in flight at once")
          for _, op in ipairs(ended) do
            assert.equal(8, tonumber(op.result))
            local expected = ("%08x"):format(tonumber(op.offset) / 8 + 1)
            assert.equal(expected, ffi.string(op.data, 8))
            lib.halo_op_release(loop, op)
          end
          local now = core.stats(loop)
          assert.equal(now.submitted, now.retired)
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
          local op = poll(loop, reading, posix.POLLIN)
          lib.halo_loop_turn(loop, 0)
          lib.halo_op_cancel(loop, op)
          lib.halo_op_cancel(loop, op)
          assert.same({ op }, core.drain(loop))
          assert.equal(ECANCELED, tonumber(op.result))
          lib.halo_op_release(loop, op)
        end)

        it("that waits for room, before the others have ended", function()
          local loop = new_loop { max_in_flight = 1 }
          local first = poll(loop, reading, posix.POLLIN)
          local second = core.op(loop, lib.HALO_OP_MKDIR, dir:path("never"))
          lib.halo_op_submit(loop, second, 0)
          assert.equal(1, core.stats(loop).queued)
          lib.halo_op_cancel(loop, second)
          assert.equal(0, core.stats(loop).queued)
          assert.equal(second, lib.halo_loop_next(loop))
          assert.equal(ECANCELED, tonumber(second.result))
          lib.halo_op_release(loop, second)
          posix.write(writing, "x")
          assert.same({ first }, core.drain(loop))
          lib.halo_op_release(loop, first)
          assert.is_false(dir:has("never"))
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

        it("that was abandoned, and closes the file that it has opened all the same", function()
          local loop, before = new_loop(), count_descriptors()
          for _ = 1, 100 do
            local op = core.op(loop, lib.HALO_OP_OPEN, "/")
            assert.is_true(lib.halo_op_submit(loop, op, 0))
            lib.halo_op_abandon(loop, op)
          end
          local ended = core.drain(loop)
          assert.equal(100, #ended)
          for _, op in ipairs(ended) do
            lib.halo_op_release(loop, op)
          end
          assert.equal(0, core.stats(loop).files_open)
          assert.equal(0, close_loop(loop))
          assert.is_true(count_descriptors() < before)
        end)

        it("and hands back each one once, whatever becomes of them", function()
          local loop, waiting = new_loop { max_in_flight = 16 }, {}
          local file = core.open(loop, dir:file("file", ("x"):rep(100000)))
          local codes = { lib.HALO_OP_STAT, lib.HALO_OP_READ, lib.HALO_OP_POLL, lib.HALO_OP_READDIR }
          for i = 1, 1000 do
            local op = core.op(loop, codes[i % 4 + 1], dir.root)
            op.file, op.length, op.fd, op.flags = file, 1000, writing, posix.POLLOUT
            assert.is_true(lib.halo_op_submit(loop, op, 0))
            waiting[tonumber(op.seq)] = true
            if i % 3 == 0 then
              lib.halo_op_cancel(loop, op)
            end
            if i % 7 == 0 then
              lib.halo_loop_turn(loop, 0)
            end
          end
          for _, op in ipairs(core.drain(loop)) do
            assert.is_true(waiting[tonumber(op.seq)])
            waiting[tonumber(op.seq)] = nil
            assert.is_true(op.result >= 0 or op.result == ECANCELED)
            lib.halo_op_release(loop, op)
          end
          assert.same({}, waiting)
          assert.equal(0, core.stats(loop).unknown)
        end)
      end)

      it("waits for one operation, and keeps those that end meanwhile", function()
        local loop, others = new_loop(), {}
        for i = 1, 10 do
          others[i] = core.op(loop, lib.HALO_OP_STAT, "/")
          lib.halo_op_submit(loop, others[i], 0)
        end
        local op = core.op(loop, lib.HALO_OP_READDIR, "/")
        lib.halo_op_submit(loop, op, 0)
        lib.halo_op_wait(loop, op)
        assert.is_true(op.result > 0)
        lib.halo_op_release(loop, op)
        local ended = core.drain(loop)
        assert.equal(10, #ended)
        for _, each in ipairs(ended) do
          assert.equal(0, tonumber(each.result))
          lib.halo_op_release(loop, each)
        end
      end)
    end)
  end
end
