-- A random program, from a seed: some things, the tasks that work on each, what they do step by
-- step, and who is cancelled when. Every step has a number, so that a program can be made smaller
-- by leaving some out: what the others do does not depend on it.

local attempt = require "spec.simulator.attempt"
local streams = require "spec.simulator.roles.streams"
local sync = require "spec.simulator.roles.sync"
local simulator = require "simulator"
local whole = require "spec.simulator.roles.whole"

local roles = {
  require "spec.simulator.roles.file",
  require "spec.simulator.roles.names",
  require "spec.simulator.roles.crowd",
  require "spec.simulator.roles.family",
  require "spec.simulator.roles.confined",
  require "spec.simulator.roles.gather",
  require "spec.simulator.roles.lines",
  require "spec.simulator.roles.silent",
  streams[1], streams[2], sync[1], sync[2], sync[3], whole[1], whole[2],
}

local program = {}

local THINGS_MAX, STEPS_MAX = 4, 14

---From 1 to from, where there is no to.
local function number(from, to)
  if not to then
    from, to = 1, from
  end
  return from - 1 + simulator.draw(to - from + 1)
end

local function new_step(role, spots)
  local step = role.step(number)
  local ways = step.ways or role.ways or attempt.all_ways
  step.ways = nil
  step.way = ways[number(#ways)]
  if not spots then -- with them, others may be late
    step.way, step.spot = step.way == "sort" and "plain" or step.way, false
  end
  step.seconds = number(4) == 1 and number(30) / 1000 or number(100) / 1e6
  step.pause = step.pause
    or number(6) == 1 and (number(4) == 1 and number(100) / 1e3 or number(100) / 1e6)
  return step
end

local function new_task(role, thing, spots)
  local task = { thing = thing, steps = {}, start = number(100) / 1e6 }
  for _ = 1, number(STEPS_MAX) do
    table.insert(task.steps, new_step(role, spots))
  end
  if number(4) == 1 then
    task.cancelled_at = number(200) / 1e5
  end
  return task
end

---@class Program
---@field config table of halo.configure
---@field things { role: table, path: string, seed: integer }[]
---@field tasks table[]
---@field steps integer how many there are
---@field blocks boolean? a call waits on the spot
---@field abrupt boolean it ends while operations are under way

---@return Program
function program.new()
  local engines = { "ring", "pool", "auto" }
  local made = { things = {}, tasks = {}, steps = 0 }
  made.abrupt = number(8) == 1
  made.config = {
    engine = engines[number(3)],
    max_in_flight = number(2) == 1 and number(8) or nil,
    pool_threads = number(2) == 1 and number(4) or nil,
  }
  local spots = number(2) == 1
  made.collects = number(5) == 1
  for i = 1, number(THINGS_MAX) do
    local role = roles[number(#roles)]
    local path = ("%s/%s%d"):format(number(4) == 1 and "/slow" or "", role.name, i)
    made.things[i] = { role = role, path = path, seed = number(1e6) }
    for _ = 1, number(role.tasks_max) do
      table.insert(made.tasks, new_task(role, i, spots))
    end
  end
  for _, task in ipairs(made.tasks) do
    for _, step in ipairs(task.steps) do
      made.steps = made.steps + 1
      step.number = made.steps
      made.blocks = made.blocks or step.way == "sort" or step.spot
    end
  end
  return made
end

---Leaves out the steps of those numbers.
---@param made Program
---@param left_out table<integer, boolean>
function program.reduce(made, left_out)
  for _, task in ipairs(made.tasks) do
    for i = #task.steps, 1, -1 do
      if left_out[task.steps[i].number] then
        table.remove(task.steps, i)
      end
    end
  end
end

return program
