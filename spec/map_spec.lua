local command = require "spec.support.command"
local halo = require "halo"
local random = require "spec.support.random"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local fs = halo.fs
local ends_cancelled = tasks.ends_cancelled
local forever, rounds, start = tasks.forever, tasks.rounds, tasks.start

---Numbers from 1 to n.
local function numbers(n)
  local list = {}
  for i = 1, n do
    list[i] = i
  end
  return list
end

---A function for halo.map that knows how many calls of it are under way.
local function counting()
  local counter = { now = 0, most = 0, calls = 0 }
  return counter, function(item)
    counter.calls = counter.calls + 1
    counter.now = counter.now + 1
    counter.most = math.max(counter.most, counter.now)
    halo.yield()
    counter.now = counter.now - 1
    return item
  end
end

describe("halo.map", function()
  it("gives the results in the order of the list, whoever ends first", function()
    local results = halo.map({ 3, 1, 2 }, function(n)
      for _ = 1, n do
        halo.yield()
      end
      return n * 10
    end)
    assert.same({ 30, 10, 20 }, results)
  end)

  local dir = temp.dir()

  it("passes each item, once, and nothing else", function()
    local seen = {}
    local function see(...) table.insert(seen, { ... }) end
    local function iterate() return table.remove({ "e", "d" }, #seen - 2) end
    halo.map({ "a", "b", "c" }, see)
    halo.map(iterate, see, 1)
    assert.same({ { "a" }, { "b" }, { "c" }, { "e" }, { "d" } }, seen)
  end)

  it("takes functions that have further arguments", function()
    local paths = { dir:path "a", dir:path "b" }
    assert.same({ true, true }, halo.map(paths, fs.mkdir))
    assert.equal("755", ("%o"):format(fs.stat(paths[1], "perm")))
    assert.same({ fs.stat(paths[1], "id"), fs.stat(paths[2], "id") },
      halo.map(halo.map(paths, fs.stat), function(st) return st.id end))
    assert.same({ true, true }, halo.map(paths, fs.rmtree))
  end)

  it("keeps the first result of each, and leaves a hole where there is none", function()
    local results = halo.map(numbers(4), function(n)
      if n % 2 == 0 then
        return n, "not kept"
      end
    end)
    assert.same({ [2] = 2, [4] = 4 }, results)
  end)

  it("does nothing for an empty list", function()
    assert.same({}, halo.map({}, error))
  end)

  it("runs 64 at once at most", function()
    local counter, count = counting()
    halo.map(numbers(200), count)
    assert.equal(200, counter.calls)
    assert.equal(64, counter.most)
  end)

  it("runs as many at once as it is told", function()
    for _, limit in ipairs { 1, 2, 7, 100 } do
      local counter, count = counting()
      assert.same(numbers(30), halo.map(numbers(30), count, limit))
      assert.equal(math.min(limit, 30), counter.most)
    end
    local counter, count = counting()
    halo.map(numbers(5), count, math.huge)
    assert.equal(5, counter.most)
  end)

  it("cancels the others when one fails, takes no more, and raises the error", function()
    local failure, cancelled, taken = {}, 0, 0
    local ok, err = pcall(halo.map, numbers(100), function(n)
      taken = taken + 1
      if n == 10 then
        error(failure)
      end
      local _, reason = pcall(halo.sleep, forever)
      cancelled = cancelled + 1
      error(reason, 0)
    end, 10)
    assert.is_false(ok)
    assert.equal(failure, err)
    assert.equal(9, cancelled)
    assert.equal(10, taken)
  end)

  it("is cancelled with all that it runs", function()
    local cancelled = 0
    local task = start(halo.map, numbers(3), function()
      local _, reason = pcall(halo.sleep, forever)
      cancelled = cancelled + 1
      error(reason, 0)
    end)
    halo.yield()
    task:cancel()
    assert.is_true(ends_cancelled(task))
    assert.equal(3, cancelled)
  end)

  it("is cancelled where one of its calls alone is, since a result is missing then", function()
    for _, list in ipairs { numbers(3), ("xyz"):gmatch "." } do
      local count = 0
      local mapping = start(halo.map, list, function()
        count = count + 1
        if count == 2 then
          halo.sleep(forever)
        end
        return true
      end)
      for _ = 1, 3 do
        halo.yield()
      end
      local workers = {}
      for _, info in ipairs(tasks.info_of(mapping).children) do
        if info.waits_for == "sleep" then
          table.insert(workers, info.task)
        end
      end
      assert.equal(1, #workers)
      workers[1]:cancel()
      assert.is_true(ends_cancelled(mapping))
    end
  end)

  it("takes no more where a call outlives the cancellation", function()
    for _, list in ipairs { numbers(100), ("x"):rep(100):gmatch "x" } do
      local taken = 0
      local ok = pcall(halo.map, list, function()
        taken = taken + 1
        local n = taken
        pcall(halo.sleep, n < 5 and forever or 0)
        if n == 5 then
          error "enough"
        end
      end, 5)
      assert.is_false(ok)
      assert.equal(5, taken)
    end
  end)

  it("may be nested", function()
    local sums = halo.map(numbers(10), function(n)
      local sum = 0
      halo.map(numbers(n), function(m)
        halo.yield()
        sum = sum + m
      end)
      return sum
    end)
    assert.same({ 1, 3, 6, 10, 15, 21, 28, 36, 45, 55 }, sums)
  end)

  describe("over an iterator", function()
    local function count_to(n)
      local i = 0
      return function()
        if i < n then
          i = i + 1
          return i
        end
      end
    end

    it("takes the items as workers become free", function()
      local counter, count = counting()
      assert.same(numbers(100), halo.map(count_to(100), count, 5))
      assert.equal(5, counter.most)
    end)

    it("takes it from a generator, which may wait", function()
      local results = halo.map(coroutine.wrap(function()
        for i = 1, rounds(100) do
          halo.yield()
          coroutine.yield(i)
        end
      end), function(n)
        halo.yield()
        return n
      end)
      assert.same(numbers(rounds(100)), results)
    end)

    it("takes what is received from a channel, until that is closed", function()
      local channel = halo.channel()
      local sender = start(function()
        for i = 1, rounds(100) do
          channel:send(i)
        end
        channel:close()
      end)
      finally(function() sender:cancel() end)
      local sum = 0
      halo.map(channel, function(n) sum = sum + n end)
      assert.equal(rounds(100) * (rounds(100) + 1) / 2, sum)
    end)

    it("waits quietly where the iterator does", function()
      local channel = halo.channel()
      local mapping = start(function()
        halo.map(function() return channel:recv() end, print, 3)
      end)
      finally(function()
        channel:close()
        mapping:join()
      end)
      for _ = 1, 5 do
        halo.yield()
      end
      for _, worker in ipairs(tasks.info_of(mapping).children) do
        assert.equal("waiting", worker.status)
      end
    end)

    it("raises its error, once, and cancels what runs", function()
      local failure, cancelled = {}, 0
      local take = count_to(3)
      local ok, err = pcall(halo.map, function() return take() or error(failure) end, function()
        local _, reason = pcall(halo.sleep, forever)
        cancelled = cancelled + 1
        error(reason, 0)
      end)
      assert.is_false(ok)
      assert.equal(failure, err)
      assert.equal(3, cancelled)
    end)

    it("is not asked again after its end", function()
      local asked_after_end = 0
      local take, ended = count_to(3), false
      halo.map(function()
        if ended then
          asked_after_end = asked_after_end + 1
        end
        local item = take()
        ended = not item
        return item
      end, halo.yield)
      assert.equal(0, asked_after_end)
    end)

    it("starts no more workers than it has items, whatever the limit", function()
      local before, most = halo.stats().tasks, 0
      local results = halo.map(count_to(3), function(n)
        most = math.max(most, halo.stats().tasks - before)
        return n
      end, 10000)
      assert.same(numbers(3), results)
      assert.is_true(most <= 4)
    end)
  end)

  describe("over a channel", function()
    ---A channel that holds the numbers from 1 to n, and is closed.
    local function filled(n)
      local channel = halo.channel(n)
      for i = 1, n do
        channel:send(i)
      end
      channel:close()
      return channel
    end

    local function rest_of(channel)
      local rest = {}
      for value in channel do
        table.insert(rest, value)
      end
      return rest
    end

    it("begins with the items in their order, whoever waits in between", function()
      for _, limit in ipairs { 1, 2, 7, 64 } do
        local number, begun = random.new(limit), {}
        local results = halo.map(filled(rounds(300)), function(value)
          table.insert(begun, value)
          for _ = 1, number(4) - 1 do
            halo.yield()
          end
          return value
        end, limit)
        assert.same(numbers(rounds(300)), begun)
        assert.same(begun, results)
      end
    end)

    it("goes on with another item where fn waits, however the items come", function()
      for _, capacity in ipairs { 0, 1, 10 } do
        local channel, counter, count = halo.channel(capacity), counting()
        local sender = start(function()
          for i = 1, 30 do
            channel:send(i)
          end
          channel:close()
        end)
        assert.same(numbers(30), halo.map(channel, function(n)
          for _ = 1, 10 do -- longer than the sender needs for another
            count()
          end
          return n
        end, 4))
        assert.equal(4, counter.most)
        sender:join()
      end
    end)

    it("takes no item that is not given to fn, whether it fails or is cancelled", function()
      local number = random.new(7)
      for round = 1, rounds(200) do
        local channel, given, last = filled(50), {}, number(50)
        local mapping = start(pcall, halo.map, channel, function(value)
          table.insert(given, value)
          if value == last and round % 2 == 0 then
            error "enough"
          elseif number(2) == 1 then
            halo.yield()
          end
        end, number(10))
        for _ = 1, number(10) do
          halo.yield()
        end
        mapping:cancel()
        pcall(mapping.join, mapping)
        for _, value in ipairs(rest_of(channel)) do
          table.insert(given, value)
        end
        assert.same(numbers(50), given)
      end
    end)

    it("does not take another item once fn has failed", function()
      local channel = filled(10)
      assert.is_false(pcall(halo.map, channel, function(value)
        if value == 3 then
          error "enough"
        end
      end))
      assert.same({ 4, 5, 6, 7, 8, 9, 10 }, rest_of(channel))
    end)

    it("goes on where only the worker is cancelled that waits for the next item", function()
      local channel, sum = halo.channel(), 0
      local mapping = start(halo.map, channel, function(value)
        halo.yield()
        sum = sum + value
      end, 3)
      for value = 1, 3 do
        channel:send(value)
      end
      for _ = 1, 3 do
        halo.yield()
      end
      for _, info in ipairs(tasks.info_of(mapping).children) do
        if info.waits_for == "channel" then
          info.task:cancel()
        end
      end
      for value = 4, 6 do
        channel:send(value)
      end
      channel:close()
      mapping:join()
      assert.equal(21, sum)
    end)
  end)

  it("needs nothing that a program may have taken away", function()
    local stdout, stderr = command.run(command.halo("-e",
      "debug = nil print(#halo.map(halo.map({ 1, 2 }, print), print))"))
    assert.same({ "1\n2\n0\n", "" }, { stdout, stderr })
  end)

  it("takes a script's arguments, which have more than a list", function()
    local before = rawget(_G, "arg")
    rawset(_G, "arg", { [-1] = "halo", [0] = "script", "a", "b" })
    local results = halo.map(arg, string.upper)
    rawset(_G, "arg", before)
    assert.same({ "A", "B" }, results)
  end)

  it("takes a list, a function and a limit", function()
    assert.misuse("bad argument #1 to 'map' (array or iterator expected, got string)",
      function() halo.map("list", print) end)
    assert.misuse("bad argument #1 to 'map' (array or iterator expected, got nil)",
      function() halo.map(nil, print) end)
    local ffi = require "ffi"
    for _, value in ipairs { ffi.new "uint64_t[4]", ffi.new("int64_t", 5) } do
      assert.misuse("bad argument #1 to 'map' (array or iterator expected, got cdata)",
        function() halo.map(value, print) end)
    end
    -- Lua calls what is a function there, and nothing else: these are arrays.
    assert.same({}, halo.map(setmetatable({}, { __call = 5 }), print))
    for name, list in pairs { ["'name'"] = { 1, name = 2 }, ["'n'"] = { 1, n = 1 },
      ["[true]"] = { 1, [true] = 2 }, ["[1.5]"] = { 1, [1.5] = 2 }, ["[0]"] = { 1, [0] = 2 },
      ["[9]"] = { 1, [9] = 2 } } do
      assert.misuse(("bad argument #1 to 'map' (a list expected: %s is no place from 1 to 1)")
        :format(name), function() halo.map(list, print) end)
    end
    assert.misuse("bad argument #1 to 'map' (a list expected: 'a' is no place from 1 to 0)",
      function() halo.map({ a = 1 }, print) end)
    assert.misuse("bad argument #2 to 'map' (function expected, got nil)",
      function() halo.map({}) end)
    for _, limit in ipairs { 0, -1, 0 / 0, "2" } do
      assert.misuse("bad argument #3 to 'map' (a limit of at least 1 expected)",
        function() halo.map({}, print, limit) end)
    end
  end)
end)

describe("halo.all", function()
  it("runs all functions at once and gives the first result of each, in order", function()
    local results = halo.all {
      function()
        halo.yield()
        return "first", "not kept"
      end,
      function() end,
      function() return "third" end,
    }
    assert.same({ [1] = "first", [3] = "third" }, results)
  end)

  it("runs more than map does by itself", function()
    local counter, count = counting()
    local functions = {}
    for i = 1, 100 do
      functions[i] = count
    end
    halo.all(functions)
    assert.equal(100, counter.most)
  end)

  it("does nothing for an empty list", function()
    assert.same({}, halo.all {})
  end)

  it("raises the first error and cancels the others", function()
    local failure, cancelled = {}, nil
    local ok, err = pcall(halo.all, {
      function()
        local _, reason = pcall(halo.sleep, forever)
        cancelled = halo.is_cancelled(reason)
        error(reason, 0)
      end,
      function() error(failure) end,
    })
    assert.is_false(ok)
    assert.equal(failure, err)
    assert.is_true(cancelled)
  end)

  it("takes an array of functions", function()
    assert.misuse("bad argument #1 to 'all' (array of functions expected, got nil)",
      function() halo.all() end)
    assert.misuse("bad argument #1 to 'all' (a list expected: 'one' is no place from 1 to 0)",
      function() halo.all { one = print } end)
    assert.misuse("bad argument #1 to 'race' (a list expected: 'one' is no place from 1 to 0)",
      function() halo.race { one = print } end)
    assert.misuse("bad argument #1 to 'all' (element 2 is a number)",
      function() halo.all { print, 5 } end)
  end)
end)
