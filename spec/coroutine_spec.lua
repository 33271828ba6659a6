-- Calls of halo work wherever they stand: in generators, in metamethods, and in callbacks from C.
-- What coroutines do otherwise is compared with plain LuaJIT in coroutine_stock_spec.lua.

local halo = require "halo"
local fs = halo.fs
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
local waits = require "spec.support.waits"
require "spec.support.assertions"

local ends_cancelled = tasks.ends_cancelled
local forever, pack, rounds, start = tasks.forever, tasks.pack, tasks.rounds, tasks.start

---Runs a function so many generators deep, and returns what it returns.
local function at_depth(depth, fn, ...)
  if depth == 0 then
    return fn(...)
  end
  return coroutine.wrap(at_depth)(depth - 1, fn, ...)
end

---Whether the coroutine cannot be resumed now, and says so.
local function refuses(co)
  local ok, message = coroutine.resume(co, "intruder")
  return ok == false and message:find("^cannot resume [%a-]+ coroutine$") ~= nil
end

describe("a call in a generator", function()
  local dir = temp.dir()

  it("returns what it returns elsewhere, at any depth", function()
    local path = dir:file("file", "content")
    for depth = 1, 100, 11 do
      assert.equal(7, at_depth(depth, fs.stat, path).size)
      assert.same({ n = 3, nil, "ENOENT: no such file or directory: /nope", "ENOENT" },
        pack(at_depth(depth, fs.stat, "/nope")))
      assert.equal("joined", at_depth(depth, function()
        return halo.spawn(function()
          halo.yield()
          return "joined"
        end):join()
      end))
    end
  end)

  it("lets the other tasks run", function()
    local others = 0
    for _ = 1, 3 do
      halo.spawn(function()
        others = others + 1
        halo.yield()
        others = others + 1
      end)
    end
    at_depth(5, halo.yield)
    assert.equal(3, others)
    at_depth(5, halo.sleep, 0)
    assert.equal(6, others)
  end)

  it("is not seen by the generator's caller, who gets what the generator yields", function()
    local path = dir:file("file", "1\n22\n333\n")
    local function lines()
      local file = assert(fs.open(path))
      local rest = ""
      local data = file:read(2)
      while data do
        rest = rest .. data
        for line in rest:gmatch("([^\n]*)\n") do
          coroutine.yield(line)
        end
        rest = rest:match("[^\n]*$")
        data = file:read(2)
      end
      file:close()
    end
    local seen = {}
    for line in coroutine.wrap(lines) do
      table.insert(seen, line)
    end
    assert.same({ "1", "22", "333" }, seen)
  end)

  it("raises in the generator where it fails", function()
    local function misuse()
      halo.yield()
      halo.sleep(-1)
    end
    local co = coroutine.create(misuse)
    local ok, message = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("^spec/coroutine_spec.lua:%d+: bad argument #1 to 'sleep'",
      (message:gsub("^%./", "")))
    assert.equal("dead", coroutine.status(co))
  end)

  it("is reached by a cancellation, which unwinds the generators", function()
    local unwound = 0
    local function nested(depth)
      local ok, err
      if depth == 0 then
        ok, err = pcall(halo.sleep, forever)
      else
        ok, err = pcall(coroutine.wrap(nested), depth - 1)
      end
      unwound = unwound + 1
      assert.is_false(ok)
      error(err, 0)
    end
    local task = start(nested, 10)
    task:cancel()
    assert.is_true(ends_cancelled(task))
    assert.equal(11, unwound)
  end)

  it("may be 50,000 levels deep, and a recursion without an end is told", function()
    local function nested(depth)
      if depth == 0 then
        halo.yield()
        return 0
      end
      return 1 + coroutine.wrap(nested)(depth - 1)
    end
    local depth = os.getenv("HALO_GC") == "stress" and 100 or 50000
    assert.equal(depth, nested(depth))
    if depth == 50000 then
      local ok, message = pcall(nested, math.huge)
      assert.is_false(ok)
      assert.matches("too many coroutines one in another$", message)
    end
  end)

  it("may be part of a generator that many tasks take from", function()
    local numbers = coroutine.wrap(function()
      for i = 1, rounds(100) do
        coroutine.yield(i)
      end
    end)
    local taken = {}
    halo.map({ 1, 2, 3 }, function()
      for number in numbers do
        table.insert(taken, number)
        halo.yield()
        if number > rounds(100) - 3 then
          return
        end
      end
    end)
    assert.equal(rounds(100), #taken)
  end)

  it("may be in a generator that is dropped", function()
    local kept = setmetatable({}, { __mode = "v" })
    for i = 1, 10 do
      local co = coroutine.create(function()
        halo.yield()
        coroutine.yield()
        halo.yield()
      end)
      assert(coroutine.resume(co))
      kept[i] = co
    end
    halo.sleep(0)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(kept))
  end)

  it("keeps its generator from being resumed by others meanwhile", function()
    local channel = halo.channel()
    local co = coroutine.create(function()
      local received = channel:recv()
      return "received", received
    end)
    local waiting = start(coroutine.resume, co)
    assert.equal("normal", coroutine.status(co))
    assert.is_true(refuses(co))
    assert.is_true(at_depth(3, refuses, co))
    channel:send("value")
    assert.same({ true, "received", "value" }, { waiting:join() })
    assert.is_true(refuses(co))
  end)
end)

