-- Walks that read directories ahead of their turn, where that takes long.

local core = require "halo.core"
local command = require "spec.support.command"
local halo = require "halo"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"

local fs = halo.fs

---Has directories come as if from a slow disk, until the function that it returns is called.
local function slow_down()
  local list = core.list
  core.list = function(...)
    local start = halo.now()
    while halo.now() - start < 0.0005 do
    end
    return list(...)
  end
  return function()
    core.list = list
  end
end

describe("fs.walk", function()
  local dir = temp.dir()

  it("reads directories ahead where that takes long", function()
    tree.make(dir.root, { "d/a/b/", "d/c/" })
    for i = 1, 40 do
      assert(fs.copytree(dir:path "d", dir:path("d" .. i)))
    end
    -- Each operation goes to a worker and, when it is done, waits until the others have had a turn.
    local script = dir:file("script.lua", [[
      local halo = require "halo"
      local done, most = false, 0
      for _ = 1, 4 do
        halo.spawn(function()
          while not done do
            local start = halo.now()
            while halo.now() - start < 0.0002 do end
            halo.yield()
          end
        end)
      end
      for _ in halo.fs.walk(arg[1]) do
        most = math.max(most, halo.stats().tasks)
      end
      done = true
      print(most > 8 and "ahead" or most)]])
    local stdout = command.run("HALO_ENGINE=pool " .. command.halo(script, dir.root))
    assert.equal("ahead\n", stdout)
  end)

  it("goes on in a place that cannot wait, though it has begun to read ahead", function()
    for i = 1, 30 do
      tree.make(dir.root, { ("slow/d%d/a/"):format(i), ("slow/d%d/b/"):format(i) })
    end
    finally(slow_down())
    local step, walk = fs.walk(dir:path "slow")
    local count = 0
    for _ = 1, 20 do
      count = count + (step() and 1 or 0)
    end
    table.sort({ 1, 2, 3, 4, 5 }, function(a, b)
      count = count + (step() and 1 or 0)
      return a < b
    end)
    for _ in step do
      count = count + 1
    end
    walk:close()
    assert.equal(90, count)
  end)

  describe("that reads ahead", function()
    local speed_up

    before_each(function()
      for i = 1, 30 do
        tree.make(dir.root, { ("slow/d%d/e/f/"):format(i) })
      end
      speed_up = slow_down()
    end)

    after_each(function()
      speed_up()
    end)

    it("waits where it lacks descriptors for that", function()
      local list, listing, refused = core.list, 0, 0
      core.list = function(...)
        if listing >= 2 then
          refused = refused + 1
          return nil, "EMFILE: too many open files", "EMFILE"
        end
        listing = listing + 1
        halo.yield()
        listing = listing - 1
        return list(...)
      end
      local count = 0
      for _ in fs.walk(dir:path "slow") do
        count = count + 1
      end
      assert.equal(90, count)
      assert.is_true(refused > 0)
    end)

    local function walk_slowly(calls)
      for _ in fs.walk(dir:path "slow", { prune = function(path)
        if path:match "/e$" then
          calls.begun = (calls.begun or 0) + 1
          if calls.begun > 4 then
            halo.sleep(0.05)
            table.insert(calls, path)
          end
        end
      end }) do
      end
    end

    it("leaves no task behind in a timeout, a scope, or a task that is cancelled", function()
      local before = halo.stats().tasks
      for _, run in ipairs {
        function(calls) halo.timeout(0.02, walk_slowly, calls) end,
        function(calls)
          pcall(halo.scope, function(scope)
            scope:spawn(walk_slowly, calls)
            halo.sleep(0.02)
            error "failure"
          end)
        end,
        function(calls)
          local task = halo.spawn(walk_slowly, calls)
          halo.sleep(0.02)
          task:cancel()
          pcall(task.join, task)
          halo.yield()
        end,
      } do
        local calls = {}
        run(calls)
        assert.equal(before, halo.stats().tasks)
        local count = #calls
        halo.sleep(0.06)
        assert.equal(count, #calls)
      end
    end)

    it("may come to its end inside of a callback, which nobody's task fails by", function()
      local script = dir:file("script.lua", [[
        local halo, core = require "halo", require "halo.core"
        local now, late = core.now, 0
        core.now = function()
          late = late + 0.01
          return now() + late
        end
        local step = halo.fs.walk(arg[1])
        for _ = 1, 6 do step() end
        local count = 6
        table.sort({ 3, 2, 1 }, function(a, b)
          for _ in step do count = count + 1 end
          return a < b
        end)
        print(count)
        halo.sleep(0.01)
        collectgarbage()
      ]])
      assert.same({ "90\n", "", 0 }, { command.run(command.halo(script, dir:path "slow")) })
    end)
  end)
end)
