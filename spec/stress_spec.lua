-- #slow: tasks that do at random what tasks can do, and what has to hold after it all the same.
--
--     HALO_STRESS=1000000 HALO_SEED=1 make test SPEC=spec/stress_spec.lua
--
-- says how many events there are and which (100,000 and by the clock without).

local bit = require "bit"
local halo = require "halo"
local fs = halo.fs
local survived = require "spec.support.survived"
local temp = require "spec.support.temp"

local LIVE_MAX = 60 -- tasks at once
local FILES, CHANNELS, PERMITS, LOCKS = 8, 4, 3, 2
local STREAM_BYTES = 16384 -- on their way at most, so that a write never waits
local FILE_BYTES = 4096
local TINY_S = 0.0005
local PATIENCE_S = 5

local events_wanted = tonumber(os.getenv("HALO_STRESS"))
  or os.getenv("HALO_GC") == "stress" and 2000 or 100000
local seed = tonumber(os.getenv("HALO_SEED")) or os.time() % 1000000

---A whole number from 1 to n; its own generator, since anybody may use math.random meanwhile.
local random_state
local function random(n)
  local x = random_state
  x = bit.bxor(x, bit.lshift(x, 13))
  x = bit.bxor(x, bit.rshift(x, 17))
  x = bit.bxor(x, bit.lshift(x, 5))
  random_state = x
  return bit.band(x, 0x7fffffff) % n + 1
end

---What the tasks share, and what is counted of them.
local world

---Raises what a function raised after its clean-up is done.
local function after(cleanup, ok, ...)
  cleanup()
  if not ok then
    error((...), 0)
  end
  return ...
end

-- The tasks ---------------------------------------------------------------------------------------

local act

---@class spec.Actor
---@field task halo.Task
---@field starts integer
---@field ends integer

---Starts a task that does some things, each an event.
local function spawn_actor(depth)
  local actor = { starts = 0, ends = 0 }
  actor.task = halo.spawn(function()
    actor.starts = actor.starts + 1
    local ok, err = pcall(function()
      for _ = 1, random(30) do
        act(depth)
      end
    end)
    actor.ends = actor.ends + 1
    if not ok then
      error(err, 0)
    end
  end)
  table.insert(world.actors, actor)
  return actor
end

