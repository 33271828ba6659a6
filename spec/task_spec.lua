local halo = require "halo"
local fs = halo.fs
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local FOREVER_S = 3600

---Starts a task and lets it run up to its first wait.
local function start(fn, ...)
  local task = halo.spawn(fn, ...)
  halo.yield()
  return task
end

---Runs a function in a task that was cancelled before, and returns what it returns.
local function run_cancelled(fn)
  local task = start(function()
    pcall(halo.sleep, FOREVER_S)
    return fn()
  end)
  task:cancel()
  return task:join()
end

local function pack(...)
  return { n = select("#", ...), ... }
end

---The line of its caller, as halo writes it.
local function here()
  local info = debug.getinfo(2, "Sl")
  return ("%s:%d"):format(info.short_src, info.currentline)
end

local function info_of(task, list)
  for _, info in ipairs(list or halo.tasks()) do
    local found = info.task == task and info or info_of(task, info.children)
    if found then
      return found
    end
  end
end

-- Every kind of call that waits: the word that status() has for it, and a function that prepares
-- one. That returns the call, and what ends the wait for the sake of the other tests, if anything.
local kinds = {
  { "sleep", function()
    return function() halo.sleep(FOREVER_S) end
  end },
  { "read", function(dir)
    local fifo = assert(fs.open(dir:fifo("fifo"), "r+"))
    return function() fifo:read(10) end, function() fifo:close() end
  end },
  { "join", function()
    local other = start(halo.sleep, FOREVER_S)
    return function() other:join() end, function() other:cancel() end
  end },
  { "channel", function()
    local channel = halo.channel()
    return function() channel:recv() end
  end, "receiving" },
  { "channel", function()
    local channel = halo.channel()
    return function() channel:send(1) end
  end, "sending" },
  { "select", function()
    local one, other = halo.channel(), halo.channel()
    return function() halo.select { one, { other, 1 } } end
  end },
  { "semaphore", function()
    local semaphore = halo.semaphore(1)
    semaphore:acquire()
    return function() semaphore:acquire() end
  end },
  { "tasks", function()
    return function() halo.scope(function() halo.sleep(FOREVER_S) end) end
  end, "scope" },
  { "tasks", function()
    return function() halo.timeout(FOREVER_S, halo.sleep, FOREVER_S) end
  end, "timeout" },
}

local function name_of(kind)
  return kind[3] and ("%s (%s)"):format(kind[1], kind[3]) or kind[1]
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
    local order = {}
    local tasks = {}
    for _, name in ipairs { "a", "b", "c" } do
      table.insert(tasks, halo.spawn(function()
        for round = 1, 3 do
          table.insert(order, name .. round)
          halo.yield()
        end
      end))
    end
    for _, task in ipairs(tasks) do
      task:join()
    end
    assert.equal("a1 b1 c1 a2 b2 c2 a3 b3 c3", table.concat(order, " "))
  end)

  it("may spawn tens of thousands", function()
    local count = 0
    local tasks = {}
    for i = 1, os.getenv("HALO_GC") and 100 or 20000 do
      tasks[i] = halo.spawn(function()
        halo.yield()
        count = count + 1
      end)
    end
    for _, task in ipairs(tasks) do
      task:join()
    end
    assert.equal(#tasks, count)
  end)
end)

