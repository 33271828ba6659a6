-- What goes wrong among tasks, and how it is told: failures and where they come from, tasks that
-- wait for each other, what is over already, and what was left open.

local command = require "spec.support.command"
local halo = require "halo"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local run, quote = command.run, command.quote
local forever, pack, start = tasks.forever, tasks.pack, tasks.start

---The code as script.lua in the directory, run there by halo with these options.
---@return string stdout
---@return string stderr
---@return integer status
local function run_script(dir, code, ...)
  dir:file("script.lua", code)
  local words = { ... }
  table.insert(words, "script.lua")
  return run(("cd %s && %s"):format(quote(dir.root), command.halo(unpack(words))))
end

---The report, with tasks' numbers left out.
local function without_ids(report)
  return (report:gsub("task %d+", "task #"))
end

describe("a task's failure that nobody joins", function()
  local dir = temp.dir()

  it("is told once, by the task's own lines and where it was spawned, with status 1", function()
    local stdout, stderr, status = run_script(dir, [[
local halo = require "halo"
local function inner()
  error "boom"
end
local function work()
  inner()
  return 1
end
local function begin()
  halo.spawn(work)
  return 1
end
begin()
halo.sleep(0)
print "the script goes on"
]])
    assert.equal([[
halo: task # failed: script.lua:3: boom
stack traceback:
	[C]: in function 'error'
	script.lua:3: in function 'inner'
	script.lua:6: in function <script.lua:5>
	spawned at script.lua:10
]], without_ids(stderr))
    assert.same({ "the script goes on\n", 1 }, { stdout, status })
  end)

  it("has its lines after waits as well, generators and halo's own calls left out", function()
    local _, stderr = run_script(dir, [[
local halo = require "halo"
local function items()
  halo.sleep(0)
  halo.fs.read(12)
end
halo.spawn(function()
  for item in coroutine.wrap(items) do print(item) end
end)
]])
    assert.matches("^halo: task # failed: [^\n]*script.lua:4: bad argument #1 to 'read' ",
      without_ids(stderr)) -- coroutine.wrap puts the place of its call in front
    assert.matches("\n\tscript.lua:7: in function <script.lua:6>\n\tspawned at script.lua:6\n$",
      stderr)
    for line in stderr:gmatch("\n\t([^\n]+)") do
      assert.matches("script%.lua:%d+", line)
    end
  end)

  it("is told in the order in which such failures happen, whatever was spawned first", function()
    local stdout, stderr, status = run_script(dir, [[
local halo = require "halo"
local turns = { halo.channel(), halo.channel(), halo.channel(), halo.channel() }
for i, turn in ipairs(turns) do
  halo.spawn(function()
    turn:recv()
    error("number " .. i)
  end)
end
for _, i in ipairs { 3, 1, 4, 2 } do
  turns[i]:send(true)
  halo.yield()
end
]])
    local order = {}
    for number in stderr:gmatch("failed: script.lua:6: number (%d)\n") do
      table.insert(order, number)
    end
    assert.equal("3 1 4 2", table.concat(order, " "))
    assert.same({ "", 1 }, { stdout, status })
  end)

  it("is told in that order after a thousand of them", function()
    local _, stderr, status = run_script(dir, [[
local halo = require "halo"
for i = 1, 1000 do
  halo.spawn(function() error("number " .. i .. ".", 0) end)
end
]])
    local count = 0
    for number in stderr:gmatch("failed: number (%d+)%.\n") do
      count = count + 1
      assert.equal(count, tonumber(number))
    end
    assert.same({ 1000, 1 }, { count, status })
  end)

  it("is told although nothing refers to the task any more", function()
    local _, stderr, status = run_script(dir, [[
local halo = require "halo"
halo.spawn(error, "boom", 0)
halo.yield()
collectgarbage()
collectgarbage()
]])
    assert.matches("^halo: task # failed: boom\n", without_ids(stderr))
    assert.equal(1, select(2, stderr:gsub("boom", "")))
    assert.equal(1, status)
  end)

  it("is not told where it is joined later, however much later", function()
    assert.same({ "false\tboom\nfalse\tboom\n", "", 0 }, { run_script(dir, [[
local halo = require "halo"
local task = halo.spawn(error, "boom", 0)
halo.sleep(0.005)
collectgarbage()
halo.spawn(function()
  halo.sleep(0.005)
  print(pcall(task.join, task))
  print(pcall(task.join, task))
end)
]]) })
  end)

  it("is not told where a scope, a map, a race or a timeout has raised it", function()
    assert.same({ ("false\tboom\n"):rep(5), "", 0 }, { run_script(dir, [[
local halo = require "halo"
local function fail() halo.yield() error("boom", 0) end
print(pcall(halo.scope, function(scope) scope:spawn(fail) halo.sleep(20) end))
print(pcall(halo.map, { 1 }, fail))
print(pcall(halo.all, { fail }))
print(pcall(halo.race, { fail, function() halo.sleep(20) end }))
print(pcall(halo.timeout, 20, fail))
]]) })
  end)

  it("is none where the task was cancelled", function()
    assert.same({ "cancelled\n", "", 0 }, { run_script(dir, [[
local halo = require "halo"
local task = halo.spawn(halo.sleep, 20)
halo.yield()
task:cancel()
halo.yield()
print((task:status()))
]]) })
  end)
end)

