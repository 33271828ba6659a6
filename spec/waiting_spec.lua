-- What is handed from task to task, whoever gives up meanwhile: each value sent is received once,
-- each permit comes back, and to give up costs the same however many wait.

local halo = require "halo"
local random = require "spec.support.random"
local tasks = require "spec.support.tasks"

local rounds = tasks.rounds
local stressed = rounds(31) < 31 -- then a resume takes as long as all the rest
local seed = random.seed "waiting"

---Processor time for so many tasks that wait and are cancelled in turn, the last one first.
local function time_to_cancel(count, wait)
  local waiting = {}
  for i = 1, count do
    waiting[i] = halo.spawn(pcall, wait)
  end
  halo.yield()
  collectgarbage()
  local start = os.clock()
  for i = count, 1, -1 do
    waiting[i]:cancel()
  end
  halo.yield()
  local time = os.clock() - start
  for _, task in ipairs(waiting) do
    task:join()
  end
  return time
end

describe("the time to give up", function()
  local channel, semaphore = halo.channel(), halo.semaphore(1)
  for name, wait in pairs {
    ["a recv"] = function() channel:recv() end,
    ["a send"] = function() channel:send(1) end,
    ["a select"] = function() halo.select { channel, { halo.channel(), 1 } } end,
    ["a permit"] = function() semaphore:acquire() end,
  } do
    it("does not grow with those who wait: " .. name, function()
      if stressed then
        return
      end
      semaphore:try_acquire()
      local least = math.huge
      local attempts = 0
      repeat -- the times have a ratio of 8, or of 64 where each looks for its place
        least = math.min(least, time_to_cancel(24000, wait) / time_to_cancel(3000, wait))
        attempts = attempts + 1
      until least < 20 or attempts == 4
      assert.is_true(least < 20, ("8 times as many took %.1f times as long"):format(least))
    end)
  end

  it("is no matter to who comes next, however many have not noticed yet", function()
    local waiting, count = {}, rounds(20000)
    for i = 1, count do
      waiting[i] = halo.spawn(pcall, channel.recv, channel)
      waiting[i + count] = halo.spawn(pcall, semaphore.acquire, semaphore)
    end
    semaphore:try_acquire()
    halo.yield()
    for _, task in ipairs(waiting) do
      task:cancel()
    end
    semaphore:release()
    assert.is_true(semaphore:try_acquire())
    local sender = tasks.start(channel.send, channel, "value")
    assert.equal("value", channel:recv())
    sender:join()
  end)
end)

describe("what a select leaves behind", function()
  ---Kilobytes in use.
  local function memory()
    for _ = 1, 3 do -- what a finalizer has seen goes with the next collection
      collectgarbage()
    end
    return collectgarbage "count"
  end

  ---Kilobytes that so many selects add, of which each leaves a channel in which nothing happens.
  local function growth(count, select_and_serve)
    select_and_serve(count) -- what is compiled then counts as well
    local before = memory()
    select_and_serve(count)
    return memory() - before
  end

  it("is nothing when it is served", function()
    local quiet, busy = halo.channel(), halo.channel()
    assert.is_true(growth(rounds(20000), function(count)
      local selecting = tasks.start(function()
        for i = 1, count do
          assert.equal(2, (halo.select { quiet, i % 2 == 0 and busy or { busy, i }, { quiet, 1 } }))
        end
      end)
      for i = 1, count do
        if i % 2 == 0 then
          busy:send(i)
        else
          assert.equal(i, busy:recv())
        end
      end
      selecting:join()
    end) < 100)
  end)

  it("is nothing when it is timed out or cancelled", function()
    local quiet = halo.channel()
    assert.is_true(growth(rounds(2000), function(count)
      for i = 1, count do
        if i % 2 == 0 then
          assert.is_nil((halo.timeout(0, halo.select, { quiet, { quiet, 1 }, quiet })))
        else
          local task = tasks.start(halo.select, { quiet, { quiet, 1 }, quiet })
          task:cancel()
          assert.is_true(tasks.ends_cancelled(task))
        end
      end
    end) < 100)
  end)
end)

---A little time that may be up before, while or after something happens.
local function brief(number)
  return number(0, 200) / 1e6
end

