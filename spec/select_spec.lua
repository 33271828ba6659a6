-- halo.select: the first of several channels that is ready, for a time, or at once.

local halo = require "halo"
local tasks = require "spec.support.tasks"
require "spec.support.assertions"

local ends_cancelled, run_cancelled = tasks.ends_cancelled, tasks.run_cancelled
local pack, rounds, start = tasks.pack, tasks.rounds, tasks.start

local CLOSED = "send on a channel that is closed"

---What is received from a channel up to its end.
local function drain(channel)
  local values = {}
  for value in channel do
    table.insert(values, value)
  end
  return values
end

local function status(task)
  return (task:status())
end

describe("halo.select", function()
  it("serves the first case that is ready, and that one alone", function()
    local empty, one, other = halo.channel(1), halo.channel(1), halo.channel(1)
    one:send("one")
    other:send("other")
    assert.same({ n = 2, 2, "one" }, pack(halo.select { empty, one, other }))
    assert.same({ n = 2, 3, "other" }, pack(halo.select { empty, one, other }))
  end)

  it("sends where somebody receives, or the buffer has room", function()
    local full, free = halo.channel(), halo.channel(1)
    assert.equal(2, (halo.select { { full, "lost" }, { free, "value" } }))
    assert.equal("value", free:recv())
    local receiver = start(full.recv, full)
    assert.equal(1, (halo.select { { full, "value" }, { free, "lost" } }))
    assert.equal("value", receiver:join())
    free:close()
    assert.same({}, drain(free))
  end)

  it("waits for the first that becomes ready, to receive", function()
    local one, other = halo.channel(), halo.channel()
    local selecting = start(function() return halo.select { one, other } end)
    assert.equal("waiting", status(selecting))
    other:send("value")
    assert.same({ 2, "value" }, { selecting:join() })
  end)

  it("waits for the first that becomes ready, to send", function()
    local one, other = halo.channel(), halo.channel()
    local selecting = start(function()
      return halo.select { { one, "to one" }, { other, "to other" } }
    end)
    assert.equal("to other", other:recv())
    assert.equal(2, (selecting:join()))
  end)

  it("leaves nothing in the channels that it did not serve", function()
    local served, left = halo.channel(), halo.channel()
    local selecting = start(function() return halo.select { left, { left, 1 }, served } end)
    served:send("value")
    assert.equal(3, (selecting:join()))
    local receiver = start(left.recv, left)
    assert.equal("waiting", status(receiver))
    left:send("value")
    assert.equal("value", receiver:join())
  end)

  it("is served once, by the first of two in one turn", function()
    local one, other = halo.channel(), halo.channel()
    local selecting = start(function() return halo.select { one, other } end)
    one:send("first")
    local second = start(other.send, other, "second")
    assert.same({ 1, "first" }, { selecting:join() })
    assert.equal("waiting", status(second))
    assert.equal("second", other:recv())
  end)

  it("may have one channel in two cases", function()
    local channel = halo.channel(1)
    assert.equal(2, (halo.select { channel, { channel, "value" } }))
    assert.same({ 1, "value" }, { halo.select { channel, { channel, "other" } } })
    local selecting = start(function() return halo.select { channel, channel } end)
    channel:send("value")
    assert.same({ 1, "value" }, { selecting:join() })
  end)

  it("is not served by itself", function()
    local channel = halo.channel()
    local selecting = start(function() return halo.select { channel, { channel, "own" } } end)
    assert.equal("waiting", status(selecting))
    channel:send("value")
    assert.same({ 1, "value" }, { selecting:join() })
  end)

  it("receives nil from a channel that is closed, now or later", function()
    local one, other = halo.channel(), halo.channel()
    local selecting = start(function() return pack(halo.select { one, other }) end)
    other:close()
    assert.same({ n = 2, 2, nil }, selecting:join())
    assert.same({ n = 2, 2, nil }, pack(halo.select { one, other }))
  end)

  it("raises where it would send to a channel that is closed, now or later", function()
    local channel = halo.channel()
    local selecting = start(function()
      assert.misuse(CLOSED, function() halo.select { { channel, 1 } } end)
    end)
    channel:close()
    selecting:join()
    assert.misuse(CLOSED, function() halo.select { { channel, 1 } } end)
  end)

  it("leaves no trace when it is cancelled", function()
    local one, other = halo.channel(), halo.channel()
    local selecting = start(function() return halo.select { one, { other, "lost" } } end)
    local receiver = start(one.recv, one)
    finally(function() receiver:cancel() end)
    selecting:cancel() -- and has not noticed yet
    one:send("value")
    halo.yield()
    assert.equal("ended", status(receiver))
    assert.is_true(ends_cancelled(selecting))
    start(other.send, other, "fresh")
    assert.equal("fresh", other:recv())
  end)

  it("takes channels, and channels with a value to send", function()
    local channel = halo.channel()
    for _, case in ipairs { 5, "channel", { channel }, { 5, 5 } } do
      assert.misuse("bad argument #1 to 'select' (case 2 is no channel and no {channel, value})",
        function() halo.select { channel, case } end)
    end
    assert.misuse("bad argument #1 to 'select' (no channel to wait for)",
      function() halo.select {} end)
    assert.misuse("bad argument #1 to 'select' (array of cases expected, got nil)",
      function() halo.select() end)
  end)

  it("refuses options that there are not, and keys that are no cases", function()
    local channel = halo.channel(1)
    for _, case in ipairs {
      { { channel, timout = 1 }, "no option 'timout', but default, timeout" },
      { { timeouts = 1, channel }, "no option 'timeouts', but default, timeout" },
      { { channel, [true] = 1 }, "no option [true], but default, timeout" },
      { { case = channel }, "no option 'case', but default, timeout" },
      { { timeout = 1 }, "no channel to wait for" },
      { { channel, [3] = channel }, "[3] is no case: they are in [1] to [1], without a hole" },
      { { channel, [0] = channel }, "[0] is no case: they are in [1] to [1], without a hole" },
      { { channel, [1.5] = 1 }, "[1.5] is no case: they are in [1] to [1], without a hole" },
      { { { channel, 1, 2 } }, "case 1 has [3] beside its channel and its value" },
      { { { channel, 1, timeout = 1 } }, "case 1 has 'timeout' beside its channel and its value" },
      { { channel, timeout = "1" }, "timeout is a number of seconds, not below 0" },
      { { channel, timeout = false }, "timeout is a number of seconds, not below 0" },
      { { channel, timeout = -1 }, "timeout is a number of seconds, not below 0" },
      { { channel, timeout = 0 / 0 }, "timeout is a number of seconds, not below 0" },
      { { channel, default = false }, "default is true or a function, not a boolean" },
      { { channel, default = "none" }, "default is true or a function, not a string" },
      { { channel, timeout = 1, default = true },
        "with a default nothing is waited for, and no timeout can pass" },
    } do
      assert.misuse("bad argument #1 to 'select' (" .. case[2] .. ")",
        function() halo.select(case[1]) end)
    end
  end)

  describe("with a timeout", function()
    it("gives up when the time is up, and leaves nothing in the channels", function()
      local one, other = halo.channel(), halo.channel()
      for _, seconds in ipairs { 0, 0.001 } do
        assert.refused(("ETIMEDOUT: timed out after %g s"):format(seconds),
          halo.select { one, { other, "lost" }, timeout = seconds })
      end
      local receiver, taker = start(one.recv, one), start(other.recv, other)
      one:send("value")
      other:send("fresh")
      assert.same({ "value", "fresh" }, { receiver:join(), taker:join() })
    end)

    it("serves a case that is ready, now or in time", function()
      local one, other = halo.channel(1), halo.channel()
      one:send("now")
      assert.same({ n = 2, 1, "now" }, pack(halo.select { one, other, timeout = 0 }))
      local selecting = start(function()
        return pack(halo.select { one, other, timeout = tasks.forever })
      end)
      other:send("later")
      assert.same({ n = 2, 2, "later" }, selecting:join())
      selecting = start(function()
        return pack(halo.select { { other, "mine" }, timeout = math.huge })
      end)
      assert.equal("mine", other:recv())
      assert.same({ n = 1, 1 }, selecting:join())
      selecting = start(function()
        return pack(halo.select { other, timeout = tasks.forever })
      end)
      other:close()
      assert.same({ n = 2, 1, nil }, selecting:join())
    end)

    it("raises where it would send to a channel that is closed meanwhile", function()
      local channel = halo.channel()
      local selecting = start(function()
        assert.misuse(CLOSED,
          function() halo.select { { channel, 1 }, timeout = tasks.forever } end)
      end)
      channel:close()
      selecting:join()
    end)

    it("leaves no timer behind, however it ends", function()
      local channel, timers = halo.channel(), halo.stats().timers
      local selecting = start(halo.select, { channel, timeout = tasks.forever })
      assert.equal(timers + 1, halo.stats().timers)
      channel:send("value")
      assert.equal(timers, halo.stats().timers)
      selecting:join()
      selecting = start(halo.select, { channel, timeout = tasks.forever })
      selecting:cancel()
      assert.is_true(ends_cancelled(selecting))
      assert.equal(timers, halo.stats().timers)
      halo.select { channel, timeout = 0 }
      assert.equal(timers, halo.stats().timers)
    end)

    it("is cancelled as any other", function()
      local channel = halo.channel()
      local selecting = start(halo.select, { channel, timeout = tasks.forever })
      selecting:cancel()
      assert.is_true(ends_cancelled(selecting))
      local receiver = start(channel.recv, channel)
      channel:send("value")
      assert.equal("value", receiver:join())
    end)

    it("loses and doubles nothing, whenever the time is up", function()
      local channel, sent, received = halo.channel(), 0, 0
      halo.scope(function(scope)
        for i = 1, rounds(300) do
          scope:spawn(function()
            local case = halo.select { { channel, i }, timeout = i % 10 / 2000 }
            sent = sent + (case or 0)
          end)
          scope:spawn(function()
            local case = halo.select { channel, timeout = i % 7 / 2000 }
            received = received + (case or 0)
          end)
        end
      end)
      assert.equal(sent, received)
      assert.is_true(sent > 0)
    end)
  end)

  describe("with a default", function()
    it("returns at once where no case is ready", function()
      local one, other = halo.channel(), halo.channel()
      local others_ran = false
      local task = halo.spawn(function() others_ran = true end)
      assert.refused("EAGAIN: no case is ready",
        halo.select { one, { other, "lost" }, default = true })
      assert.same({ n = 3, nil, "idle", 7 }, pack(halo.select {
        one,
        { other, "lost" },
        default = function() return nil, "idle", 7 end,
      }))
      assert.same({ n = 0 }, pack(halo.select { one, default = function() end }))
      assert.is_false(others_ran)
      task:join()
      local receiver = start(other.recv, other)
      other:send("fresh")
      assert.equal("fresh", receiver:join())
    end)

    it("serves a case that is ready", function()
      local one, other = halo.channel(1), halo.channel()
      assert.same({ n = 1, 1 }, pack(halo.select { { one, "value" }, default = error }))
      assert.same({ n = 2, 1, "value" }, pack(halo.select { one, default = error }))
      local receiver = start(other.recv, other)
      assert.same({ n = 1, 2 }, pack(halo.select { one, { other, 1 }, default = true }))
      assert.equal(1, receiver:join())
      other:close()
      assert.same({ n = 2, 1, nil }, pack(halo.select { other, default = true }))
    end)

    it("raises the cancellation of its task, and what the function raises", function()
      local channel, failure = halo.channel(), {}
      local ok, err = pcall(halo.select, { channel, default = function() error(failure) end })
      assert.is_false(ok)
      assert.equal(failure, err)
      assert.is_true(run_cancelled(function()
        return halo.is_cancelled(select(2, pcall(halo.select, { channel, default = true })))
      end))
    end)
  end)

  it("is a way to stop a worker", function()
    local work, stop = halo.channel(), halo.channel()
    local worker = start(function()
      local done = {}
      while true do
        local case, item = halo.select { work, stop }
        if case == 2 then
          return done
        end
        table.insert(done, item)
      end
    end)
    work:send("a")
    work:send("b")
    stop:close()
    assert.same({ "a", "b" }, worker:join())
  end)

  it("survives being cancelled, timed out and served at random", function()
    local channels = { halo.channel(), halo.channel(1), halo.channel(3) }
    local sent, received = 0, 0
    halo.scope(function(scope)
      local pending = {}
      for i = 1, rounds(500) do
        local one, other = channels[i % 3 + 1], channels[(i + 1) % 3 + 1]
        table.insert(pending, scope:spawn(function()
          local case = halo.select { { one, i }, other }
          sent = sent + (case == 1 and 1 or 0)
          received = received + (case == 2 and 1 or 0)
        end))
        if i % 7 == 0 then
          halo.yield()
          pending[i - 3]:cancel()
        end
      end
      halo.yield()
      for _, task in ipairs(pending) do
        task:cancel()
      end
    end)
    local rest = 0
    for _, channel in ipairs(channels) do
      channel:close()
      rest = rest + #drain(channel)
    end
    assert.equal(sent, received + rest)
    assert.is_true(received > 0)
  end)
end)