describe("a failure that a join raises", function()
  local dir = temp.dir()

  it("tells the joiner's lines, and below them the task's own as the cause", function()
    local stdout, stderr, status = run_script(dir, [[
local halo = require "halo"
local function fail()
  error "boom"
end
local function wait(task)
  task:join()
  return 1
end
wait(halo.spawn(fail))
]])
    assert.equal([[
halo: script.lua:3: boom
stack traceback:
	script.lua:6: in function 'wait'
	script.lua:9: in main chunk
because halo: task # failed: script.lua:3: boom
stack traceback:
	[C]: in function 'error'
	script.lua:3: in function <script.lua:2>
	spawned at script.lua:9
]], without_ids(stderr))
    assert.same({ "", 1 }, { stdout, status })
  end)

  it("tells each task of a chain once, from the last joiner to the origin", function()
    local _, stderr, status = run_script(dir, [[
local halo = require "halo"
local origin = halo.spawn(function() error "boom" end)
local middle = halo.spawn(function() origin:join() return 1 end)
local last = halo.spawn(function() middle:join() return 1 end)
last:join()
]])
    assert.equal(1, status)
    local places = {}
    for place in stderr:gmatch("spawned at script.lua:(%d)\n") do
      table.insert(places, place)
    end
    assert.equal("4 3 2", table.concat(places, " "))
    local _, causes = stderr:gsub("\nbecause ", "")
    assert.equal(3, causes)
    assert.matches("^halo: script.lua:2: boom\nstack traceback:\n\tscript.lua:5: in main chunk\n",
      stderr)
  end)

  it("has the cause of a scope's, a map's and a timeout's failure", function()
    for _, call in ipairs {
      "halo.scope(function(scope) scope:spawn(fail) end)",
      "halo.map({ 1 }, fail)",
      "halo.timeout(20, fail)",
    } do
      local _, stderr, status = run_script(dir, "local halo = require 'halo'\n"
        .. "local function fail() halo.yield() error 'boom' end\n" .. call)
      assert.matches("^halo: script.lua:2: boom\n", stderr)
      assert.matches("\n\tscript.lua:3: in main chunk\n", stderr)
      assert.matches("\nbecause .*\n\tscript.lua:2: in function [^\n]+\n", stderr)
      assert.equal(1, status)
    end
  end)
end)

