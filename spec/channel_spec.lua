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

describe("a channel", function()
  describe("without a buffer", function()
    it("makes a send wait for its recv", function()
      local channel = halo.channel()
      local sender = start(channel.send, channel, "value")
      assert.equal("waiting", status(sender))
      assert.equal("value", channel:recv())
      halo.yield()
      assert.equal("ended", status(sender))
    end)

    it("makes a recv wait for its send", function()
      local channel = halo.channel()
      local receiver = start(channel.recv, channel)
      assert.equal("waiting", status(receiver))
      channel:send("value")
      assert.equal("value", receiver:join())
    end)

    it("serves senders and receivers in the order of their coming", function()
      local channel = halo.channel()
      for i = 1, 3 do
        start(channel.send, channel, i)
      end
      assert.same({ 1, 2, 3 }, { channel:recv(), channel:recv(), channel:recv() })
      local receivers = {}
      for i = 1, 3 do
        receivers[i] = start(channel.recv, channel)
      end
      for i = 1, 3 do
        channel:send(i)
      end
      for i, receiver in ipairs(receivers) do
        assert.equal(i, receiver:join())
      end
    end)
  end)

  describe("with a buffer", function()
    it("makes a send wait only when the buffer is full", function()
      local channel = halo.channel(2)
      channel:send(1)
      channel:send(2)
      local sender = start(channel.send, channel, 3)
      assert.equal("waiting", status(sender))
      assert.equal(1, channel:recv())
      halo.yield()
      assert.equal("ended", status(sender))
      assert.same({ 2, 3 }, { channel:recv(), channel:recv() })
    end)

    it("keeps the order, whoever waits", function()
      local channel = halo.channel(3)
      local sender = start(function()
        for i = 1, 100 do
          channel:send(i)
        end
        channel:close()
      end)
      local values = drain(channel)
      sender:join()
      assert.equal(100, #values)
      for i, value in ipairs(values) do
        assert.equal(i, value)
      end
    end)
  end)

  it("passes any value but nil", function()
    local channel = halo.channel(4)
    local value = {}
    channel:send(false)
    channel:send(value)
    assert.is_false(channel:recv())
    assert.equal(value, channel:recv())
    assert.misuse("bad argument #1 to 'send' "
      .. "(nil cannot be sent: it means that the channel is closed)",
      function() channel:send(nil) end)
  end)

  it("answers true where there is nothing else to tell", function()
    local channel = halo.channel(1)
    assert.is_true(channel:send("value"))
    assert.is_true(channel:close())
  end)

  it("brings each value to one receiver, of many, from many senders", function()
    local channel = halo.channel(5)
    local seen, sent = {}, rounds(2000)
    halo.scope(function(scope)
      scope:spawn(function()
        halo.scope(function(senders)
          for sender = 1, 10 do
            senders:spawn(function()
              for i = sender, sent, 10 do
                channel:send(i)
              end
            end)
          end
        end)
        channel:close()
      end)
      for _ = 1, 10 do
        scope:spawn(function()
          for value in channel do
            seen[value] = (seen[value] or 0) + 1
          end
        end)
      end
    end)
    assert.equal(sent, #seen)
    for _, times in ipairs(seen) do
      assert.equal(1, times)
    end
  end)

  it("works in a generator", function()
    local channel = halo.channel()
    start(channel.send, channel, "value")
    local received = coroutine.wrap(function() coroutine.yield(channel:recv()) end)
    assert.equal("value", received())
  end)

  describe("that is closed", function()
    it("gives what is in its buffer, then nil for ever", function()
      local channel = halo.channel(2)
      channel:send(1)
      channel:send(2)
      channel:close()
      assert.same({ n = 1, 1 }, pack(channel:recv()))
      assert.same({ 2 }, drain(channel))
      assert.is_nil(channel:recv())
      assert.is_nil(channel:recv())
    end)

    it("lets those go on who wait to receive", function()
      local channel = halo.channel()
      local receivers = { start(channel.recv, channel), start(drain, channel) }
      channel:close()
      assert.is_nil(receivers[1]:join())
      assert.same({}, receivers[2]:join())
    end)

    it("raises for those who wait to send, at their line", function()
      local channel = halo.channel()
      local sender = start(function()
        assert.misuse(CLOSED, function() channel:send(1) end)
      end)
      channel:close()
      sender:join()
      assert.is_nil(channel:recv()) -- what was not taken is gone
    end)

    it("refuses a send", function()
      local channel = halo.channel(10)
      channel:close()
      assert.misuse(CLOSED, function() channel:send(1) end)
    end)

    it("cannot be closed again", function()
      local channel = halo.channel()
      assert.is_false(channel:is_closed())
      channel:close()
      assert.is_true(channel:is_closed())
      assert.misuse("this channel is closed already", function() channel:close() end)
    end)
  end)

  it("has a capacity that is a whole number of at least 0", function()
    for _, capacity in ipairs { -1, 1.5, 0 / 0, "10" } do
      assert.misuse("bad argument #1 to 'channel' (a whole number of at least 0 expected)",
        function() halo.channel(capacity) end)
    end
  end)

  describe("that a cancelled task has waited for", function()
    it("passes it over when something is sent", function()
      local channel = halo.channel()
      local first, second = start(channel.recv, channel), start(channel.recv, channel)
      first:cancel()
      local sender = start(channel.send, channel, "value")
      halo.yield()
      assert.equal("ended", status(sender))
      assert.equal("value", second:join())
      assert.is_true(ends_cancelled(first))
    end)

    it("passes it over though it has not noticed yet", function()
      local channel = halo.channel()
      local first, second = start(channel.recv, channel), start(channel.recv, channel)
      finally(function() second:cancel() end)
      first:cancel()
      channel:send("value")
      halo.yield()
      assert.equal("ended", status(second))
      assert.equal("value", second:join())
    end)

    it("does not bring what it wanted to send", function()
      local channel = halo.channel()
      local first, second = start(channel.send, channel, 1), start(channel.send, channel, 2)
      first:cancel() -- and has not noticed yet
      assert.equal(2, channel:recv())
      assert.is_true(ends_cancelled(first))
      second:join()
    end)

    it("does not put it into the buffer either", function()
      local channel = halo.channel(1)
      channel:send(0)
      local first = start(channel.send, channel, 1)
      first:cancel()
      assert.equal(0, channel:recv())
      assert.is_true(ends_cancelled(first))
      channel:close()
      assert.same({}, drain(channel))
    end)

    it("forgets it where it comes again in vain", function()
      local channel = halo.channel()
      run_cancelled(function()
        pcall(channel.recv, channel)
        pcall(halo.select, { channel })
      end)
      local receiver = halo.spawn(channel.recv, channel)
      finally(function() receiver:cancel() end)
      channel:send("value")
      halo.yield()
      assert.equal("ended", status(receiver))

      run_cancelled(function() pcall(channel.send, channel, "stale") end)
      start(channel.send, channel, "fresh")
      assert.equal("fresh", channel:recv())
    end)

    it("keeps a value that came before the cancellation", function()
      local channel = halo.channel()
      local received
      local task = start(function()
        received = channel:recv()
        halo.yield()
      end)
      channel:send("value")
      task:cancel()
      assert.is_true(ends_cancelled(task))
      assert.equal("value", received)
    end)

    it("takes a timeout as well", function()
      local channel = halo.channel()
      assert.refused("ETIMEDOUT: timed out after 0.001 s",
        halo.timeout(0.001, channel.recv, channel))
      local receiver = start(channel.recv, channel)
      channel:send("value")
      assert.equal("value", receiver:join())
    end)
  end)

  it("refuses to wait in a callback from C, and forgets it", function()
    local channel = halo.channel()
    local numbers = { 2, 1 }
    local function sort()
      table.sort(numbers, function() return channel:recv() end)
    end
    local ok, message = pcall(sort)
    assert.is_false(ok)
    assert.matches("^spec/channel_spec.lua:%d+: this call cannot wait here, inside of a callback",
      message)
    local receiver = halo.spawn(channel.recv, channel)
    finally(function() receiver:cancel() end)
    channel:send("value")
    halo.yield()
    assert.equal("ended", status(receiver))
  end)
end)

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
