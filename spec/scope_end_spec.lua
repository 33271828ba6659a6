-- The end of a scope: what comes late, what fails besides, what was deferred; and tasks that belong
-- to others without being in their scope.

local halo = require "halo"
local command = require "spec.support.command"
local tasks = require "spec.support.tasks"
require "spec.support.assertions"

local ends_cancelled, run_cancelled = tasks.ends_cancelled, tasks.run_cancelled
local forever, pack, start = tasks.forever, tasks.pack, tasks.start

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

describe("halo.scope and what comes late", function()
  it("takes no task once its last one has ended, though it has not returned yet", function()
    local scope, spawned
    local outside = halo.spawn(function()
      while not scope do halo.yield() end
      halo.yield()
      spawned = pack(pcall(scope.spawn, scope, function() error "not reached" end))
    end)
    -- The body ends, and the task outside runs before the one that waits for the scope.
    halo.scope(function(self)
      scope = self
      halo.yield()
    end)
    outside:join()
    assert.is_false(spawned[1])
    assert.matches("scope_end_spec.lua:%d+: this scope has ended: its tasks are over$", spawned[2])
  end)

  it("tells of further failures with the first", function()
    local script = [[
      local halo = require "halo"
      local function fail(message)
        return function()
          pcall(halo.sleep, 1000)
          error(message, 0)
        end
      end
      halo.scope(function(scope)
        scope:spawn(fail "second")
        scope:spawn(fail "third")
        halo.yield()
        error("first", 0)
      end)
    ]]
    local _, stderr, status = command.run(command.halo("-e", script))
    assert.equal(1, status)
    assert.matches("^halo: first\n", stderr)
    assert.matches("because halo: task %d+ failed: first\n", stderr)
    assert.matches("and also halo: task %d+ failed: second\n", stderr)
    assert.matches("and also halo: task %d+ failed: third\n", stderr)
  end)

  it("counts further failures that are too many to be told", function()
    local script = [[
      local halo = require "halo"
      halo.scope(function(scope)
        for i = 1, 20 do
          scope:spawn(function() error("failure " .. i, 0) end)
        end
      end)
    ]]
    local _, stderr = command.run(command.halo("-e", script))
    assert.matches("\nand 11 more", stderr)
  end)

  it("has the errors of all that failed, in their order", function()
    local scope, first = nil, {}
    local ok, err = pcall(halo.scope, function(self)
      scope = self
      self:spawn(noting({}, "cancelled"))
      self:spawn(function()
        pcall(halo.sleep, forever)
        error("second", 0)
      end)
      self:defer(function() error("third", 0) end)
      halo.yield()
      error(first, 0)
    end)
    assert.is_false(ok)
    assert.equal(first, err)
    assert.same({ first, "second", "third" }, scope:failures())
  end)
end)

describe("scope:defer", function()
  it("runs what was deferred after the last task, the last first", function()
    local log = {}
    local function note(text)
      return function() table.insert(log, text) end
    end
    assert.equal("result", halo.scope(function(scope)
      scope:defer(note "first")
      scope:defer(note "last")
      scope:spawn(function()
        halo.sleep(0.002)
        table.insert(log, "task")
      end)
      return "result"
    end))
    assert.same({ "task", "last", "first" }, log)
  end)

  it("may wait, also in a task that is cancelled", function()
    local done = false
    local task = start(halo.scope, function(scope)
      scope:defer(function()
        halo.sleep(0.001)
        done = true
      end)
      halo.sleep(forever)
    end)
    halo.yield()
    task:cancel()
    assert.is_true(ends_cancelled(task))
    assert.is_true(done)
  end)

  it("runs after a failure, too, and after a timeout", function()
    local log = {}
    local failure = {}
    local ok, err = pcall(halo.scope, function(scope)
      scope:defer(function() table.insert(log, "failed") end)
      error(failure, 0)
    end)
    assert.is_false(ok)
    assert.equal(failure, err)
    assert.refused("ETIMEDOUT: timed out after 0.001 s", halo.timeout(0.001, halo.scope,
      function(scope)
        scope:defer(function() table.insert(log, "late") end)
        halo.sleep(forever)
      end))
    assert.same({ "failed", "late" }, log)
  end)

  it("raises its own error where there is no other, after the rest has run", function()
    local failure, log = {}, {}
    local ok, err = pcall(halo.scope, function(scope)
      scope:defer(function() table.insert(log, "first") end)
      scope:defer(function() error(failure, 0) end)
    end)
    assert.is_false(ok)
    assert.equal(failure, err)
    assert.same({ "first" }, log)
  end)

  it("tells its errors with the first", function()
    local script = [[
      local halo = require "halo"
      halo.scope(function(scope)
        scope:defer(function() error("of the clean-up", 0) end)
        error("of the body", 0)
      end)
    ]]
    local _, stderr = command.run(command.halo("-e", script))
    assert.matches("^halo: of the body\n", stderr)
    assert.matches("and also an error: of the clean%-up\n", stderr)
  end)

  it("may defer more", function()
    local log = {}
    halo.scope(function(scope)
      scope:defer(function()
        scope:defer(function() table.insert(log, "inner") end)
        table.insert(log, "outer")
      end)
    end)
    assert.same({ "outer", "inner" }, log)
  end)

  it("takes a function, and none after the end", function()
    local kept
    halo.scope(function(scope)
      kept = scope
      assert.misuse("bad argument #1 to 'defer' (function expected, got nil)",
        function() scope:defer() end)
    end)
    assert.misuse("this scope has ended: nothing can be deferred to its end",
      function() kept:defer(print) end)
  end)
end)