describe("an error value of any type passes unchanged", function()
  local values = {
    ["a string"] = "text",
    ["an empty string"] = "",
    ["a number"] = 42,
    ["false"] = false,
    ["a table"] = {},
    ["an object"] = setmetatable({}, { __tostring = function() error "not to be called" end }),
    ["a function"] = function() end,
    ["a coroutine"] = coroutine.create(function() end),
    ["a userdata"] = newproxy(true),
    ["a cdata"] = 12ULL,
    ["a task"] = halo.current() or {},
    ["nil"] = nil,
  }
  local names = { "nil" }
  for name in pairs(values) do
    table.insert(names, name)
  end
  table.sort(names)

  -- Each calls fn, which fails after a wait, and lets the failure through.
  local ways = {
    { "join", function(fn) halo.spawn(fn):join() end },
    { "a join after its end", function(fn) start(fn):join() end },
    { "scope", function(fn) halo.scope(fn) end },
    { "scope:spawn", function(fn)
      halo.scope(function(scope)
        scope:spawn(fn)
        halo.sleep(forever)
      end)
    end },
    { "map", function(fn) halo.map({ 1, 2, 3 }, fn) end },
    { "map over an iterator", function(fn) halo.map(fn, print) end },
    { "all", function(fn) halo.all { fn } end },
    { "race", function(fn) halo.race { function() halo.sleep(forever) end, fn } end },
    { "timeout", function(fn) halo.timeout(forever, fn) end },
    { "shield", function(fn) halo.shield(fn) end },
    { "semaphore:with", function(fn)
      local semaphore = halo.semaphore(1)
      local ok, err = pcall(semaphore.with, semaphore, fn)
      assert.is_false(ok)
      assert.is_true(semaphore:try_acquire())
      error(err, 0)
    end },
    { "run", function(fn) halo.run(fn) end },
    { "all of them", function(fn)
      halo.timeout(forever, halo.scope, function()
        halo.map({ 1 }, function() halo.shield(function() halo.race { fn } end) end)
      end)
    end },
  }

  for _, way in ipairs(ways) do
    it("through " .. way[1], function()
      for _, name in ipairs(names) do
        local value = values[name]
        local results = pack(pcall(way[2], function()
          halo.yield()
          error(value, 0)
        end))
        assert.equal(2, results.n, name)
        assert.is_false(results[1], name)
        assert.is_true(rawequal(value, results[2]), name .. " has become " .. type(results[2]))
      end
    end)
  end
end)

