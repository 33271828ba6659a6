-- Runs the random program of a seed in the simulator, and checks what must be so at its end.
--
--     build/simulator/halo spec/simulator/fuzz.lua FIRST COUNT [TWICE [STEP,STEP...]]
--
-- The steps are left out. SIMULATOR_STEPS in the environment prints each one.

local halo = require "halo"
local program = require "spec.simulator.program"
local random = require "spec.support.random"
local simulator = require "simulator"

local IDLE_TRIES, IDLE_SECONDS = 100, 1000
local COLLECTIONS = 3
local LATE_SECONDS = 0.01
local printing = os.getenv "SIMULATOR_STEPS"

local function print_step(thing, step)
  local parts = {}
  for key, value in pairs(step) do
    table.insert(parts, ("%s=%s"):format(key, tostring(value)))
  end
  table.sort(parts)
  io.stderr:write(thing.path, " ", table.concat(parts, " "), "\n")
end

---No timer is early; nor late, where nothing waits on the spot.
local function sleep(seconds, made)
  local start = halo.now()
  halo.sleep(seconds)
  local took = halo.now() - start
  if took < seconds * 0.999 or (took > seconds + LATE_SECONDS and not made.blocks) then
    simulator.fail(("a sleep of %g s took %g"):format(seconds, took))
  end
end

local function run_task(made, task)
  local thing = made.things[task.thing]
  halo.sleep(task.start)
  for _, step in ipairs(task.steps) do
    if printing then
      print_step(thing, step)
    end
    simulator.note("step", step.number)
    thing.object:run(step)
    if made.collects then
      collectgarbage()
    end
    if step.pause then
      sleep(step.pause, made)
    end
  end
end

---Starts a task, and one that cancels it where that is to be.
local function start(all, made, task)
  local started = halo.spawn(run_task, made, task)
  table.insert(all, started)
  if task.cancelled_at then
    table.insert(all, halo.spawn(function()
      halo.sleep(task.cancelled_at)
      started:cancel()
    end))
  end
end

---A task ends with its steps or by being cancelled.
local function run_all(made)
  local tasks = {}
  for _, task in ipairs(made.tasks) do
    start(tasks, made, task)
  end
  if made.abrupt then
    halo.sleep(made.steps / 1e6)
    for _, task in ipairs(tasks) do
      task:cancel()
    end
  end
  for _, task in ipairs(tasks) do
    local ok, err = pcall(task.join, task)
    if not ok and not halo.is_cancelled(err) then
      simulator.fail(tostring(err))
    end
  end
end

---What was cancelled ends some time, whatever it is.
local function wait_until_idle()
  for _ = 1, IDLE_TRIES do
    if halo.stats().in_flight == 0 then
      return
    end
    halo.sleep(IDLE_SECONDS)
  end
  simulator.fail(("%d operations do not end"):format(halo.stats().in_flight))
end

---Nothing is open, under way, or counted wrongly.
local function check_end()
  jit.flush() -- compiled code keeps what it was compiled for
  for _ = 1, COLLECTIONS do -- what was forgotten is closed by the loop
    collectgarbage()
    halo.sleep(1)
  end
  wait_until_idle()
  local stats = halo.stats()
  local open, jobs = simulator.under_way()
  if stats.submitted ~= stats.retired or stats.queued > 0 or stats.unknown > 0 or jobs > 0 then
    simulator.fail(("%d operations submitted, %d retired, %d queued, %d with the engine"):format(
      stats.submitted, stats.retired, stats.queued, jobs))
  elseif stats.files_open > 0 or open > 0 then
    simulator.fail(("%d files and %d descriptors are left open"):format(stats.files_open, open))
  elseif stats.tasks > 1 or stats.timers > 0 then
    simulator.fail(("%d tasks and %d timers are left"):format(stats.tasks - 1, stats.timers))
  end
end

---@param _ integer the seed, which the simulator has drawn all by
---@param left_out string? numbers of steps
return function(_, left_out)
  local made = program.new()
  local numbers = {}
  for number in (left_out or ""):gmatch "%d+" do
    numbers[tonumber(number)] = true
  end
  program.reduce(made, numbers)
  if printing then
    io.stderr:write(("%d steps\n"):format(made.steps))
  end
  halo.configure(made.config)
  for _, thing in ipairs(made.things) do
    thing.object = thing.role.new(random.new(thing.seed), thing.path, made.config)
  end
  run_all(made)
  if made.abrupt then
    return -- the end of halo is the end of all that is under way
  end
  simulator.calm()
  wait_until_idle()
  local last = {}
  for _, thing in ipairs(made.things) do
    thing.object:finish()
    last[#last + 1] = thing.object.check_end and thing.object
    thing.object = nil
  end
  check_end()
  for _, object in ipairs(last) do
    object:check_end()
  end
end
