local halo = require "halo"
local tasks = require "spec.support.tasks"
require "spec.support.assertions"

local ends_cancelled, run_cancelled = tasks.ends_cancelled, tasks.run_cancelled
local pack, rounds, start = tasks.pack, tasks.rounds, tasks.start

describe("a semaphore", function()
  it("lets as many in as it has permits", function()
    local semaphore = halo.semaphore(3)
    local inside, most, calls = 0, 0, 0
    local functions = {}
    for i = 1, 10 do
      functions[i] = function()
        semaphore:acquire()
        inside, calls = inside + 1, calls + 1
        most = math.max(most, inside)
        halo.yield()
        inside = inside - 1
        semaphore:release()
      end
    end
    halo.all(functions)
    assert.equal(10, calls)
    assert.equal(3, most)
  end)

  it("lets them in in the order of their coming", function()
    local semaphore = halo.semaphore(1)
    local order = {}
    semaphore:acquire()
    for i = 1, 5 do
      start(function()
        semaphore:acquire()
        table.insert(order, i)
        semaphore:release()
      end)
    end
    semaphore:release()
    semaphore:acquire()
    assert.same({ 1, 2, 3, 4, 5 }, order)
  end)

  it("gives a permit to who has waited, not to who comes just then", function()
    local semaphore = halo.semaphore(1)
    semaphore:acquire()
    local waiting = start(semaphore.acquire, semaphore)
    semaphore:release()
    assert.is_false(semaphore:try_acquire())
    waiting:join()
    semaphore:release()
    assert.is_true(semaphore:try_acquire())
  end)

  it("answers true where there is nothing else to tell", function()
    local semaphore = halo.semaphore(1)
    assert.is_true(semaphore:acquire())
    assert.is_true(semaphore:release())
  end)

  it("can be tried without waiting", function()
    local semaphore = halo.semaphore(2)
    assert.is_true(semaphore:try_acquire())
    assert.is_true(semaphore:try_acquire())
    assert.is_false(semaphore:try_acquire())
    semaphore:release()
    assert.is_true(semaphore:try_acquire())
  end)

  describe("with a function", function()
    it("holds a permit while it runs, and returns what it returns", function()
      local semaphore = halo.semaphore(1)
      local results = pack(semaphore:with(function(...)
        assert.is_false(semaphore:try_acquire())
        halo.yield()
        return nil, ..., nil
      end, 2))
      assert.same({ n = 3, nil, 2, nil }, results)
      assert.is_true(semaphore:try_acquire())
    end)

    it("gives the permit back when it fails, and raises its error", function()
      local semaphore = halo.semaphore(1)
      local failure = {}
      local ok, err = pcall(semaphore.with, semaphore, error, failure)
      assert.is_false(ok)
      assert.equal(failure, err)
      assert.is_true(semaphore:try_acquire())
    end)

    it("gives the permit back when it is cancelled", function()
      local semaphore = halo.semaphore(1)
      local task = start(semaphore.with, semaphore, halo.sleep, tasks.forever)
      task:cancel()
      assert.is_true(ends_cancelled(task))
      assert.is_true(semaphore:try_acquire())
    end)

    it("is not run at all where the wait is cancelled", function()
      local semaphore = halo.semaphore(1)
      semaphore:acquire()
      local ran = false
      local task = start(semaphore.with, semaphore, function() ran = true end)
      task:cancel()
      assert.is_true(ends_cancelled(task))
      assert.is_false(ran)
      semaphore:release()
      assert.is_true(semaphore:try_acquire())
    end)
  end)

  describe("that a cancelled task has waited for", function()
    it("keeps its permit for the others", function()
      local semaphore = halo.semaphore(1)
      semaphore:acquire()
      local first, second = start(semaphore.acquire, semaphore), start(semaphore.acquire, semaphore)
      first:cancel()
      assert.is_true(ends_cancelled(first))
      semaphore:release()
      second:join()
      semaphore:release()
      assert.is_true(semaphore:try_acquire())
    end)

    it("keeps it though the task has not noticed yet", function()
      local semaphore = halo.semaphore(1)
      semaphore:acquire()
      local first, second = start(semaphore.acquire, semaphore), start(semaphore.acquire, semaphore)
      finally(function() second:cancel() end)
      first:cancel()
      semaphore:release()
      halo.yield()
      assert.equal("ended", (second:status()))
      assert.is_true(ends_cancelled(first))
    end)

    it("keeps it where there are no others", function()
      local semaphore = halo.semaphore(1)
      semaphore:acquire()
      local task = start(semaphore.acquire, semaphore)
      task:cancel()
      semaphore:release()
      assert.is_true(semaphore:try_acquire())
      assert.is_true(ends_cancelled(task))
    end)

    it("forgets it where it comes again in vain", function()
      local semaphore = halo.semaphore(1)
      semaphore:acquire()
      run_cancelled(function() pcall(semaphore.acquire, semaphore) end)
      semaphore:release()
      assert.is_true(semaphore:try_acquire())
    end)

    it("takes a timeout as well", function()
      local semaphore = halo.semaphore(1)
      semaphore:acquire()
      assert.refused("ETIMEDOUT: timed out after 0.001 s",
        halo.timeout(0.001, semaphore.acquire, semaphore))
      semaphore:release()
      assert.is_true(semaphore:try_acquire())
    end)
  end)

  it("gives the permit to a task that has it before it is cancelled", function()
    local semaphore = halo.semaphore(1)
    semaphore:acquire()
    local task = start(semaphore.with, semaphore, halo.yield)
    semaphore:release() -- the task has it now, and is cancelled in its next wait
    task:cancel()
    assert.is_true(ends_cancelled(task))
    assert.is_true(semaphore:try_acquire())
  end)

  it("refuses to wait in a callback from C, and forgets it", function()
    local semaphore = halo.semaphore(1)
    semaphore:acquire()
    local function sort()
      table.sort({ 2, 1 }, function() return semaphore:acquire() end)
    end
    local ok, message = pcall(sort)
    assert.is_false(ok)
    assert.matches("this call cannot wait here, inside of a callback", message)
    semaphore:release()
    assert.is_true(semaphore:try_acquire())
  end)

  it("works in a callback from C as long as it need not wait", function()
    local semaphore = halo.semaphore(1)
    local text = ("abc"):gsub(".", function(letter) return semaphore:with(string.upper, letter) end)
    assert.equal("ABC", text)
  end)

  it("counts right after thousands of cancellations", function()
    local semaphore = halo.semaphore(3)
    local inside, most = 0, 0
    halo.scope(function(scope)
      for i = 1, rounds(3000) do
        local task = scope:spawn(semaphore.with, semaphore, function()
          inside = inside + 1
          most = math.max(most, inside)
          local ok, err = pcall(halo.yield)
          inside = inside - 1
          if not ok then
            error(err, 0)
          end
        end)
        if i % 3 == 0 then
          halo.yield()
        end
        if i % 5 == 0 then
          task:cancel()
        end
      end
    end)
    assert.equal(3, most)
    assert.equal(0, inside)
    for _ = 1, 3 do
      assert.is_true(semaphore:try_acquire())
    end
    assert.is_false(semaphore:try_acquire())
  end)

  it("cannot be released more often than acquired", function()
    local semaphore = halo.semaphore(2)
    local expected = "this semaphore was released more often than acquired"
    assert.misuse(expected, function() semaphore:release() end)
    semaphore:acquire()
    semaphore:release()
    assert.misuse(expected, function() semaphore:release() end)
  end)

  it("has a number of permits that is whole and at least 1", function()
    for _, permits in ipairs { 0, -1, 1.5, 0 / 0, "2" } do
      assert.misuse("bad argument #1 to 'semaphore' (a whole number of at least 1 expected)",
        function() halo.semaphore(permits) end)
    end
  end)
end)
