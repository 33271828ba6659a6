local halo = require "halo"
local fs = halo.fs
local posix = require "spec.support.posix"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
local waits = require "spec.support.waits"
require "spec.support.assertions"

local forever, start = tasks.forever, tasks.start
local ends_cancelled, run_cancelled = tasks.ends_cancelled, tasks.run_cancelled

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
