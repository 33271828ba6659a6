local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local posix = require "spec.support.posix"
local slowness = require "spec.support.slowness"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
local waits = require "spec.support.waits"
require "spec.support.assertions"

local forever, start = tasks.forever, tasks.start
local ends_cancelled, run_cancelled = tasks.ends_cancelled, tasks.run_cancelled
local rounds = tasks.rounds

describe("task:cancel", function()
  local dir = temp.dir()

  local function closes(file)
    return function()
      pcall(file.close, file)
      return file:is_open()
    end
  end

  for _, kind in ipairs(waits) do
    it("ends the wait at once: " .. kind.name, function()
      local wait, release = kind.prepare(dir)
      finally(release)
      local task = start(wait)
      assert.is_true(task:cancel())
      local ok, err = pcall(task.join, task)
      assert.is_false(ok)
      assert.is_true(halo.is_cancelled(err))
      assert.equal("cancelled", (task:status()))
    end)

    it("makes each later wait raise, until the task has ended: " .. kind.name, function()
      local wait, release = kind.prepare(dir)
      finally(release)
      local outcomes = run_cancelled(function()
        return { { pcall(wait) }, { pcall(wait) }, { pcall(halo.yield) } }
      end)
      for _, outcome in ipairs(outcomes) do
        assert.is_false(outcome[1])
        assert.is_true(halo.is_cancelled(outcome[2]))
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
      for _ in coroutine.wrap(function() halo.sleep(forever) end) do
        error "not reached"
      end
    end)
    task:cancel()
    assert.is_true(ends_cancelled(task))
  end)

  it("ends a task that has not started without a line of it run", function()
    local ran = false
    local task = halo.spawn(function() ran = true end)
    task:cancel()
    assert.is_true(ends_cancelled(task))
    assert.equal("cancelled", (task:status()))
    assert.is_false(ran)
  end)

  it("leaves code alone that does not wait", function()
    local task = start(function()
      pcall(halo.sleep, forever)
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
    assert.is_true(ends_cancelled(task))
    assert.equal("value", received)
  end)

  it("may be called by the task itself", function()
    local after_cancel = false
    local task = halo.spawn(function()
      halo.current():cancel()
      after_cancel = true
      halo.yield()
    end)
    assert.is_true(ends_cancelled(task))
    assert.is_true(after_cancel)
  end)

  it("may be called twice", function()
    local task = start(halo.sleep, forever)
    assert.is_true(task:cancel())
    assert.is_true(task:cancel())
    assert.is_false(pcall(task.join, task))
  end)

  it("is refused by a task that has ended, however it has", function()
    local ended, failed = halo.spawn(function() end), halo.spawn(error)
    local cancelled = start(halo.sleep, forever)
    cancelled:cancel()
    for _, task in ipairs { ended, failed, cancelled } do
      pcall(task.join, task)
      local id = tostring(task):match("%d+")
      assert.refused(("ESRCH: task %d has ended already"):format(id), task:cancel())
    end
  end)

  it("gives way to an error of the clean-up", function()
    local task = start(function()
      pcall(halo.sleep, forever)
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
    while posix.is_open(fd) do
      halo.sleep(0.001)
    end
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
    while halo.stats().files_open > before do -- it must come to an end
      collectgarbage()
      halo.sleep(0.001)
    end
  end)
end)

describe("a task that is cancelled", function()
  local dir = temp.dir()

  it("lets the others run each time, however stubborn it is", function()
    local ended = false
    local stubborn = start(function()
      repeat
        pcall(halo.sleep, forever)
      until ended
    end)
    stubborn:cancel()
    halo.sleep(0.001)
    ended = true
    stubborn:join()
  end)

  it("lets the others run in each kind of wait", function()
    for _, kind in ipairs(waits) do
      local wait, release = kind.prepare(dir)
      local ended = false
      local stubborn = start(function()
        repeat
          pcall(wait)
        until ended
      end)
      stubborn:cancel()
      halo.sleep(0.001)
      ended = true
      stubborn:join()
      release()
      for _, entry in ipairs(fs.readdir(dir.root)) do
        fs.remove(dir:path(entry.name))
      end
    end
  end)

  it("has what has come for it already, and is cancelled by its next call", function()
    local path = dir:fifo("fifo")
    local fifo = assert(fs.open(path, "r+"))
    local got = ""
    for i = 1, rounds(200) do
      local reader = start(function()
        got = got .. (fifo:read(100) or "")
        halo.yield()
      end)
      fifo:write(("%03d"):format(i))
      if i % 3 == 0 then
        halo.yield()
      end
      reader:cancel()
      pcall(reader.join, reader)
    end
    while #got < 3 * rounds(200) do
      got = got .. assert(halo.timeout(10, fifo.read, fifo, 100000)) -- what was cancelled
    end
    assert.equal(3 * rounds(200), #got)
    for i = 1, rounds(200) do
      assert.equal(i, tonumber(got:sub(3 * i - 2, 3 * i)))
    end
    fifo:close()
  end)

  it("unlocks before that raises", function()
    local path = dir:file("file")
    local file, other = assert(fs.open(path, "r+")), assert(fs.open(path, "r+"))
    assert(file:lock("exclusive"))
    local ok, err = run_cancelled(function() return pcall(file.unlock, file) end)
    assert.is_false(ok)
    assert.is_true(halo.is_cancelled(err))
    assert.is_true(halo.timeout(forever, other.lock, other, "exclusive"))
    file:close()
    other:close()
  end)

  it("closes before that raises, also where an interruption is about to be told", function()
    local file = assert(fs.open(dir:file("file"), "r+"))
    local fd = file:fd()
    assert.is_false(run_cancelled(function() return pcall(file.close, file) end))
    assert.is_false(file:is_open())
    while posix.is_open(fd) do
      halo.yield()
    end
    local script = dir:file("script.lua", [[
      local halo, fs, ffi = require "halo", require "halo.fs", require "ffi"
      ffi.cdef "int raise(int);"
      local file = assert(fs.open("/etc/passwd"))
      halo.shield(function() ffi.C.raise(2) end)
      print(pcall(file.close, file))
      print(file:is_open())
    ]])
    assert.equal("false\tinterrupted\nfalse\n", (command.run(command.halo(script))))
  end)

  it("says that a change of names may have happened", function()
    local old, new = dir:path("old"), dir:path("new")
    for _ = 1, rounds(100) do
      dir:file("old")
      local task = start(fs.rename, old, new)
      task:cancel()
      local ok, err = pcall(task.join, task)
      if ok then
        assert.is_nil((fs.stat(old)))
      else
        assert.is_true(halo.is_cancelled(err))
        assert.equal("ECANCELED", err.code)
        assert.matches("^cancelled", tostring(err))
      end
      while halo.stats().in_flight > 0 do
        halo.yield()
      end
      if not ok and not tostring(err):find("may have happened", 1, true) then
        assert.truthy(fs.stat(old))
      end
      fs.remove(new)
    end
  end)

  it("is found by who has joined it, with 20,000 others, at once", function()
    local count = rounds(20000)
    local target, joiners = start(halo.sleep, forever), {}
    for i = 1, count do
      joiners[i] = halo.spawn(target.join, target)
    end
    halo.yield()
    local begin = os.clock()
    for i = count, 1, -1 do
      joiners[i]:cancel()
    end
    assert.is_true(os.clock() - begin < slowness)
    target:cancel()
  end)

  it("may be the end of a chain of 20,000 joins, made from either end", function()
    local count = rounds(20000)
    for _, forward in ipairs { true, false } do
      local tasks_of, begin = {}, os.clock()
      local function wait(i)
        if i == count then
          halo.sleep(forever)
        end
        halo.yield()
        if not forward then
          for _ = i, count, math.ceil(count / 3) do halo.yield() end
        end
        return tasks_of[i + 1]:join()
      end
      for i = forward and 1 or count, forward and count or 1, forward and 1 or -1 do
        tasks_of[i] = halo.spawn(wait, i)
      end
      for _ = 1, 8 do halo.yield() end
      tasks_of[count]:cancel()
      assert.is_true(ends_cancelled(tasks_of[count]))
      for _ = 1, 3 do halo.yield() end
      for i = 1, count do
        tasks_of[i]:cancel()
      end
      assert.is_true(os.clock() - begin < 3 * slowness)
    end
  end)
end)

describe("a join", function()
  it("that closes a cycle is refused at once, however long that is", function()
    for _, count in ipairs { 1, 2, 3, 50 } do
      local list, refused = {}, {}
      for i = 1, count do
        list[i] = halo.spawn(function()
          for _ = 1, i do halo.yield() end
          local ok, message = pcall(list[i % count + 1].join, list[i % count + 1])
          if not ok and type(message) == "string" then
            table.insert(refused, message)
          end
          error("the end", 0)
        end)
      end
      for i = 1, count do
        pcall(list[i].join, list[i])
      end
      assert.matches(count == 1 and "cannot join itself" or "this join closes a cycle", refused[1])
    end
  end)

  it("takes as many results as its own stack has room for", function()
    local code = [[
      local halo = require "halo"
      jit.off()
      local many = {}
      for i = 1, 6900 do many[i] = i end
      local task = halo.spawn(function() halo.sleep(0.01) return unpack(many) end)
      local function deep(n)
        if n == 0 then return select("#", task:join()) end
        local count = deep(n - 1)
        return count
      end
      local deep_one, flat_one = halo.spawn(deep, 20000), halo.spawn(deep, 0)
      local other = halo.spawn(function() halo.sleep(0.02) return "other" end)
      print(pcall(deep_one.join, deep_one))
      print(flat_one:join(), other:join())
    ]]
    local stdout, stderr, status = command.run(command.halo("-e", code))
    assert.matches("^false\t[^\n]*stack overflow[^\n]*\n6900\tother\n$", stdout)
    assert.same({ "", 0 }, { stderr, status })
  end)
end)