describe("halo.sleep", function()
  it("wakes tasks in the order of their deadlines", function()
    local order = {}
    halo.map({ 0.03, 0.01, 0.02, 0 }, function(seconds)
      halo.sleep(seconds)
      table.insert(order, seconds)
    end)
    assert.same({ 0, 0.01, 0.02, 0.03 }, order)
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
    local forever = start(halo.sleep, math.huge)
    assert.equal("waiting", (forever:status()))
    forever:cancel()
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

describe("task:cancel", function()
  local dir = temp.dir()

  local function closes(file)
    return function()
      pcall(file.close, file)
      return file:is_open()
    end
  end

  for _, kind in ipairs(kinds) do
    it("ends the wait at once: " .. name_of(kind), function()
      local wait, release = kind[2](dir)
      local task = start(wait)
      assert.is_true(task:cancel())
      local ok, err = pcall(task.join, task)
      assert.is_false(ok)
      assert.is_true(halo.is_cancelled(err))
      assert.equal("cancelled", (task:status()))
      if release then
        release()
      end
    end)

    it("makes each later wait raise, until the task has ended: " .. name_of(kind), function()
      local wait, release = kind[2](dir)
      local outcomes = run_cancelled(function()
        return { { pcall(wait) }, { pcall(wait) }, { pcall(halo.yield) } }
      end)
      for _, outcome in ipairs(outcomes) do
        assert.is_false(outcome[1])
        assert.is_true(halo.is_cancelled(outcome[2]))
      end
      if release then
        release()
      end
    end)
  end

  it("reaches operations that would not wait for long", function()
    local path = dir:file("file", "content")
    local ok, err = run_cancelled(function() return pcall(fs.stat, path) end)
    assert.is_false(ok)
    assert.is_true(halo.is_cancelled(err))
  end)

  it("reaches a wait inside of a generator", function()
    local task = start(function()
      for _ in coroutine.wrap(function() halo.sleep(FOREVER_S) end) do
        error "not reached"
      end
    end)
    task:cancel()
    assert.is_true(halo.is_cancelled(select(2, pcall(task.join, task))))
  end)

  it("ends a task that has not started without a line of it run", function()
    local ran = false
    local task = halo.spawn(function() ran = true end)
    task:cancel()
    assert.is_true(halo.is_cancelled(select(2, pcall(task.join, task))))
    assert.equal("cancelled", (task:status()))
    assert.is_false(ran)
  end)

  it("leaves code alone that does not wait", function()
    local task = start(function()
      pcall(halo.sleep, FOREVER_S)
      return "result"
    end)
    task:cancel()
    assert.equal("result", task:join())
    assert.equal("ended", (task:status()))
  end)

  it("lets a task go on that has what it waited for, up to its next wait", function()
    local channel = halo.channel()
    local received
    local task = start(function()
      received = channel:recv()
      halo.yield()
    end)
    channel:send("value") -- the task is ready now
    task:cancel()
    assert.is_true(halo.is_cancelled(select(2, pcall(task.join, task))))
    assert.equal("value", received)
  end)

  it("may be called by the task itself", function()
    local after_cancel = false
    local task = halo.spawn(function()
      halo.current():cancel()
      after_cancel = true
      halo.yield()
    end)
    assert.is_true(halo.is_cancelled(select(2, pcall(task.join, task))))
    assert.is_true(after_cancel)
  end)

  it("may be called twice", function()
    local task = start(halo.sleep, FOREVER_S)
    assert.is_true(task:cancel())
    assert.is_true(task:cancel())
    assert.is_false(pcall(task.join, task))
  end)

  it("is refused by a task that has ended, however it has", function()
    local ended, failed = halo.spawn(function() end), halo.spawn(error)
    local cancelled = start(halo.sleep, FOREVER_S)
    cancelled:cancel()
    for _, task in ipairs { ended, failed, cancelled } do
      pcall(task.join, task)
      local id = tostring(task):match("%d+")
      assert.refused(("ESRCH: task %d has ended already"):format(id), task:cancel())
    end
  end)

  it("gives way to an error of the clean-up", function()
    local task = start(function()
      pcall(halo.sleep, FOREVER_S)
      error "clean-up failed"
    end)
    task:cancel()
    assert.matches("clean%-up failed$", select(2, pcall(task.join, task)))
    assert.equal("failed", (task:status()))
  end)

  it("does not keep a task from closing its file", function()
    local file = assert(fs.open(dir:file("file"), "r+"))
    local fd = file:fd()
    assert.is_false(run_cancelled(closes(file)))
    while halo.stats().in_flight > 0 do
      halo.sleep(0.001)
    end
    assert.is_false(posix.is_open(fd))
  end)

  it("takes nothing out of a pipe whose reader it ends", function()
    local path = dir:fifo("fifo")
    local fifo = assert(fs.open(path, "r+"))
    local reader = start(fifo.read, fifo, 100)
    reader:cancel()
    assert.equal(5, fifo:write("bytes"))
    assert.equal("bytes", fifo:read(100))
    fifo:close()
  end)

  it("closes the file that an open under way still brings", function()
    local path = dir:file("file")
    local before = halo.stats().files_open
    for _ = 1, 20 do
      halo.spawn(function()
        local opener = start(fs.open, path)
        opener:cancel()
      end)
    end
    halo.yield()
    while halo.stats().files_open > before do
      collectgarbage()
      halo.sleep(0.001)
    end
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
    local cancelled = start(halo.sleep, FOREVER_S)
    cancelled:cancel()
    pcall(failed.join, failed)
    pcall(cancelled.join, cancelled)
    assert.same({ "failed" }, { failed:status() })
    assert.same({ "cancelled" }, { cancelled:status() })
  end)

  for _, kind in ipairs(kinds) do
    it("tells what a task waits for, and since when: " .. name_of(kind), function()
      local wait, release = kind[2](dir)
      local before = halo.now()
      local task = start(wait)
      local status, waits_for, since = task:status()
      assert.equal("waiting", status)
      assert.equal(kind[1], waits_for)
      assert.is_true(before <= since and since <= halo.now())
      task:cancel()
      pcall(task.join, task)
      if release then
        release()
      end
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
    local line, spawn_line
    local before = halo.now()
    local task = halo.spawn(function()
      line = here() halo.sleep(FOREVER_S)
    end) spawn_line = here()
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
      inner = halo.spawn(halo.sleep, FOREVER_S)
      halo.sleep(FOREVER_S)
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

  it("tells where a task of a scope was spawned", function()
    halo.scope(function(scope)
      local task = scope:spawn(halo.sleep, 0) local line = here()
      assert.equal(line, info_of(task).spawned_at)
    end)
  end)

  it("names the right file though chunks come and go", function()
    for i = 1, os.getenv("HALO_GC") and 20 or 200 do
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
