local command = require "spec.support.command"
local halo = require "halo"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
local waits = require "spec.support.waits"
require "spec.support.assertions"

local info_of = tasks.info_of
local forever, pack, rounds, start = tasks.forever, tasks.pack, tasks.rounds, tasks.start

---The line of its caller, as halo writes it.
local function here()
  local info = debug.getinfo(2, "Sl")
  return ("%s:%d"):format(info.short_src, info.currentline)
end

describe("a task", function()
  it("starts when the one that spawns it waits, and not before", function()
    local started = false
    local task = halo.spawn(function() started = true end)
    assert.is_false(started)
    task:join()
    assert.is_true(started)
  end)

  it("gets the arguments of spawn, nils included", function()
    local task = halo.spawn(pack, nil, 2, nil)
    assert.same({ n = 3, nil, 2, nil }, task:join())
  end)

  it("is halo.current() while it runs", function()
    local current
    local task = halo.spawn(function() current = halo.current() end)
    task:join()
    assert.equal(task, current)
    assert.not_equal(task, halo.current())
  end)

  it("takes a function, and nothing else", function()
    assert.misuse("bad argument #1 to 'spawn' (function expected, got nil)",
      function() halo.spawn(nil) end)
    assert.misuse("bad argument #1 to 'spawn' (function expected, got table)",
      function() halo.spawn(setmetatable({}, { __call = print })) end)
  end)

  it("takes turns with the others in the order of their spawning", function()
    local order, started = {}, {}
    for _, name in ipairs { "a", "b", "c" } do
      table.insert(started, halo.spawn(function()
        for round = 1, 3 do
          table.insert(order, name .. round)
          halo.yield()
        end
      end))
    end
    for _, task in ipairs(started) do
      task:join()
    end
    assert.equal("a1 b1 c1 a2 b2 c2 a3 b3 c3", table.concat(order, " "))
  end)

  it("may spawn tens of thousands", function()
    local count, started = 0, {}
    for i = 1, rounds(20000) do
      started[i] = halo.spawn(function()
        halo.yield()
        count = count + 1
      end)
    end
    for _, task in ipairs(started) do
      task:join()
    end
    assert.equal(#started, count)
  end)
end)

describe("halo.sleep", function()
  it("wakes tasks in the order of their deadlines", function()
    local deadlines = {}
    halo.map({ 0.03, 0.01, 0.02, 0 }, function(seconds)
      local deadline = halo.now() + seconds
      halo.sleep(seconds)
      table.insert(deadlines, deadline)
    end)
    for i = 2, 4 do
      assert.is_true(deadlines[i - 1] < deadlines[i])
    end
  end)

  it("lasts as long as it should at least", function()
    local before = halo.now()
    halo.sleep(0.005)
    assert.is_true(halo.now() - before >= 0.005)
  end)

  it("lets the others run, for 0 seconds as well", function()
    local ran = false
    halo.spawn(function() ran = true end)
    halo.sleep(0)
    assert.is_true(ran)
  end)

  it("takes any time that is not negative", function()
    local endless = start(halo.sleep, math.huge)
    assert.equal("waiting", (endless:status()))
    endless:cancel()
    assert.misuse("bad argument #1 to 'sleep' (a time in seconds must not be negative)",
      function() halo.sleep(-0.1) end)
    assert.misuse("bad argument #1 to 'sleep' (a time in seconds must not be negative)",
      function() halo.sleep(0 / 0) end)
    assert.misuse("bad argument #1 to 'sleep' (number of seconds expected, got string)",
      function() halo.sleep("1") end)
  end)

  it("answers true, as every call that has nothing else to tell", function()
    assert.is_true(halo.sleep(0))
    assert.is_true(halo.yield())
  end)
end)

describe("task:join", function()
  it("returns all results, nils included", function()
    local task = halo.spawn(function() return nil, 2, nil, nil end)
    assert.same({ n = 4, nil, 2, nil, nil }, pack(task:join()))
    assert.same({ n = 0 }, pack(halo.spawn(function() end):join()))
  end)

  it("returns thousands of results", function()
    local many = {}
    for i = 1, 5000 do
      many[i] = i
    end
    assert.same(many, { halo.spawn(unpack, many):join() })
  end)

  it("answers again after the end, as often as it is asked", function()
    local task = halo.spawn(function() return "result", {} end)
    local _, first = task:join()
    local _, second = task:join()
    assert.equal(first, second)
  end)

  it("serves several joiners, each with all of the results", function()
    local value = {}
    local task = halo.spawn(function()
      halo.yield()
      return nil, value
    end)
    local joiners = {}
    for i = 1, 10 do
      joiners[i] = halo.spawn(function() return pack(task:join()) end)
    end
    for _, joiner in ipairs(joiners) do
      local results = joiner:join()
      assert.equal(2, results.n)
      assert.equal(value, results[2])
    end
  end)

  it("raises the error to each joiner", function()
    local failure = {}
    local task = halo.spawn(function()
      halo.yield()
      error(failure)
    end)
    local joiners = {}
    for i = 1, 10 do
      joiners[i] = halo.spawn(function() return select(2, pcall(task.join, task)) end)
    end
    for _, joiner in ipairs(joiners) do
      assert.equal(failure, joiner:join())
    end
  end)

  local errors = {
    ["a table"] = {},
    ["false"] = false,
    ["a number"] = 42,
    ["a string"] = "text",
    ["a function"] = print,
    ["a coroutine"] = coroutine.create(print),
    ["a userdata"] = io.stdout,
    ["an int64"] = 1LL,
    ["a table without a name"] = setmetatable({}, { __tostring = function() return {} end }),
  }

  local function assert_raises(value)
    local joined_before = halo.spawn(function()
      halo.yield()
      error(value, 0)
    end)
    local joined_after = start(error, value, 0)
    for _, task in ipairs { joined_before, joined_after } do
      local ok, err = pcall(task.join, task)
      assert.is_false(ok)
      assert.is_true(rawequal(value, err))
    end
  end

  for name, value in pairs(errors) do
    it("passes an error value unchanged: " .. name, function() assert_raises(value) end)
  end

  it("passes an error value unchanged: nil", function() assert_raises(nil) end)

  it("leaves the message's position as it was", function()
    local task = halo.spawn(function() error("broken") end)
    local _, message = pcall(task.join, task)
    assert.matches("task_spec.lua:%d+: broken$", message)
  end)

  it("has no hold on the task: a joiner that is cancelled leaves it alone", function()
    local task = start(function()
      halo.sleep(0.001)
      return "result"
    end)
    local first, second = start(task.join, task), start(task.join, task)
    first:cancel()
    assert.equal("result", second:join())
    assert.equal("cancelled", (first:status()))
  end)

  it("takes a task, and nothing else", function()
    local join = halo.current().join
    assert.misuse("bad argument #1 to 'join' (Task expected, got nil)", function() join() end)
    assert.misuse("bad argument #1 to 'join' (Task expected, got userdata)",
      function() join(io.stdout) end)
  end)
end)

describe("task:status", function()
  local dir = temp.dir()

  it("tells a life in words", function()
    local inside
    local task = halo.spawn(function()
      inside = { halo.current():status() }
      halo.sleep(0)
    end)
    assert.same({ "ready" }, { task:status() })
    halo.yield()
    assert.same({ "running" }, inside)
    assert.equal("waiting", (task:status()))
    task:join()
    assert.same({ "ended" }, { task:status() })
  end)

  it("tells how a task has ended", function()
    local failed = halo.spawn(error)
    local cancelled = start(halo.sleep, forever)
    cancelled:cancel()
    pcall(failed.join, failed)
    pcall(cancelled.join, cancelled)
    assert.same({ "failed" }, { failed:status() })
    assert.same({ "cancelled" }, { cancelled:status() })
  end)

  for _, kind in ipairs(waits) do
    it("tells what a task waits for, and since when: " .. kind.name, function()
      local wait, release = kind.prepare(dir)
      local before = halo.now()
      local task = start(wait)
      finally(function()
        task:cancel()
        release()
      end)
      local status, waits_for, since = task:status()
      assert.equal("waiting", status)
      assert.equal(kind.word, waits_for)
      assert.is_true(before <= since and since <= halo.now())
    end)
  end

  it("is part of the task's name", function()
    local task = halo.spawn(function() end)
    assert.matches("^task %d+ %(ready%)$", tostring(task))
    task:join()
    assert.matches("^task %d+ %(ended%)$", tostring(task))
  end)
end)

describe("halo.tasks", function()
  it("tells what each task waits for, since when, where, and where it was spawned", function()
    local line
    local before = halo.now()
    local function wait()
      line = here() halo.sleep(forever)
    end
    local task, spawn_line = halo.spawn(wait), here()
    halo.yield()
    local info = info_of(task)
    assert.equal("waiting", info.status)
    assert.equal("sleep", info.waits_for)
    assert.is_true(before <= info.since and info.since <= halo.now())
    assert.equal(line, info.at)
    assert.equal(spawn_line, info.spawned_at)
    assert.same({}, info.children)
    task:cancel()
  end)

  it("is a tree: each task has those below it that it has started", function()
    local inner
    local outer = start(function()
      inner = halo.spawn(halo.sleep, forever)
      halo.sleep(forever)
    end)
    local mine = info_of(halo.current())
    assert.equal("running", mine.status)
    assert.equal(outer, info_of(outer, mine.children).task)
    assert.equal(inner, info_of(outer).children[1].task)
    outer:cancel()
    pcall(outer.join, outer)
    assert.is_nil(info_of(outer))
    assert.truthy(info_of(inner)) -- it goes on without the one that started it
    inner:cancel()
  end)

  it("lists every task, whichever have ended before", function()
    -- In a process of its own, where the tasks of other specs have left no room.
    local stdout, stderr = command.run(command.halo("-e", [[
      local halo = require "halo"
      local function count(list)
        local n = #list
        for _, info in ipairs(list) do
          n = n + count(info.children)
        end
        return n
      end
      local live, state = {}, 1
      local function random(n) -- the same in each run
        state = state * 16807 % 2147483647
        return math.floor(state / 65536) % n + 1
      end
      for round = 1, 3000 do
        if #live == 0 or #live < 60 and random(2) == 1 then
          table.insert(live, halo.spawn(halo.sleep, 20))
        else
          local task = table.remove(live, random(#live))
          task:cancel()
          pcall(task.join, task)
        end
        local there, listed = halo.stats().tasks, count(halo.tasks())
        if there ~= listed then
          print(("round %d: %d of %d listed"):format(round, listed, there))
        end
      end
      for _, task in ipairs(live) do
        task:cancel()
      end
    ]]))
    assert.equal("", stderr)
    assert.equal("", stdout)
  end)

  it("tells where a task of a scope was spawned", function()
    halo.scope(function(scope)
      local task = scope:spawn(halo.sleep, 0) local line = here()
      assert.equal(line, info_of(task).spawned_at)
    end)
  end)

  it("names the right file though chunks come and go", function()
    for i = 1, rounds(200) do
      local name = ("chunk-%d.lua"):format(i)
      local spawn = loadstring("local task = (...)(function() end) return task", "@" .. name)
      local task = spawn(halo.spawn)
      assert.equal(name .. ":1", info_of(task).spawned_at)
      task:join()
      spawn = nil -- luacheck: ignore 311
      collectgarbage()
    end
  end)
end)