describe("halo.spawn", function()
  it("starts what a timeout and a scope around it do not end", function()
    local task
    halo.timeout(0.001, function()
      task = halo.spawn(function()
        halo.sleep(0.003)
        return "went on"
      end)
      halo.sleep(forever)
    end)
    assert.equal("went on", task:join())
    pcall(halo.scope, function()
      task = halo.spawn(function()
        halo.sleep(0.003)
        return "went on"
      end)
      halo.yield()
      error "failure"
    end)
    assert.equal("went on", task:join())
  end)
end)

describe("a helper of a task", function()
  local core = require "halo.core"

  local function helped(log)
    core.spawn_helper(noting(log, "helper"))
    halo.sleep(forever)
  end

  it("is cancelled with it, and by the timeouts and scopes that the task is in", function()
    local log = {}
    local task = start(helped, log)
    halo.yield()
    task:cancel()
    assert.is_true(ends_cancelled(task))
    halo.timeout(0.001, helped, log)
    assert.equal(2, #log)
    pcall(halo.scope, function(scope)
      scope:spawn(helped, log)
      halo.yield()
      halo.yield()
      error "failure"
    end)
    assert.equal(3, #log)
  end)

  it("is cancelled when the task ends", function()
    local log = {}
    halo.spawn(function()
      core.spawn_helper(noting(log, "helper"))
      halo.yield()
    end):join()
    halo.yield()
    assert.same({ "helper" }, log)
  end)

  it("may start others, which help the same task", function()
    local log = {}
    local task = start(function()
      local inner
      core.spawn_helper(function()
        inner = core.spawn_helper(noting(log, "inner"))
      end):join()
      halo.yield()
      assert.equal("waiting", (inner:status()))
      halo.sleep(forever)
    end)
    for _ = 1, 5 do halo.yield() end
    assert.same({}, log)
    task:cancel()
    assert.is_true(ends_cancelled(task))
    halo.yield()
    assert.same({ "inner" }, log)
  end)

  it("fails for who joins it alone", function()
    assert.equal("result", halo.scope(function(scope)
      return scope:spawn(function()
        local helper = core.spawn_helper(fail_with "failure")
        halo.yield()
        halo.yield()
        assert.same({ false, "failure" }, { pcall(helper.join, helper) })
        return "result"
      end):join()
    end))
  end)

  it("is shielded where the task is", function()
    assert.equal("done", run_cancelled(function()
      return halo.shield(function()
        return core.spawn_helper(function()
          halo.sleep(0.001)
          return "done"
        end):join()
      end)
    end))
  end)
end)

describe("a shield", function()
  it("that a generator leaves elsewhere holds nothing off any more", function()
    for _, elsewhere in ipairs {
      function(g)
        local once
        table.sort({ 2, 1 }, function(a, b)
          if not once then
            once = true
            g()
          end
          return a < b
        end)
      end,
      function(g) string.gsub("a", "a", function() g() end) end,
    } do
      local task = start(function()
        local g = coroutine.wrap(function()
          halo.shield(function() coroutine.yield() end)
          coroutine.yield()
        end)
        g()
        elsewhere(g)
        halo.sleep(forever)
      end)
      task:cancel()
      assert.is_true(ends_cancelled(task))
    end
  end)

  it("that is taken in a callback holds there, and not after it", function()
    local inside
    local task = start(function()
      pcall(halo.sleep, forever)
      string.gsub("a", "a", function()
        coroutine.wrap(function()
          halo.shield(function()
            inside = pcall(halo.sleep, 0)
            coroutine.yield()
          end)
        end)()
      end)
      halo.sleep(forever)
    end)
    task:cancel()
    assert.is_true(ends_cancelled(task))
    assert.is_true(inside)
  end)
end)

describe("What has ended when its caller is cancelled in the same turn", function()
  ---Cancels a task that calls wait(fn) once fn has ended, before the task goes on. Returns what the
  ---call returned, and what the task's next one raised.
  local function cancelled_at_the_end(wait, fn)
    local channel, result, later = halo.channel(), nil, nil
    local task = start(function()
      result = pack(pcall(wait, function()
        return fn(channel:recv())
      end))
      later = pack(pcall(halo.yield))
    end)
    for _ = 1, 4 do halo.yield() end -- it waits in recv() then
    channel:send "value"
    local killer = halo.spawn(function() task:cancel() end)
    killer:join()
    pcall(task.join, task)
    return result, later
  end

  local calls = {
    scope = halo.scope,
    run = halo.run,
    race = function(fn) return halo.race { fn } end,
    timeout = function(fn) return halo.timeout(forever, fn) end,
  }

  for name, wait in pairs(calls) do
    it("is what " .. name .. " returns, and the next call is cancelled", function()
      local result, later = cancelled_at_the_end(wait, function(value) return value end)
      assert.same({ n = 2, true, "value" }, result)
      assert.is_false(later[1])
      assert.is_true(halo.is_cancelled(later[2]))
    end)

    it("is the failure that " .. name .. " raises", function()
      local failure = {}
      local result = cancelled_at_the_end(wait, function() error(failure, 0) end)
      assert.is_false(result[1])
      assert.equal(failure, result[2])
    end)
  end
end)

describe("What fails in the clean-up while all is cancelled", function()
  local waits

  ---A function that waits for ever, and fails once that has been cancelled.
  local function failing(failure)
    return function()
      waits = true
      pcall(halo.sleep, forever)
      error(failure, 0)
    end
  end

  ---What call(...) raises when a timeout ends it, once it has got so far that it waits.
  local function raised_by_timeout(call, ...)
    waits = false
    local ok, err
    repeat
      ok, err = pcall(halo.timeout, 0.02, call, ...)
    until waits
    assert.is_false(ok)
    return err
  end

  local function wait()
    halo.sleep(forever)
  end

  local calls = {
    ["a scope's task"] = function(fn)
      halo.scope(function(scope)
        scope:spawn(fn)
        halo.sleep(forever)
      end)
    end,
    ["a scope's body"] = function(fn)
      halo.scope(function(scope)
        scope:spawn(wait)
        fn()
      end)
    end,
    ["what a scope has deferred"] = function(fn)
      halo.scope(function(scope)
        scope:defer(function() halo.timeout(0, fn) end)
        halo.sleep(forever)
      end)
    end,
    ["map's function"] = function(fn) halo.map({ 1, 2 }, fn) end,
    ["one of all"] = function(fn) halo.all { wait, fn } end,
    ["one of a race"] = function(fn) halo.race { wait, fn } end,
    ["a timeout's function"] = function(fn) halo.timeout(forever, fn) end,
    run = function(fn) halo.run(fn) end,
  }

  for name, call in pairs(calls) do
    it("is raised instead of that: " .. name, function()
      local failure, caught, later = {}, nil, nil
      local task = start(function()
        caught = pack(pcall(call, failing(failure)))
        later = pack(pcall(halo.yield))
      end)
      for _ = 1, 4 do halo.yield() end -- all of it waits then
      task:cancel()
      pcall(task.join, task)
      assert.is_false(caught[1])
      assert.equal(failure, caught[2])
      assert.is_true(halo.is_cancelled(later[2]))
    end)

    it("is raised instead of a timeout's refusal: " .. name, function()
      local failure = {}
      assert.equal(failure, raised_by_timeout(call, failing(failure)))
    end)
  end

  it("is told in the order in which it came", function()
    local first, second, third = {}, {}, {}
    local failures
    assert.equal(first, raised_by_timeout(halo.scope, function(scope)
      scope:defer(function()
        failures = scope:failures()
        error(third, 0)
      end)
      scope:defer(function() error(second, 0) end)
      scope:spawn(failing(first))
      halo.sleep(forever)
    end))
    assert.same({ first, second }, failures)
  end)
end)
