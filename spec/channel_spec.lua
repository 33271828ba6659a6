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