describe("a call in between", function()
  local dir = temp.dir()

  it("waits in pcall and xpcall, whose error is the call's", function()
    local ok, size = pcall(function() return fs.stat(dir:file("file", "content")).size end)
    assert.same({ true, 7 }, { ok, size })
    local failure = {}
    local function fail()
      halo.yield()
      error(failure)
    end
    assert.same({ false, failure }, { pcall(fail) })
    assert.same({ false, "handled" }, { xpcall(fail, function(err)
      return err == failure and fs.stat("/").is_dir and "handled"
    end) })
  end)

  it("waits in every metamethod", function()
    local log = {}
    local meta = {}
    for _, event in ipairs {
      "add", "sub", "mul", "div", "mod", "pow", "unm", "concat", "index", "eq", "lt", "le", "call",
      "newindex",
    } do
      meta["__" .. event] = function()
        halo.yield()
        table.insert(log, event)
        return fs.stat("/").is_dir
      end
    end
    function meta.__tostring()
      halo.yield()
      return "name"
    end
    local a, b = setmetatable({}, meta), setmetatable({}, meta)
    local results = {
      a + b, a - b, a * b, a / b, a % b, a ^ b, -a, a .. b, a.field, a == b, a < b, a <= b, a(),
    }
    a.field = 1
    assert.equal("name", tostring(a))
    assert.equal("add sub mul div mod pow unm concat index eq lt le call newindex",
      table.concat(log, " "))
    assert.equal(13, #results)
    for _, result in ipairs(results) do
      assert.is_true(result)
    end
  end)

  it("waits in an iterator", function()
    local file = assert(fs.open(dir:file("file", "abc")))
    local seen = {}
    for letter in function()
      local data = file:read(1)
      return data ~= "" and data or nil
    end do
      table.insert(seen, letter)
    end
    file:close()
    assert.same({ "a", "b", "c" }, seen)
  end)

  local callbacks = {
    ["table.sort"] = function(call)
      local list = { 3, 1, 2 }
      table.sort(list, function(a, b)
        call()
        return a < b
      end)
      return table.concat(list)
    end,
    ["string.gsub"] = function(call)
      return (("321"):gsub(".", function(digit)
        call()
        return 4 - digit
      end))
    end,
    ["a reader of load"] = function(call)
      local pieces = { "return ", "'123'" }
      return load(function()
        call()
        return table.remove(pieces, 1)
      end)()
    end,
    ["table.foreach"] = function(call)
      local seen = ""
      table.foreach({ 1, 2, 3 }, function(_, value)
        call()
        seen = seen .. value
      end)
      return seen
    end,
    ["a finalizer"] = function(call)
      local seen = ""
      for i = 1, 3 do
        local proxy = newproxy(true)
        getmetatable(proxy).__gc = function()
          call()
          seen = seen .. i
        end
      end
      collectgarbage()
      collectgarbage()
      return #seen == 3 and "123"
    end,
    ["a handler of xpcall"] = function(call)
      return select(2, xpcall(error, function()
        call()
        return "123"
      end))
    end,
    ["a hook"] = function(call)
      debug.sethook(function()
        debug.sethook()
        call()
      end, "", 1)
      local text = "12"
      return text .. "3"
    end,
  }

  for name, run in pairs(callbacks) do
    it("waits on the spot in " .. name, function()
      local path = dir:file("file", "content")
      assert.equal("123", run(function()
        assert.equal(7, fs.stat(path).size)
        halo.yield()
        halo.sleep(0)
      end))
    end)

    it("keeps nothing from the other tasks in " .. name, function()
      local path = dir:file("file", "content")
      local ended = 0
      local others = halo.spawn(halo.map, { 1, 2, 3, 4, 5, 6, 7, 8 }, function()
        for _ = 1, 3 do
          assert(fs.stat(path))
          halo.sleep(0)
        end
        ended = ended + 1
      end)
      halo.yield() -- they have operations in flight now
      run(function() assert(fs.stat(path)) end)
      others:join()
      assert.equal(8, ended)
    end)

  end

  for _, name in ipairs { "table.sort", "string.gsub", "a reader of load" } do
    it("waits on the spot in a generator in " .. name, function()
      local path = dir:file("file", "content")
      assert.equal("123", callbacks[name](function()
        local size = coroutine.wrap(function() coroutine.yield(fs.stat(path).size) end)
        assert.equal(7, size())
      end))
    end)
  end

  it("waits in a generator that was resumed in a callback before, and the other way", function()
    local function steps()
      for i = 1, 4 do
        assert(fs.stat("/"))
        halo.yield()
        coroutine.yield(i)
      end
    end
    local step, seen = coroutine.wrap(steps), {}
    local function note() table.insert(seen, step()) end
    local function note_in_callback() ("x"):gsub("x", note) end
    note_in_callback()
    note()
    note_in_callback()
    note()
    assert.same({ 1, 2, 3, 4 }, seen)
  end)
end)

describe("a task's own coroutine", function()
  local dir = temp.dir()

  ---The coroutine of a task that does this, and the task.
  local function coroutine_of(fn)
    local co
    local task = start(function()
      co = coroutine.running()
      return fn()
    end)
    return co, task
  end

  it("is coroutine.running() in it, and another one in each task and generator", function()
    local mine = coroutine.running()
    halo.yield()
    assert.equal(mine, coroutine.running())
    assert.not_equal(mine, (coroutine_of(halo.yield)))
    assert.not_equal(mine, coroutine.wrap(coroutine.running)())
    assert.equal("running", coroutine.status(mine))
    assert.equal("normal", coroutine.wrap(coroutine.status)(mine))
  end)

  it("cannot yield by itself, and says so", function()
    assert.is_false(coroutine.isyieldable())
    assert.misuse("attempt to yield from outside a coroutine",
      function() coroutine.yield(1) end)
    local task = halo.spawn(coroutine.yield)
    local ok, message = pcall(task.join, task)
    assert.is_false(ok)
    assert.matches("attempt to yield from outside a coroutine", message)
  end)

  it("cannot be resumed by itself", function()
    local co = coroutine.running()
    assert.is_true(refuses(co))
    assert.is_true(at_depth(2, refuses, co))
  end)

  for _, kind in ipairs(waits) do
    it("cannot be resumed by others while it waits: " .. kind.name, function()
      local wait, release = kind.prepare(dir)
      local co, task = coroutine_of(wait)
      finally(function()
        task:cancel()
        release()
      end)
      for _ = 1, 2 do
        assert.is_true(refuses(co))
        assert.equal("normal", coroutine.status(co))
        assert.equal("waiting", (task:status()))
        halo.yield()
      end
      task:cancel()
      assert.is_true(ends_cancelled(task))
    end)
  end

  it("cannot be resumed by others while it is ready", function()
    local co, task = coroutine_of(function()
      halo.yield()
      return "result"
    end)
    assert.is_true(refuses(co))
    assert.equal("ready", (task:status()))
    assert.equal("result", task:join())
  end)

  it("cannot be resumed by others while its generator runs or waits", function()
    local refused_inside
    local co, task
    co, task = coroutine_of(function()
      return coroutine.wrap(function()
        halo.yield()
        refused_inside = refuses(co)
        halo.yield()
        return "result"
      end)()
    end)
    assert.is_true(refuses(co))
    assert.equal("result", task:join())
    assert.is_true(refused_inside)
  end)

  it("is dead when the task has ended, however it has", function()
    local function cancel_itself()
      halo.current():cancel()
      halo.yield()
    end
    for _, fn in ipairs { halo.yield, error, cancel_itself } do
      local co, task = coroutine_of(fn)
      pcall(task.join, task)
      assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
      assert.equal("dead", coroutine.status(co))
    end
  end)
end)

describe("the coroutine library of halo", function()
  it("takes coroutines and functions, and nothing else", function()
    assert.misuse("bad argument #1 to 'wrap' (function expected, got number)",
      function() coroutine.wrap(5) end)
    assert.misuse("bad argument #1 to 'resume' (coroutine expected, got number)",
      function() coroutine.resume(5) end)
    assert.misuse("bad argument #1 to 'status' (coroutine expected, got no value)",
      function() coroutine.status() end)
  end)
end)
