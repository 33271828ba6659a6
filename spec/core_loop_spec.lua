local ffi = require "ffi"
local core = require "spec.support.core"
local posix = require "spec.support.posix"
local slowness = require "spec.support.slowness"
local temp = require "spec.support.temp"

local lib = core.lib

local EBADF, EINTR = -9, -4
local POLLHUP = 16
local MS = 1000000

core.describe("the core's loop", function(_, new_loop, close_loop)
  local reading, writing
  local dir = temp.dir()

  before_each(function()
    reading, writing = posix.pipe()
  end)

  after_each(function()
    posix.close(reading)
    posix.close(writing)
  end)

  describe("has timers", function()
    ---Those that have run out, by what `user` says of them.
    local function run_out(loop)
      local numbers = {}
      while true do
        local timer = lib.halo_loop_next_timer(loop)
        if timer == nil then
          return numbers
        end
        table.insert(numbers, tonumber(ffi.cast("intptr_t", timer.user)))
      end
    end

    ---An array of timers, whose `user` is their number.
    local function new_timers(count)
      local timers = ffi.new("struct halo_timer[?]", count + 1)
      for i = 1, count do
        timers[i].user = ffi.cast("void *", i)
      end
      return timers
    end

    it("that run out in the order of their deadlines, then of their starts", function()
      local loop, timers = new_loop(), new_timers(5)
      for i, deadline in ipairs { 30, 10, 20, 10, 30 } do
        assert.equal(0, lib.halo_timer_start(loop, timers[i], deadline))
      end
      assert.equal(5, core.stats(loop).timers)
      lib.halo_loop_turn(loop, -1)
      assert.same({ 2, 4, 3, 1, 5 }, run_out(loop))
      assert.equal(0, core.stats(loop).timers)
    end)

    it("that can be stopped, and started anew", function()
      local loop, timers = new_loop(), new_timers(3)
      for i = 1, 3 do
        lib.halo_timer_start(loop, timers[i], i)
      end
      lib.halo_timer_stop(loop, timers[2])
      lib.halo_timer_stop(loop, timers[2])
      lib.halo_timer_start(loop, timers[1], 4)
      assert.equal(2, core.stats(loop).timers)
      assert.same({ 3, 1 }, run_out(loop))
      lib.halo_timer_start(loop, timers[2], 1)
      assert.same({ 2 }, run_out(loop))
    end)

    it("in any number", function()
      local count = 2000
      local loop, timers, expected = new_loop(), new_timers(count), {}
      for i = 1, count do
        lib.halo_timer_start(loop, timers[i], i * 7919 % 1009)
      end
      for i = 1, count do
        if i % 3 == 0 then
          lib.halo_timer_stop(loop, timers[i])
        else
          table.insert(expected, i)
        end
      end
      table.sort(expected, function(a, b)
        local one, other = a * 7919 % 1009, b * 7919 % 1009
        return one < other or one == other and a < b
      end)
      assert.same(expected, run_out(loop))
    end)

    it("which bound the wait of a turn", function()
      local loop, timers = new_loop(), new_timers(2)
      lib.halo_loop_turn(loop, 0)
      assert.equal(-1, tonumber(lib.halo_loop_timeout_ns(loop)))
      local start = lib.halo_now_ns()
      lib.halo_timer_start(loop, timers[1], start + 2 * MS)
      lib.halo_timer_start(loop, timers[2], start + 3600000ULL * MS)
      assert.is_true(lib.halo_loop_busy(loop))
      assert.is_true(lib.halo_loop_timeout_ns(loop) <= 2 * MS)
      while #run_out(loop) == 0 do
        assert.equal(0, lib.halo_loop_turn(loop, -1))
      end
      assert.is_true(lib.halo_now_ns() - start >= 2 * MS)
      assert.is_true(lib.halo_loop_timeout_ns(loop) > 3000000LL * MS)
      lib.halo_timer_stop(loop, timers[2])
    end)

    it("that keep nobody from a shorter wait, or none", function()
      local loop, timers = new_loop(), new_timers(1)
      local start = lib.halo_now_ns()
      lib.halo_timer_start(loop, timers[1], start + 3600000ULL * MS)
      lib.halo_loop_turn(loop, 0)
      lib.halo_loop_turn(loop, 2 * MS)
      assert.is_true(lib.halo_now_ns() - start >= 2 * MS)
      assert.same({}, run_out(loop))
      lib.halo_timer_stop(loop, timers[1])
    end)
  end)

  describe("polls a descriptor", function()
    it("until it is ready", function()
      local loop = new_loop()
      local op = core.poll(loop, reading, posix.POLLIN)
      lib.halo_loop_turn(loop, 0)
      assert.is_true(lib.halo_loop_next(loop) == nil)
      posix.write(writing, "x")
      assert.same({ op }, core.drain(loop))
      assert.equal(posix.POLLIN, tonumber(op.result))
      lib.halo_op_release(loop, op)
    end)

    it("for several at once", function()
      local loop = new_loop()
      local first = core.poll(loop, reading, posix.POLLIN)
      local second = core.poll(loop, reading, posix.POLLIN)
      local third = core.poll(loop, writing, posix.POLLOUT)
      lib.halo_op_wait(loop, third)
      assert.equal(posix.POLLOUT, tonumber(third.result))
      posix.write(writing, "x")
      local ended = core.drain(loop)
      assert.equal(2, #ended)
      assert.equal(posix.POLLIN, tonumber(first.result))
      assert.equal(posix.POLLIN, tonumber(second.result))
      core.release(loop, { first, second, third })
    end)

    it("for any number, beside the operations that max_in_flight limits", function()
      local loop = new_loop { max_in_flight = 2 }
      local file = core.open(loop, "/")
      for _ = 1, 1000 do
        core.poll(loop, reading, posix.POLLIN)
      end
      local sync = core.submit(loop, core.file_op(loop, lib.HALO_OP_FDATASYNC, file))
      lib.halo_op_wait(loop, sync)
      lib.halo_op_release(loop, sync)
      posix.write(writing, "x")
      local ended, seen = core.drain(loop), {}
      assert.equal(1000, #ended)
      for _, op in ipairs(ended) do
        assert.equal(posix.POLLIN, tonumber(op.result))
        assert.is_nil(seen[tonumber(op.seq)])
        seen[tonumber(op.seq)] = true
      end
      core.release(loop, ended)
      assert.equal(0, core.stats(loop).unknown)
    end)

    it("and hears of a hang-up", function()
      local loop, other_reading, other_writing = new_loop(), posix.pipe()
      local op = core.poll(loop, other_reading, posix.POLLIN)
      lib.halo_loop_turn(loop, 0)
      posix.close(other_writing)
      assert.equal(1, #core.drain(loop))
      assert.equal(POLLHUP, tonumber(op.result))
      lib.halo_op_release(loop, op)
      posix.close(other_reading)
    end)

    it("that is always ready, or none", function()
      local loop = new_loop()
      local fd = lib.halo_file_fd(loop, core.open(loop, dir:file("file")))
      local op = core.poll(loop, fd, posix.POLLIN)
      assert.equal(1, #core.drain(loop))
      assert.equal(posix.POLLIN, tonumber(op.result))
      lib.halo_op_release(loop, op)
      op = core.poll(loop, 999999, posix.POLLIN)
      assert.equal(1, #core.drain(loop))
      assert.equal(EBADF, tonumber(op.result))
      lib.halo_op_release(loop, op)
    end)
  end)

  it("does not wait where something has ended already", function()
    local loop, patience = new_loop(), 5000 * slowness
    local file = core.open(loop, "/")
    for _ = 1, 2 do
      core.submit(loop, core.file_op(loop, lib.HALO_OP_FDATASYNC, file))
    end
    while core.stats(loop).in_flight > 0 do
      lib.halo_loop_turn(loop, patience * MS)
    end
    assert.equal(0, tonumber(lib.halo_loop_timeout_ns(loop)))
    local start = lib.halo_now_ns()
    lib.halo_loop_turn(loop, patience * MS)
    assert.is_true(lib.halo_now_ns() - start < patience * MS, "it has slept on")
    local ended = core.drain(loop)
    assert.equal(2, #ended)
    core.release(loop, ended)
  end)

  it("does not wait where room for its own polls was made by what has ended", function()
    local loop, patience = new_loop { max_in_flight = 2 }, 5000 * slowness
    local file = core.open(loop, dir:file("file", "content"))
    lib.halo_loop_turn(loop, 0)
    core.poll(loop, reading, posix.POLLIN)
    core.poll(loop, reading, posix.POLLIN) -- makes an epoll instance, which will be polled as well
    -- The first poll and this fill the queue of submissions; it ends as soon as it is handed over.
    local read = core.file_op(loop, lib.HALO_OP_READ, file)
    read.length, read.offset = 4, 0
    core.submit(loop, read)
    local start = lib.halo_now_ns()
    while core.stats(loop).in_flight > 2 do
      lib.halo_loop_turn(loop, patience * MS)
    end
    assert.is_true(lib.halo_now_ns() - start < patience * MS, "it has slept on")
    posix.write(writing, "x")
    local ended = core.drain(loop)
    assert.equal(3, #ended)
    core.release(loop, ended)
  end)

  describe("has a descriptor", function()
    it("that is readable when there is something to collect", function()
      local loop = new_loop()
      local op = core.poll(loop, reading, posix.POLLIN)
      lib.halo_loop_turn(loop, 0)
      assert.is_false(posix.is_readable(lib.halo_loop_fd(loop), 0))
      posix.write(writing, "x")
      assert.is_true(posix.is_readable(lib.halo_loop_fd(loop), 10000 * slowness))
      lib.halo_loop_turn(loop, 0)
      assert.equal(op, lib.halo_loop_next(loop))
      lib.halo_op_release(loop, op)
    end)

    it("that wakes up whoever polls it", function()
      local loop, fd, patience = new_loop(), posix.timer(20), 5000 * slowness
      local op = core.poll(loop, fd, posix.POLLIN)
      local start = lib.halo_now_ns()
      local ended
      repeat
        lib.halo_loop_turn(loop, 0)
        ended = lib.halo_loop_next(loop)
      until ended ~= nil or not posix.is_readable(lib.halo_loop_fd(loop), patience)
      assert.equal(op, ended)
      assert.is_true(lib.halo_now_ns() - start < patience * MS, "it has slept on")
      lib.halo_op_release(loop, op)
      posix.close(fd)
    end)

    it("for a host that waits for nothing else", function()
      local loop, patience = new_loop(), 5000 * slowness
      local file = core.open(loop, dir.root)
      local start = lib.halo_now_ns()
      for _, code in ipairs { lib.HALO_OP_READDIR, lib.HALO_OP_OPEN, lib.HALO_OP_FSYNC } do
        local op = core.op(loop, code, dir.root)
        op.file = file
        local under_way = lib.halo_op_submit(loop, op, 0)
        while under_way do
          lib.halo_loop_turn(loop, 0)
          local ended = lib.halo_loop_next(loop)
          under_way = ended == nil and posix.is_readable(lib.halo_loop_fd(loop), patience)
          assert.is_true(under_way or ended == op)
        end
        assert.is_true(op.result >= 0)
        lib.halo_op_release(loop, op)
      end
      assert.is_true(lib.halo_now_ns() - start < patience * MS, "it has slept on")
    end)
  end)

  describe("is interrupted", function()
    it("once, in the turn that is under way or the next", function()
      local loop = new_loop()
      local op = core.poll(loop, reading, posix.POLLIN)
      lib.halo_loop_interrupt(loop)
      lib.halo_loop_interrupt(loop)
      assert.equal(EINTR, lib.halo_loop_turn(loop, -1))
      assert.equal(0, lib.halo_loop_turn(loop, 0))
      posix.write(writing, "x")
      assert.same({ op }, core.drain(loop))
      lib.halo_op_release(loop, op)
    end)
  end)

  describe("is closed", function()
    it("with everything that is under way, and leaves no descriptor behind", function()
      local before = posix.count_descriptors()
      local loop, timer = new_loop { max_in_flight = 4 }, ffi.new("struct halo_timer")
      local file = core.open(loop, dir:fifo("fifo"), 2)
      for _ = 1, 3 do
        core.poll(loop, reading, posix.POLLIN)
      end
      for i = 1, 20 do
        local op = core.file_op(loop, lib.HALO_OP_READ, file)
        op.length = i
        core.submit(loop, op)
        core.submit(loop, core.op(loop, lib.HALO_OP_OPEN, "/"))
        core.submit(loop, core.op(loop, lib.HALO_OP_READDIR, "/"))
      end
      lib.halo_timer_start(loop, timer, lib.halo_now_ns() + 3600000ULL * MS)
      lib.halo_loop_turn(loop, 0)
      assert.is_true(core.stats(loop).in_flight > 4)
      assert.equal(0, close_loop(loop))
      assert(posix.count_descriptors() <= before) -- the collector may have closed some of before
    end)

    it("only after all effects: none comes later", function()
      local function count(name)
        local pipe = assert(io.popen(("ls '%s'"):format(dir:path(name))))
        local _, lines = pipe:read("*a"):gsub("\n", "")
        pipe:close()
        return lines
      end
      local counts = {}
      for try = 1, 10 do
        os.execute(("mkdir '%s'"):format(dir:path(try)))
        local loop = new_loop()
        for i = 1, 100 do
          core.submit(loop, core.op(loop, lib.HALO_OP_MKDIR, dir:path(("%d/%d"):format(try, i))))
        end
        lib.halo_loop_turn(loop, 0)
        assert.equal(0, close_loop(loop))
        counts[try] = count(try)
      end
      for try = 1, 10 do
        assert.equal(counts[try], count(try))
      end
    end)
  end)
end)
