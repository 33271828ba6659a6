-- What fs.lines, fs.dir and fs.walk give for a `for`, beyond one loop in one task: iterators that
-- several tasks share, and loops that are left once LuaJIT has compiled them.

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local FILES, DIRS = 300, 12

describe("an iterator", function()
  local dir = temp.dir()
  local files, trees, path

  before_each(function()
    files, trees = dir:path "files", dir:path "trees"
    local lines = {}
    for i = 1, FILES do
      lines[i] = ("line %d\n"):format(i)
    end
    path = dir:file("lines", table.concat(lines))
    local _, stderr, status = command.run(([[set -e
      mkdir '%s' '%s'
      cd '%s'
      seq %d | xargs touch
      cd '%s'
      seq -f %%g/a/b %d | xargs mkdir -p
      touch $(seq -f %%g/1 %d) $(seq -f %%g/a/b/2 %d)
    ]]):format(files, trees, files, FILES, trees, DIRS, DIRS, DIRS))
    assert(status == 0, stderr)
  end)

  local iterators = {
    lines = { FILES, function() return fs.lines(path) end },
    dir = { FILES, function() return fs.dir(files) end },
    ["walk, in any order"] = { 5 * DIRS, function() return fs.walk(trees) end },
    ["walk, by name"] = {
      5 * DIRS, function() return fs.walk(trees, { order = true, stat = "size" }) end,
    },
    ["walk, with a filter that waits"] = {
      5 * DIRS, function() return fs.walk(trees, { filter = halo.yield }) end,
    },
  }

  local function open_fifo()
    local fifo = dir:fifo("fifo")
    local opening = halo.spawn(fs.open, fifo)
    local writer = fs.open(fifo, "w")
    return opening:join(), writer
  end

  for name, case in pairs(iterators) do
    it("gives each thing to one of the tasks that share it: " .. name, function()
      local next_one, count, seen = case[2](), 0, {}
      halo.scope(function(scope)
        for _ = 1, 4 do
          scope:spawn(function()
            for key in next_one do
              assert.is_nil(seen[key])
              seen[key], count = true, count + 1
              if count % 3 == 0 then halo.yield() end
            end
          end)
        end
      end)
      assert.equal(case[1], count)
    end)
  end

  for name, case in pairs(iterators) do
    it("tells those that share it where one that fetches is cancelled: " .. name, function()
      for turns = 1, 20 do
        local next_one, count = case[2](), 0
        local function work()
          for _ in next_one do
            count = count + 1
            if count % 50 == 0 then halo.yield() end
          end
        end
        local first, second = tasks.start(work), tasks.start(work)
        for _ = 1, turns do halo.yield() end
        first:cancel()
        pcall(first.join, first)
        local ok, message = pcall(second.join, second)
        if ok then -- what the cancelled one has taken is counted, or the last
          assert.is_true(count >= case[1] - 1, ("%d after %d turns"):format(count, turns))
        else
          assert.matches("ECANCELED", tostring(message))
        end
      end
    end)
  end

  it("ends where another task closes the walk that it fetches for", function()
    for turns = 1, 20 do
      local next_entry, walk = fs.walk(trees, { order = true, stat = "size" })
      local task = tasks.start(function()
        for _ in next_entry do end
      end)
      for _ = 1, turns do halo.yield() end
      walk:close()
      task:join()
    end
  end)

  it("over the lines of a stream leaves no bytes behind another read", function()
    local reader, writer = open_fifo()
    local line, rest = tasks.start(reader:lines()), tasks.start(reader.read, reader, 10)
    writer:write "one\ntwo\n"
    writer:close()
    assert.equal("one", line:join())
    assert.equal("two\n", rest:join())
    assert.is_nil((reader:read(10)))
    reader:close()
  end)

  it("goes on where a task that shares it is cancelled while it waits for its turn", function()
    local reader, writer = open_fifo()
    local next_line = reader:lines()
    local first, second, third = tasks.start(next_line), tasks.start(next_line),
      tasks.start(next_line)
    second:cancel()
    assert.is_true(tasks.ends_cancelled(second))
    writer:write("one\n")
    assert.equal("one", first:join())
    first = tasks.start(next_line)
    third:cancel()
    assert.is_true(tasks.ends_cancelled(third))
    writer:write("two\nthree\n")
    assert.equal("two", first:join())
    assert.equal("three", next_line())
    reader:close()
    writer:close()
  end)

  local left = {
    ["fs.lines"] = function(enough)
      for _ in fs.lines(path) do
        if enough() then break end
      end
    end,
    ["file:lines"] = function(enough)
      for _ in fs.open(path):lines() do
        if enough() then break end
      end
    end,
    ["fs.dir"] = function(enough)
      for _ in fs.dir(files) do
        if enough() then break end
      end
    end,
    ["fs.walk"] = function(enough)
      for _ in fs.walk(files) do
        if enough() then break end
      end
    end,
  }

  for name, loop in pairs(left) do
    it("leaves its file to the collector where the loop was compiled: " .. name, function()
      collectgarbage() -- what others have left is not counted
      collectgarbage()
      eventually("the files of others are closed", function()
        return halo.stats().in_flight == 0
      end)
      local before = halo.stats().files_open
      for _ = 1, 4 do
        local count = 0
        loop(function()
          count = count + 1
          return count == FILES - 10
        end)
        eventually("the file is closed", function()
          collectgarbage()
          return halo.stats().files_open <= before
        end)
      end
    end)
  end
end)
