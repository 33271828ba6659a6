local halo = require "halo"
local fs = halo.fs
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local ends_cancelled, run_cancelled = tasks.ends_cancelled, tasks.run_cancelled
local forever, pack, rounds, start = tasks.forever, tasks.pack, tasks.rounds, tasks.start

---A task's function that notes its name in the list when it is cancelled.
local function noting(list, name)
  return function()
    local _, err = pcall(halo.sleep, forever)
    table.insert(list, name)
    error(err, 0)
  end
end

local function fail_with(failure)
  return function()
    halo.yield()
    error(failure, 0)
  end
end

describe("halo.scope", function()
  it("returns what its function returns, nils included", function()
    local results = pack(halo.scope(function(_, ...) return nil, ..., nil end, 2))
    assert.same({ n = 3, nil, 2, nil }, results)
  end)

  it("returns when every task in it has ended", function()
    local ended = {}
    halo.scope(function(scope)
      for i = 1, 3 do
        scope:spawn(function(name)
          for _ = i, 3 do
            halo.yield()
          end
          table.insert(ended, name)
        end, "task " .. i)
      end
    end)
    assert.same({ "task 3", "task 2", "task 1" }, ended)
  end)

  it("waits for the tasks that its tasks start in it", function()
    local count = 0
    local function grow(scope, depth)
      count = count + 1
      for _ = 1, depth do
        halo.yield()
        scope:spawn(grow, scope, depth - 1)
      end
    end
    halo.scope(grow, 5)
    assert.equal(326, count) -- 1 + 5 + 5*4 + 5*4*3 + ...
  end)

  it("gives a task's results to who joins it", function()
    assert.equal(42, halo.scope(function(scope)
      return scope:spawn(function() return 42 end):join()
    end))
  end)

  it("runs each of a thousand tasks once", function()
    local runs = {}
    halo.scope(function(scope)
      for i = 1, rounds(1000) do
        scope:spawn(function()
          halo.yield()
          runs[i] = (runs[i] or 0) + 1
        end)
      end
    end)
    for _, count in ipairs(runs) do
      assert.equal(1, count)
    end
  end)

  describe("with a failure in it", function()
    it("cancels the other tasks, waits for them, and raises it unchanged", function()
      local failure, cancelled = {}, {}
      local ok, err = pcall(halo.scope, function(scope)
        scope:spawn(noting(cancelled, "sibling"))
        scope:spawn(noting(cancelled, "sibling"))
        scope:spawn(fail_with(failure))
        noting(cancelled, "body")()
      end)
      assert.is_false(ok)
      assert.equal(failure, err)
      table.sort(cancelled)
      assert.same({ "body", "sibling", "sibling" }, cancelled)
    end)

    it("raises the body's own as well", function()
      local failure, cancelled = {}, {}
      local ok, err = pcall(halo.scope, function(scope)
        scope:spawn(noting(cancelled, "task"))
        fail_with(failure)()
      end)
      assert.is_false(ok)
      assert.equal(failure, err)
      assert.same({ "task" }, cancelled)
    end)

    it("raises an error that is nil or false", function()
      assert.same({ n = 2, false, nil }, pack(pcall(halo.scope, fail_with(nil))))
      assert.same({ n = 2, false, false }, pack(pcall(halo.scope, fail_with(false))))
    end)

    it("waits for the clean-up of the others, which may wait under halo.shield", function()
      local cleaned = false
      pcall(halo.scope, function(scope)
        scope:spawn(function()
          pcall(halo.sleep, forever)
          halo.shield(function()
            halo.sleep(0.002)
            cleaned = true
          end)
        end)
        fail_with("failure")()
      end)
      assert.is_true(cleaned)
    end)

    it("cancels what is spawned in it from then on", function()
      local outlived = false
      pcall(halo.scope, function(scope)
        scope:spawn(function()
          pcall(halo.sleep, forever)
          scope:spawn(function()
            halo.sleep(0.001)
            outlived = true
          end)
        end)
        fail_with("failure")()
      end)
      assert.is_false(outlived)
    end)

    it("leaves alone what is outside of it", function()
      local outside = start(function()
        halo.sleep(0.002)
        return "untouched"
      end)
      pcall(halo.scope, fail_with("failure"))
      assert.equal("untouched", outside:join())
    end)
  end)

  describe("in a scope", function()
    it("keeps a failure to itself that is caught around it", function()
      local outcome = halo.scope(function(outer)
        local sibling = outer:spawn(function()
          halo.sleep(0.002)
          return "untouched"
        end)
        assert.is_false(pcall(halo.scope, fail_with("inner")))
        return sibling:join()
      end)
      assert.equal("untouched", outcome)
    end)

    it("passes on a failure that nobody catches, once, through each", function()
      local failure, cancelled = {}, {}
      local ok, err = pcall(halo.scope, function(outer)
        outer:spawn(noting(cancelled, "outer"))
        outer:spawn(halo.scope, function(middle)
          middle:spawn(noting(cancelled, "middle"))
          middle:spawn(halo.scope, function(inner)
            inner:spawn(noting(cancelled, "inner"))
            inner:spawn(fail_with(failure))
          end)
        end)
      end)
      assert.is_false(ok)
      assert.equal(failure, err)
      assert.same({ "inner", "middle", "outer" }, cancelled)
    end)
  end)

  describe("in a task that is cancelled", function()
    it("cancels its tasks and stays until they have ended", function()
      local cancelled = {}
      local task = start(function()
        halo.scope(function(scope)
          scope:spawn(noting(cancelled, "task"))
          scope:spawn(halo.scope, function(inner) inner:spawn(noting(cancelled, "nested")) end)
          noting(cancelled, "body")()
        end)
      end)
      halo.yield()
      halo.yield()
      task:cancel()
      local _, err = pcall(task.join, task)
      assert.is_true(halo.is_cancelled(err))
      table.sort(cancelled)
      assert.same({ "body", "nested", "task" }, cancelled)
    end)

    it("leaves no task behind, though it is entered only then", function()
      local outlived = false
      run_cancelled(function()
        pcall(halo.scope, function()
          halo.sleep(0.001)
          outlived = true
        end)
      end)
      halo.sleep(0.003)
      assert.is_false(outlived)
    end)

    it("works as ever under halo.shield", function()
      local result = run_cancelled(function()
        return halo.shield(halo.scope, function(scope)
          return scope:spawn(function()
            halo.sleep(0.001)
            return "done"
          end):join()
        end)
      end)
      assert.equal("done", result)
    end)
  end)

  it("can be cancelled as a whole", function()
    local cancelled = {}
    local ok, err = pcall(halo.scope, function(scope)
      scope:spawn(noting(cancelled, "task"))
      scope:spawn(function()
        halo.yield()
        scope:cancel()
      end)
      noting(cancelled, "body")()
    end)
    table.sort(cancelled)
    assert.same({ "body", "task" }, cancelled)
    assert.is_true(ok or halo.is_cancelled(err))
  end)

  it("refuses to be used after its end", function()
    local kept
    halo.scope(function(scope) kept = scope end)
    assert.misuse("this scope has ended: its tasks are over", function() kept:spawn(print) end)
    kept:cancel() -- there is nothing to cancel
  end)

  it("takes functions, and nothing else", function()
    assert.misuse("bad argument #1 to 'scope' (function expected, got number)",
      function() halo.scope(5) end)
    halo.scope(function(scope)
      assert.misuse("bad argument #1 to 'spawn' (function expected, got nil)",
        function() scope:spawn() end)
    end)
  end)
end)