describe("a wait that would never end", function()
  local dir = temp.dir()

  it("is an error where a task joins itself", function()
    assert.misuse("a task cannot join itself", function() halo.current():join() end)
  end)

  it("is an error where two tasks join each other, in the one that comes second", function()
    local first, second, said
    first = halo.spawn(function() return second:join() end)
    second = halo.spawn(function()
      local _, message = pcall(function() first:join() end)
      said = message
      return "second's"
    end)
    assert.equal("second's", first:join())
    second:join()
    assert.matches("^spec/error_spec.lua:%d+: [^\n]*cycle", said)
  end)

  it("is an error where a long row of tasks closes to a cycle", function()
    local row, close, said = {}, halo.channel(), nil
    row[1] = start(function()
      local last = close:recv()
      local _, message = pcall(last.join, last)
      said = message
      return "the first one's"
    end)
    for i = 2, tasks.rounds(200) do
      row[i] = start(row[i - 1].join, row[i - 1])
    end
    close:send(row[#row])
    assert.equal("the first one's", row[#row]:join())
    assert.matches("cycle", said)
  end)

  it("raises in a joiner of a cycle's member what its breaking raised there", function()
    local first, second
    first = halo.spawn(function() second:join() end)
    second = halo.spawn(function() first:join() end)
    local ok, message = pcall(first.join, first)
    assert.is_false(ok)
    assert.matches("cycle", message)
    assert.is_false(pcall(second.join, second))
  end)

  it("is none where many join one that itself joins another", function()
    local last = start(halo.sleep, 0)
    local middle = start(last.join, last)
    local joiners = { start(middle.join, middle), start(last.join, last) }
    assert.same({ true, true }, { joiners[1]:join(), joiners[2]:join() })
  end)

  it("of all tasks is a deadlock: each is told with its line, and the status is 1", function()
    local stdout, stderr, status = run_script(dir, [[
local halo = require "halo"
local channel, semaphore = halo.channel(), halo.semaphore(1)
semaphore:acquire()
local function receive()
  return (channel:recv())
end
halo.spawn(receive)
local other = halo.spawn(function()
  local _ = semaphore:acquire()
end)
halo.spawn(function()
  halo.select { channel,
    halo.channel() }
end)
other:join()
print "must not come here"
]])
    assert.same({ "", 1 }, { stdout, status })
    assert.matches("^halo: [^\n]*deadlock", stderr)
    local told = {}
    for number, line in stderr:gmatch("task (%d+) waits [^\n]- at script.lua:(%d+)\n") do
      told[tonumber(number)] = tonumber(line)
    end
    assert.same({ 5, 9, 12, 15 }, { told[2], told[3], told[4], told[1] })
  end)

  it("is a deadlock in a user's generator too", function()
    local _, stderr, status = run_script(dir, [[
local halo = require "halo"
for item in coroutine.wrap(function()
  coroutine.yield(halo.channel():recv())
end) do print(item) end
]])
    assert.matches("^halo: [^\n]*deadlock", stderr)
    assert.matches("task 1 waits [^\n]-script%.lua:[23]\n", stderr)
    assert.equal(1, status)
  end)

  it("can be caught by the one that raises it, where the others go on", function()
    local stdout, _, status = run_script(dir, [[
local halo = require "halo"
local channel = halo.channel()
halo.spawn(function() print((channel:recv())) end)
print((pcall(channel.recv, channel)))
channel:send "sent"
]])
    assert.is_number(status)
    assert.matches("^false\n", stdout)
  end)

  it("is none as long as a timer or an operation can wake a task", function()
    assert.same({ "woken\n", "", 0 }, { run_script(dir, [[
local halo = require "halo"
local channel = halo.channel()
halo.spawn(function() halo.sleep(0.01) channel:send "woken" end)
print((channel:recv()))
]]) })
  end)
end)

describe("what has ended", function()
  it("cannot be cancelled: the task says so, however it has ended", function()
    local cancelled = start(halo.sleep, forever)
    cancelled:cancel()
    halo.yield()
    local failed = start(error, "failed", 0)
    pcall(failed.join, failed)
    for _, task in ipairs { start(function() end), failed, cancelled } do
      for _ = 1, 2 do
        local results = pack(task:cancel())
        assert.equal(3, results.n)
        assert.is_nil(results[1])
        assert.matches("^ESRCH: .", results[2])
        assert.equal("ESRCH", results[3])
      end
    end
  end)

  it("starts no task any more: a scope that is used after its end", function()
    local kept
    halo.scope(function(scope) kept = scope end)
    local ran = false
    local function work() ran = true end
    assert.misuse("this scope has ended: its tasks are over", function() kept:spawn(work) end)
    halo.yield()
    assert.is_false(ran)
  end)

  it("starts no task any more: a scope that has failed", function()
    local kept
    pcall(halo.scope, function(scope)
      kept = scope
      error "failed"
    end)
    assert.misuse("this scope has ended: its tasks are over", function() kept:spawn(print) end)
  end)
end)

describe("a file that is never closed", function()
  local dir = temp.dir()

  ---A script that closes one of its three files.
  local function make_script()
    return ([[
halo, fs = require "halo", require "halo.fs"
local root = %q
kept = { assert(fs.open(root .. "/kept", "w")), assert(fs.open(root .. "/also kept", "w")) }
assert(fs.open(root .. "/closed", "w")):close()
]]):format(dir.root)
  end

  ---The lines about such files, sorted.
  local function told(stderr)
    local lines = {}
    for line in stderr:gmatch("[^\n]+") do
      table.insert(lines, line)
    end
    table.sort(lines)
    return lines
  end

  it("is told at the exit with -v, by its path", function()
    local _, stderr, status = run_script(dir, make_script(), "-v")
    local said = "halo: never closed: "
    assert.same({ said .. dir:path("also kept"), said .. dir:path("kept") }, told(stderr))
    assert.equal(0, status)
  end)

  it("is not told without -v", function()
    assert.same({ "", "", 0 }, { run_script(dir, make_script()) })
  end)

  it("is told beside a failure, whose status stays", function()
    local code = make_script() .. "halo.spawn(error, 'boom', 0)"
    local _, stderr, status = run_script(dir, code, "-v")
    assert.matches("halo: task %d+ failed: boom\n", stderr)
    assert.matches("halo: never closed: " .. dir:path("kept") .. "\n", stderr, 1, true)
    assert.equal(1, status)
  end)
end)
