-- One of every kind of call that waits, for specs which run through them all:
--
--     for _, kind in ipairs(waits) do
--       it("...: " .. kind.name, function()
--         local wait, release = kind.prepare(dir)
--
-- wait() is the call; release() ends what it waits for, for the sake of the tests to come.

local halo = require "halo"
local tasks = require "spec.support.tasks"

local forever = tasks.forever

local function nothing() end

---@class spec.Wait
---@field word string what task:status() says
---@field name string
---@field prepare fun(dir: spec.Dir): fun(), fun()
local waits = {}

local function add(word, detail, prepare)
  table.insert(waits, {
    word = word,
    name = detail and ("%s (%s)"):format(word, detail) or word,
    prepare = function(dir)
      local wait, release = prepare(dir)
      return wait, release or nothing
    end,
  })
end

add("sleep", nil, function()
  return function() halo.sleep(forever) end
end)

add("read", nil, function(dir)
  local fifo = assert(halo.fs.open(dir:fifo("fifo"), "r+"))
  return function() fifo:read(10) end, function() fifo:close() end
end)

add("join", nil, function()
  local other = tasks.start(halo.sleep, forever)
  return function() other:join() end, function() other:cancel() end
end)

add("channel", "receiving", function()
  local channel = halo.channel()
  return function() channel:recv() end
end)

add("channel", "sending", function()
  local channel = halo.channel()
  return function() channel:send(1) end
end)

add("select", nil, function()
  local one, other = halo.channel(), halo.channel()
  return function() halo.select { one, { other, 1 } } end
end)

add("semaphore", nil, function()
  local semaphore = halo.semaphore(1)
  semaphore:acquire()
  return function() semaphore:acquire() end
end)

add("tasks", "scope", function()
  return function() halo.scope(function() halo.sleep(forever) end) end
end)

add("tasks", "map", function()
  return function() halo.map({ forever }, halo.sleep) end
end)

add("tasks", "race", function()
  return function() halo.race { function() halo.sleep(forever) end } end
end)

add("tasks", "timeout", function()
  return function() halo.timeout(forever, halo.sleep, forever) end
end)

return waits