describe("halo.race", function()
  it("returns what the first returns, and cancels the others", function()
    local cancelled = {}
    local results = pack(halo.race {
      noting(cancelled, "slow"),
      function()
        halo.yield()
        return nil, "won", nil
      end,
      noting(cancelled, "slow"),
    })
    assert.same({ n = 3, nil, "won", nil }, results)
    assert.same({ "slow", "slow" }, cancelled)
  end)

  it("raises the error of the first, when that fails", function()
    local failure, cancelled = {}, {}
    local ok, err = pcall(halo.race, { noting(cancelled, "slow"), fail_with(failure) })
    assert.is_false(ok)
    assert.equal(failure, err)
    assert.same({ "slow" }, cancelled)
  end)

  it("is cancelled with all that it runs", function()
    local cancelled = {}
    local task = start(halo.race, { noting(cancelled, "one"), noting(cancelled, "two") })
    halo.yield()
    task:cancel()
    assert.is_true(ends_cancelled(task))
    assert.equal(2, #cancelled)
  end)

  it("takes an array of functions, and starts nothing before it has looked at all", function()
    local expected = "bad argument #1 to 'race' (array of at least one function expected)"
    assert.misuse(expected, function() halo.race {} end)
    assert.misuse(expected, function() halo.race(print) end)
    local ran = false
    local function run() ran = true end
    assert.misuse("bad argument #1 to 'race' (element 2 is a number)",
      function() halo.race { run, 5 } end)
    halo.yield()
    assert.is_false(ran)
  end)
end)

describe("halo.timeout", function()
  local dir = temp.dir()

  it("returns what the function returns in time", function()
    local results = pack(halo.timeout(forever, function(...)
      halo.yield()
      return nil, ..., nil
    end, 2))
    assert.same({ n = 3, nil, 2, nil }, results)
  end)

  it("raises what the function raises", function()
    local failure = {}
    local ok, err = pcall(halo.timeout, forever, fail_with(failure))
    assert.is_false(ok)
    assert.equal(failure, err)
  end)

  it("refuses when the time is up, the function cancelled and over", function()
    local cancelled = {}
    local function wait() return halo.timeout(0.001, noting(cancelled, "late")) end
    assert.refused("ETIMEDOUT: timed out after 0.001 s", wait())
    assert.same({ "late" }, cancelled)
  end)

  it("ends a read that nobody answers", function()
    local fifo = assert(fs.open(dir:fifo("fifo"), "r+"))
    assert.refused("ETIMEDOUT: timed out after 0.001 s", halo.timeout(0.001, fifo.read, fifo, 1))
    fifo:close()
  end)

  it("with no time at all lets the function run up to its first wait", function()
    local ran = false
    halo.timeout(0, function()
      ran = true
      halo.sleep(forever)
    end)
    assert.is_true(ran)
    assert.equal("done", halo.timeout(0, function() return "done" end))
  end)

  it("may be as long as one likes", function()
    assert.equal("done", halo.timeout(math.huge, function() return "done" end))
  end)

  it("leaves the last word to a function that catches the cancellation", function()
    local function stubborn()
      pcall(halo.sleep, forever)
      return "nevertheless"
    end
    assert.equal("nevertheless", halo.timeout(0.001, stubborn))
  end)

  it("is each on its own where they are nested", function()
    assert.equal("outer", halo.timeout(forever, function()
      assert.refused("ETIMEDOUT: timed out after 0.001 s",
        halo.timeout(0.001, halo.sleep, forever))
      return "outer"
    end))
    local inner
    assert.refused("ETIMEDOUT: timed out after 0.001 s", halo.timeout(0.001, function()
      inner = pack(pcall(halo.timeout, forever, halo.sleep, forever))
      error(inner[2], 0)
    end))
    assert.is_true(halo.is_cancelled(inner[2]))
  end)

  it("leaves no timer behind", function()
    local before = halo.stats().timers
    for _ = 1, 100 do
      halo.timeout(forever, halo.yield)
    end
    assert.equal(before, halo.stats().timers)
  end)

  it("takes a time and a function", function()
    for _, seconds in ipairs { -1, 0 / 0, "1" } do
      assert.misuse("bad argument #1 to 'timeout' (a number of seconds expected)",
        function() halo.timeout(seconds, print) end)
    end
    assert.misuse("bad argument #2 to 'timeout' (function expected, got nil)",
      function() halo.timeout(1) end)
  end)
end)

describe("halo.shield", function()
  it("lets clean-up wait in a task that is cancelled", function()
    local task = start(function()
      pcall(halo.sleep, forever)
      return halo.shield(function(...)
        halo.sleep(0.001)
        halo.yield()
        assert(fs.stat("/"))
        return ..., nil
      end, "cleaned")
    end)
    task:cancel()
    assert.same({ n = 2, "cleaned", nil }, pack(task:join()))
  end)

  it("holds off a cancellation up to the next wait after it", function()
    local log = {}
    local task = start(function()
      halo.shield(function()
        halo.sleep(0.001)
        table.insert(log, "slept")
      end)
      table.insert(log, "left")
      halo.yield()
      table.insert(log, "not reached")
    end)
    task:cancel()
    assert.is_true(ends_cancelled(task))
    assert.same({ "slept", "left" }, log)
  end)

  it("ends with the outermost of several", function()
    local inner_ended
    local task = start(function()
      halo.shield(function()
        halo.shield(halo.sleep, 0.001)
        inner_ended = pcall(halo.yield)
      end)
      halo.yield()
    end)
    task:cancel()
    assert.is_true(ends_cancelled(task))
    assert.is_true(inner_ended)
  end)

  it("raises what the function raises, and ends with it", function()
    local failure, outcome = {}, nil
    local task = start(function()
      outcome = pack(pcall(halo.shield, fail_with(failure)))
      halo.yield()
    end)
    task:cancel()
    assert.is_true(ends_cancelled(task))
    assert.same({ n = 2, false, failure }, outcome)
  end)

  it("covers the timeouts and scopes in it", function()
    local task = start(function()
      return halo.shield(function()
        return halo.timeout(forever, function()
          halo.sleep(0.001)
          return "done"
        end)
      end)
    end)
    halo.yield()
    task:cancel()
    assert.equal("done", task:join())
  end)

  it("ends with a generator that is left in the midst of it", function()
    local task = start(function()
      coroutine.wrap(function() halo.shield(coroutine.yield) end)()
      collectgarbage()
      halo.sleep(0.001)
      return "not cancelled"
    end)
    task:cancel()
    assert.is_true(ends_cancelled(task))
  end)

  it("takes a function", function()
    assert.misuse("bad argument #1 to 'shield' (function expected, got nil)",
      function() halo.shield() end)
  end)
end)