---Values from senders to receivers over a few channels, all of which give up at random.
local function exchange(number, count)
  local channels = { halo.channel(), halo.channel(1), halo.channel(3) }
  local sent, refused, received = {}, {}, {}
  local latest = {} -- by receiver, channel and sender

  local function note(receiver, channel, value)
    assert.is_nil(received[value])
    received[value] = true
    local key = ("%s %s %d"):format(receiver, tostring(channel), value % 8)
    assert.is_true((latest[key] or 0) < value, "out of order")
    latest[key] = value
  end

  local function send_one(at, value)
    local channel, other = channels[at], channels[at % 3 + 1]
    local way = number(3)
    if way == 1 then
      return channel:send(value)
    elseif way == 2 then
      return halo.timeout(brief(number), channel.send, channel, value)
    end
    return halo.timeout(brief(number), halo.select, { { channel, value }, { other, value } })
  end

  local function recv_one(receiver, at)
    local cases = { channels[at], channels[at % 3 + 1] }
    local way = number(3)
    local case, value
    if way == 1 then
      case, value = 1, halo.timeout(brief(number), cases[1].recv, cases[1])
    elseif way == 2 then
      case, value = halo.select(cases)
    else
      case, value = halo.timeout(brief(number), halo.select, cases)
    end
    if case and value then
      note(receiver, cases[case], value)
    else
      halo.yield()
    end
  end

  local next_of = {}

  local function send_all(i)
    while next_of[i] <= count / 8 do
      local value = next_of[i] * 8 + i
      next_of[i] = next_of[i] + 1
      local ok, result = pcall(send_one, i % 3 + 1, value)
      if ok and result then
        sent[value] = true
      else
        refused[value] = true
      end
      if not ok then
        error(result, 0)
      end
    end
  end

  halo.scope(function(scope)
    local function keep_up(fn, i) -- another takes the place of one that was cancelled
      local task
      repeat
        task = scope:spawn(fn, i)
        if number(3) > 1 then
          halo.sleep(brief(number) * 5)
          task:cancel()
        end
      until pcall(task.join, task)
    end
    for i = 1, 6 do
      scope:spawn(keep_up, function()
        while true do
          recv_one(i, i % 3 + 1)
        end
      end)
    end
    local sending = {}
    for i = 0, 7 do
      next_of[i] = 1
      table.insert(sending, scope:spawn(keep_up, send_all, i))
    end
    for _, task in ipairs(sending) do
      task:join()
    end
    scope:cancel()
  end)
  for _, channel in ipairs(channels) do
    channel:close()
    for value in channel do
      note("the rest", channel, value)
    end
  end
  return sent, refused, received
end

---What is in one set and not in another.
local function missing(set, other)
  local list = {}
  for value in pairs(set) do
    if not other[value] then
      table.insert(list, value)
    end
  end
  return list
end