local function any_task()
  local actor = world.actors[random(#world.actors)]
  return actor and actor.task
end

---Takes the tasks that have ended out of the list; each must have ended once.
local function reap()
  local living = {}
  for _, actor in ipairs(world.actors) do
    local status = actor.task:status()
    if status == "ended" or status == "failed" or status == "cancelled" then
      local never_started = status == "cancelled" and actor.starts == 0 and actor.ends == 0
      assert(never_started or actor.starts == 1 and actor.ends == 1,
        ("a task started %d times and ended %d times"):format(actor.starts, actor.ends))
      local ok, err = pcall(actor.task.join, actor.task)
      assert(ok == (status == "ended"), "a task's outcome is not its status")
      assert(ok or err == world.failure or halo.is_cancelled(err), err)
      world.ended = world.ended + 1
    else
      table.insert(living, actor)
    end
  end
  world.actors = living
end

-- What they do ------------------------------------------------------------------------------------

local actions = {}

local function action(weight, fn)
  for _ = 1, weight do
    table.insert(actions, fn)
  end
end

function act(depth)
  world.events = world.events + 1
  return actions[random(#actions)](depth + 1)
end

local function briefly(fn, ...)
  return halo.timeout(random(3) * TINY_S / 3, fn, ...)
end

action(8, function(depth)
  if #world.actors < LIVE_MAX then
    spawn_actor(depth)
  end
end)

action(4, function()
  local task = any_task()
  if task then
    task:cancel()
  end
end)

action(6, halo.yield)

action(3, function()
  halo.sleep(random(3) * TINY_S / 3)
end)

action(4, function()
  local task = any_task()
  if task and task ~= halo.current() then
    briefly(pcall, task.join, task)
  end
end)

action(6, function(depth)
  if depth < 4 then
    briefly(act, depth)
  end
end)

-- A generator, nested, that may be left before its end.
action(8, function(depth)
  local function generate(levels)
    for i = 1, 3 do
      coroutine.yield(i)
      if levels > 0 then
        for _ in coroutine.wrap(generate), levels - 1 do
          halo.yield()
        end
      elseif depth < 4 then
        act(depth)
      end
    end
  end
  local levels, rounds = random(3), random(4)
  for _ in coroutine.wrap(generate), levels do
    rounds = rounds - 1
    if rounds == 0 then
      break
    end
  end
end)

action(4, function(depth)
  if depth < 4 then
    pcall(act, depth)
  end
end)

action(1, function()
  error(world.failure)
end)

action(4, function(depth)
  if depth < 3 then
    pcall(halo.scope, function(scope)
      for _ = 1, random(4) do
        scope:spawn(act, depth)
      end
      act(depth)
    end)
  end
end)

action(3, function(depth)
  if depth < 3 then
    local results = halo.map({ 1, 2, 3, 4, 5 }, function(n)
      act(depth)
      return n
    end, random(5))
    assert(#results == 5, "map has lost a result")
  end
end)

action(2, function(depth)
  if depth < 3 then
    halo.race { function() act(depth) end, function() act(depth) end, halo.yield }
  end
end)

action(3, function(depth)
  if depth < 4 then
    halo.shield(act, depth)
  end
end)

action(6, function()
  briefly(world.semaphore.with, world.semaphore, halo.yield)
end)

-- A value that was sent is received once; one whose send was cancelled, never.
local function send(channel)
  local value = world.next_value
  world.next_value = value + 1
  channel:send(value)
  world.sent[value] = true
end

local function receive(value)
  if value then
    assert(not world.received[value], "a value was received twice")
    world.received[value] = true
  end
end

action(8, function()
  briefly(send, world.channels[random(CHANNELS)])
end)

action(8, function()
  briefly(function() receive(world.channels[random(CHANNELS)]:recv()) end)
end)

action(4, function()
  briefly(function()
    local one, other = world.channels[random(CHANNELS)], world.channels[random(CHANNELS)]
    receive(select(2, halo.select { one, other }))
  end)
end)

-- Files -------------------------------------------------------------------------------------------

action(10, function(depth)
  local file = assert(fs.open(world.paths[random(FILES)], "r+"))
  local ok, err = pcall(function()
    for _ = 1, random(4) do
      local length = random(FILE_BYTES / 4)
      local offset = random(FILE_BYTES - length) - 1
      if random(2) == 1 then
        -- A byte is the same in every file, so that whoever reads can say what is wrong.
        local data = world.content:sub(offset + 1, offset + length)
        assert(assert(file:pwrite(data, offset)) == length, "a write was short")
      else
        local data = assert(file:pread(length, offset))
        assert(data == world.content:sub(offset + 1, offset + length), "a read was wrong")
      end
    end
    if depth < 4 then
      act(depth)
    end
  end)
  pcall(file.close, file)
  if not ok then
    error(err, 0)
  end
end)

action(3, function()
  local buffer = halo.buffer(FILE_BYTES)
  local file = assert(fs.open(world.paths[random(FILES)]))
  after(function() pcall(file.close, file) end, pcall(file.pread_into, file, buffer, FILE_BYTES, 0))
end)

action(1, function()
  assert(fs.open(world.paths[random(FILES)])) -- and is left to the collector
end)

action(5, function()
  assert(fs.stat(world.paths[random(FILES)]).size == FILE_BYTES, "a file has another size")
end)

action(3, function()
  assert(not fs.open("/nope/" .. random(10)))
end)

action(4, function()
  briefly(world.fifo.read, world.fifo, random(100))
end)

action(4, function()
  briefly(world.fifo.write, world.fifo, ("x"):rep(random(100)))
end)

-- A byte that was written to a stream is read once, whoever is cancelled meanwhile.
local function count_bytes(counted, data)
  for i = 1, #data do
    counted.bytes = counted.bytes + 1
    counted.sum = counted.sum + data:byte(i)
  end
end

action(5, function()
  if world.written.bytes - world.read.bytes < STREAM_BYTES then
    local data = {}
    for i = 1, random(100) do
      data[i] = string.char(random(256) - 1)
    end
    data = table.concat(data)
    count_bytes(world.written, data)
    halo.shield(function() assert(world.stream:write(data) == #data, "a write was short") end)
  end
end)

local function read_stream()
  local data = world.stream:read(random(150))
  if data then
    count_bytes(world.read, data)
  end
end

local function read_stream_into()
  local buffer = halo.buffer(random(150))
  local count = world.stream:read_into(buffer)
  if count then
    count_bytes(world.read, buffer:string(0, count))
  end
end

action(5, function()
  briefly(random(2) == 1 and read_stream or read_stream_into)
end)

-- A lock has one holder, and whoever was cancelled is none.
action(4, function(depth)
  local path = world.locks[random(LOCKS)]
  local file = assert(fs.open(path, "r+"))
  after(function() pcall(file.close, file) end, pcall(briefly, function()
    if not file:lock("exclusive") then
      return
    end
    assert(not world.held[path], "two hold a lock")
    world.held[path] = true
    local ok, err = pcall(depth < 3 and act or halo.yield, depth)
    world.held[path] = nil
    file:unlock()
    if not ok then
      error(err, 0)
    end
  end))
end)

-- What a scope defers runs once, the last first, after the scope's last task.
action(3, function(depth)
  if depth >= 3 or not world.has_defer then
    return
  end
  local living, last = 0, math.huge
  pcall(halo.scope, function(scope)
    for i = 1, random(3) do
      scope:defer(function()
        world.deferred = world.deferred - 1
        assert(living == 0, "a deferred function runs beside a task of its scope")
        assert(i < last, "deferred functions run in a wrong order")
        last = i
        halo.yield()
      end)
      world.deferred = world.deferred + 1
    end
    for _ = 1, random(3) do
      scope:spawn(function()
        living = living + 1
        after(function() living = living - 1 end, pcall(act, depth))
      end)
    end
    act(depth)
  end)
end)

action(2, function()
  table.sort({ 3, 1, 2 }, function(a, b) return fs.stat("/") and a < b end)
end)

action(2, function()
  ("abc"):gsub(".", function() assert(fs.stat(world.paths[random(FILES)])) end)
end)

action(1, function()
  collectgarbage("step", 100)
  if random(50) == 1 then
    collectgarbage()
  end
end)

-- The whole ---------------------------------------------------------------------------------------

local function make_world(dir)
  local line = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-"
  world = {
    actors = {}, channels = {}, paths = {}, sent = {}, received = {},
    content = line:rep(FILE_BYTES / #line),
    semaphore = halo.semaphore(PERMITS),
    fifo = assert(fs.open(dir:fifo("fifo"), "r+")),
    failure = setmetatable({}, { __tostring = function() return "failure" end }),
    stream = assert(fs.open(dir:fifo("stream"), "r+")),
    written = { bytes = 0, sum = 0 }, read = { bytes = 0, sum = 0 },
    locks = {}, held = {}, deferred = 0,
    next_value = 1, events = 0, ended = 0,
  }
  for i = 1, LOCKS do
    world.locks[i] = dir:file("lock" .. i, "")
  end
  halo.scope(function(scope)
    world.has_defer = scope.defer ~= nil
  end)
  for i = 1, FILES do
    world.paths[i] = dir:file("file" .. i, world.content)
  end
  for i = 1, CHANNELS do
    world.channels[i] = halo.channel(i - 1)
  end
end

---Ends all that is still under way.
local function end_world()
  while #world.actors > 0 do
    for _, actor in ipairs(world.actors) do
      actor.task:cancel()
    end
    halo.sleep(0)
    reap()
  end
  for _, channel in ipairs(world.channels) do
    channel:close()
    for value in channel do
      receive(value)
    end
  end
  world.fifo:close()
  while world.read.bytes < world.written.bytes and halo.timeout(PATIENCE_S, function()
    read_stream()
    return true
  end) do end
  world.stream:close()
end

---Waits for a lock that nobody holds any more.
local function take_lock(path)
  local file = assert(fs.open(path, "r+"))
  local got = halo.timeout(PATIENCE_S, file.lock, file, "exclusive")
  file:close()
  return got
end

describe("any mixture of it all #slow", function()
  local dir = temp.dir()

  it("ends every task once and leaves nothing behind", function()
    print(("stress: %d events, HALO_SEED=%d"):format(events_wanted, seed))
    random_state = bit.tobit(seed * 2654435761 + 1)
    if random_state == 0 then
      random_state = 1
    end
    collectgarbage()
    local before = halo.stats()
    make_world(dir)
    while world.events < events_wanted do
      while #world.actors < LIVE_MAX / 2 do
        spawn_actor(0)
      end
      halo.sleep(random(2) * TINY_S / 2)
      reap()
    end
    end_world()

    local stats
    for _ = 1, 1000 do -- what was abandoned may take a moment
      collectgarbage()
      halo.sleep(0.001)
      stats = halo.stats()
      if stats.in_flight == 0 and stats.files_open <= before.files_open then
        break
      end
    end
    assert.equal(stats.submitted, stats.retired)
    assert.equal(0, stats.in_flight)
    assert.equal(0, stats.queued)
    assert.equal(0, stats.unknown)
    assert.equal(before.files_open, stats.files_open)
    assert.equal(before.timers, stats.timers)
    assert.equal(before.tasks, stats.tasks)
    survived.tell { name = "stress", kind = "a mixture of tasks, streams, locks and cancels",
      tried = events_wanted, unit = "events", lost = 0,
      command = "make test SPEC=spec/stress_spec.lua" }

    assert.is_true(world.ended > 0)
    assert.same(world.written, world.read, "what went into a stream and what came out of it")
    assert.same({}, world.held)
    for _, path in ipairs(world.locks) do
      assert(take_lock(path), "nobody holds a lock, and it cannot be had")
    end
    assert.equal(0, world.deferred)
    for _ = 1, PERMITS do
      assert.is_true(world.semaphore:try_acquire())
    end
    for value = 1, world.next_value - 1 do
      assert.equal(world.sent[value], world.received[value], "what was sent and what came")
    end
    for _, path in ipairs(world.paths) do
      assert.equal(world.content, dir:read(path:match("[^/]+$")))
    end
  end)
end)