describe("of what is handed over under random timeouts", function()
  it("each value that was sent is received once, and no other", function()
    local count = rounds(4000)
    local sent, refused, received = exchange(random.new(seed), count)
    assert.same({}, missing(sent, received))
    assert.same({}, missing(received, sent))
    assert.is_true(count < 1000 or next(refused) ~= nil)
  end)

  it("a value goes to the task that has it before the cancellation, else to the next", function()
    local number, channel = random.new(seed), halo.channel()
    local sent, received = 0, 0
    for _ = 1, rounds(2000) do
      local receivers = {}
      for i = 1, number(4) do
        receivers[i] = tasks.start(function()
          channel:recv() -- no cancellation is raised where it has been given a value
          received = received + 1
          halo.sleep(tasks.forever)
        end)
      end
      for _ = 1, number(3) do
        if number(2) == 1 then
          receivers[number(#receivers)]:cancel()
        elseif halo.select { { channel, "value" }, { halo.channel(1), "nobody" } } == 1 then
          sent = sent + 1
        end
      end
      for _, receiver in ipairs(receivers) do
        receiver:cancel()
      end
      halo.yield()
    end
    assert.equal(sent, received)
    assert.is_true(sent > 0)
  end)

  it("those who stay are served in the order of their coming", function()
    local number = random.new(seed)
    local semaphore, inward, outward = halo.semaphore(1), halo.channel(), halo.channel()
    local ways = {
      { wait = function() semaphore:acquire() end, serve = function() semaphore:release() end },
      { wait = function() inward:recv() end, serve = function() inward:send "value" end },
      { wait = function() outward:send "value" end, serve = function() outward:recv() end },
      { wait = function() halo.select { halo.channel(), inward } end,
        serve = function() inward:send "value" end },
    }
    semaphore:acquire()
    for _, way in ipairs(ways) do
      local waiting, expected, served = {}, {}, {}
      for i = 1, rounds(500) do
        waiting[i] = tasks.start(function()
          way.wait()
          table.insert(served, i)
        end)
      end
      for i, task in ipairs(waiting) do
        if number(2) == 1 then
          task:cancel()
        else
          table.insert(expected, i)
        end
      end
      for _ = 1, #expected do
        way.serve()
        if number(3) == 1 then
          halo.yield()
        end
      end
      halo.yield()
      assert.same(expected, served)
    end
  end)

  it("each permit comes back", function()
    local number, permits = random.new(seed), 3
    local semaphore = halo.semaphore(permits)
    local held, most, had = 0, 0, 0

    local function hold()
      held, had = held + 1, had + 1
      most = math.max(most, held)
      local ok, err = pcall(number(2) == 1 and halo.yield or halo.sleep, brief(number))
      held = held - 1
      if not ok then
        error(err, 0)
      end
    end

    halo.scope(function(scope)
      local holders = {}
      for i = 1, rounds(3000) do
        holders[i] = scope:spawn(function()
          if number(2) == 1 then
            halo.timeout(brief(number), semaphore.with, semaphore, hold)
          elseif halo.timeout(brief(number), semaphore.acquire, semaphore) then
            pcall(hold)
            semaphore:release()
          end
        end)
        if i % 4 == 0 then
          halo.yield()
          holders[number(i)]:cancel()
        end
      end
    end)
    -- A full collection at each step leaves few rounds, in which they may never meet.
    local crowded = rounds(3000) == 3000
    assert.same({ crowded and permits or math.min(most, permits), 0 }, { most, held })
    for _ = 1, permits do
      assert.is_true(semaphore:try_acquire())
    end
    assert.is_false(semaphore:try_acquire())
    assert.is_true(had > 0)
  end)
end)

describe("a loop over what tasks hand over is compiled, and not again and again:", function()
  local COUNT = 50000

  ---How often LuaJIT has finished or given up compiling something meanwhile.
  local function compilations(fn)
    local count = 0
    local function note(what)
      count = count + ((what == "stop" or what == "abort") and 1 or 0)
    end
    jit.attach(note, "trace")
    fn()
    jit.attach(note)
    return count
  end

  ---A channel with so much room, from which so many numbers come.
  local function source(capacity)
    local channel = halo.channel(capacity)
    halo.spawn(function()
      for i = 1, COUNT do
        channel:send(i)
      end
      channel:close()
    end)
    return channel
  end

  local sum
  local function add(n)
    sum = sum + n
  end

  local loops = {
    ["for"] = function(channel)
      for n in channel do
        add(n)
      end
    end,
    ["halo.map"] = function(channel) halo.map(channel, add) end,
    ["halo.map with results"] = function(channel)
      for _, n in ipairs(halo.map(channel, function(n) return n end, 8)) do
        add(n)
      end
    end,
    ["halo.map with a function that waits"] = function(channel)
      halo.map(channel, function(n)
        halo.yield()
        add(n)
      end)
    end,
    ["halo.map over a function"] = function(channel)
      halo.map(function() return (channel:recv()) end, add)
    end,
    ["select"] = function(channel)
      local other = halo.channel()
      local case, n = halo.select { other, channel }
      while n do
        assert(case == 2)
        add(n)
        case, n = halo.select { other, channel }
      end
    end,
  }
  for name, loop in pairs(loops) do
    it(name, function()
      if stressed or not jit.status() then
        return
      end
      for _, capacity in ipairs { 0, 1, 64, 1000 } do
        sum = 0
        local count = compilations(function() loop(source(capacity)) end)
        assert.equal(COUNT * (COUNT + 1) / 2, sum)
        assert.is_true(count < 400, ("%d times with room for %d"):format(count, capacity))
      end
    end)
  end
end)

describe("in a task that has been cancelled", function()
  local calls = {
    ["a send into a buffer with room"] = function(channel)
      channel:send "new"
      return channel:recv()
    end,
    ["a recv of what is there"] = function(channel)
      local value = channel:recv()
      return value
    end,
    ["a select that could be served"] = function(channel)
      return select(2, halo.select { halo.channel(), channel })
    end,
    ["a select that could send"] = function(channel)
      halo.select { { channel, "new" } }
      return channel:recv()
    end,
    ["a permit that is free"] = function(_, semaphore)
      semaphore:acquire()
      semaphore:release()
      return "value"
    end,
    ["a permit for a function"] = function(_, semaphore)
      return semaphore:with(function() return "value" end)
    end,
  }
  for name, call in pairs(calls) do
    it("raises the cancellation each time, and changes nothing: " .. name, function()
      local channel, semaphore = halo.channel(3), halo.semaphore(1)
      channel:send "value"
      tasks.run_cancelled(function()
        for _ = 1, 3 do
          local ok, err = pcall(call, channel, semaphore)
          assert.is_false(ok)
          assert.is_true(halo.is_cancelled(err))
        end
        assert.equal("value", halo.shield(call, channel, semaphore))
      end)
      channel:close()
      local count = 0
      for _ in channel do
        count = count + 1
      end
      assert.is_true(count <= 1)
      assert.is_true(semaphore:try_acquire())
    end)
  end

  it("a loop over a channel that never lacks anything ends", function()
    local channel = halo.channel(10)
    local feeding = halo.spawn(function()
      while true do
        channel:send "value"
      end
    end)
    local task = tasks.start(function()
      local count = 0
      for _ in channel do
        count = count + 1
        if count % 5 == 0 then
          halo.current():cancel()
        end
      end
    end)
    assert.is_true(tasks.ends_cancelled(task))
    feeding:cancel()
    assert.is_true(tasks.ends_cancelled(feeding))
  end)
end)
