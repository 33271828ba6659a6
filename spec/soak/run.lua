-- The soak of one engine: many tasks do mixed work for hours, all of it checked, and each minute it
-- is looked at what the process takes. `make soak` starts it once for each engine.
--
--     HOURS=0.5 HALO_ENGINE=pool halo spec/soak/run.lua
--
-- It fails when anything was wrong; when, after the first minutes, resident memory grows by more
-- than 1 MiB an hour, or descriptors at all, or threads beyond their limit; when something is in
-- flight though nobody works.

local halo = require "halo"
local survived = require "spec.support.survived"
local vitals = require "spec.soak.vitals"
local work = require "spec.soak.work"

local SECONDS = (tonumber(os.getenv "HOURS") or 1) * 3600
local TASKS = tonumber(os.getenv "SOAK_TASKS") or 24
local EVERY_S = math.max(1, math.min(60, SECONDS / 20))
local WARM_S = math.min(300, SECONDS / 4) -- pools, caches and compiled traces fill
local GROWTH_KIB_PER_HOUR = 1024
-- The least that counts, since memory comes in steps; a short run is all beginning.
local GRAIN_KIB = SECONDS < 600 and 4096 or 384
local THREADS_MOST = 1 + 32 -- workers start as they are needed
local PATIENCE_S = 60
local WRONGS_SHOWN = 10

local engine = os.getenv "HALO_ENGINE" or "auto"
local state = {
  operations = 0,
  wrongs = {},
  wrong = 0,
  resting = 0, -- tasks that wait for the end of a pause
  pause = nil, -- closed to end it
  stop = false,
  lately = vitals.latencies(),
  all = vitals.latencies(),
}

local function wrong(format, ...)
  state.wrong = state.wrong + 1
  if state.wrong <= WRONGS_SHOWN then
    io.write("WRONG: ", format:format(...), "\n")
    io.flush()
  end
end

-- The work ----------------------------------------------------------------------------------------

local deck = {}
for _, kind in ipairs(work.kinds) do
  kind.latencies = vitals.latencies()
  for _ = 1, kind.weight do
    table.insert(deck, kind)
  end
end

local function perform(place)
  local kind = deck[math.random(#deck)]
  local start = halo.now()
  local ok, err = xpcall(kind.fn, debug.traceback, place)
  local seconds = halo.now() - start
  if not ok then
    wrong("%s: %s", kind.name, tostring(err))
  end
  state.operations = state.operations + 1
  kind.latencies:add(seconds)
  state.lately:add(seconds)
  state.all:add(seconds)
end

local function labour(place)
  assert(halo.fs.mkdir(place))
  while not state.stop do
    perform(place)
    local pause = state.pause
    if pause then
      state.resting = state.resting + 1
      pause:recv()
      state.resting = state.resting - 1
    end
  end
end

-- Looking -----------------------------------------------------------------------------------------

local function await(what, condition)
  local deadline = halo.now() + PATIENCE_S
  while not condition() do
    if halo.now() > deadline then
      return wrong("it did not come about that %s", what)
    end
    halo.sleep(0.005)
  end
end

---Lets all tasks rest, and looks once nothing is in flight and the garbage has gone: how much of it
---there is at a moment says nothing about growth.
local function look()
  state.pause = halo.channel()
  await("all tasks rest", function() return state.resting == TASKS end)
  work.settle()
  collectgarbage()
  collectgarbage()
  await("nothing is in flight", function() return halo.stats().in_flight == 0 end)
  local sample = vitals.sample()
  local pause = state.pause
  state.pause = nil
  pause:close()
  return sample
end

local HEADING = "%-5s %7s %8s %7s %8s %7s %4s %4s %4s %4s %9s %8s %8s %8s\n"
local ROW = "%-5s %7.1f %8d %7d %8.0f %7.0f %4d %4d %4d %4d %9d %8.2f %8.2f %8.1f\n"

local function show(sample, seconds)
  io.write(ROW:format(engine, seconds / 60, sample.rss, sample.anon, sample.lua, sample.malloc,
    sample.fds, sample.threads, sample.kernel_threads, sample.in_flight, state.operations,
    state.lately:quantile(0.5) * 1000, state.lately:quantile(0.99) * 1000,
    state.lately.most * 1000))
  io.flush()
  state.lately:clear()
end

---The median of a field in a part of the samples.
local function median(samples, field, from, to)
  local values = {}
  for i = from, to do
    table.insert(values, samples[i][field])
  end
  table.sort(values)
  return values[math.ceil(#values / 2)]
end

---How much a field has grown between the first and the last quarter, and the seconds between.
local function growth(samples, field)
  local part = math.max(1, math.floor(#samples / 4))
  local early = median(samples, field, 1, part)
  local late = median(samples, field, #samples - part + 1, #samples)
  local middle = math.ceil(part / 2)
  local seconds = samples[#samples - part + middle].at - samples[middle].at
  return late - early, seconds
end

-- The verdicts ------------------------------------------------------------------------------------

local function judge(samples, first, last)
  local grown, seconds = growth(samples, "rss")
  local allowed = math.max(GRAIN_KIB, GROWTH_KIB_PER_HOUR * seconds / 3600)
  io.write(("%s: %d operations in %.1f minutes; memory %+d KiB in the %.1f minutes between the "
    .. "first and the last quarter, %d allowed\n"):format(engine, state.operations, SECONDS / 60,
    grown, seconds / 60, allowed))
  if grown > allowed then
    wrong("resident memory has grown by %d KiB", grown)
  end
  if last.fds > first.fds then
    wrong("descriptors have grown from %d to %d", first.fds, last.fds)
  end
  if last.threads > THREADS_MOST then
    wrong("there are %d threads, where %d are the most", last.threads, THREADS_MOST)
  end
  if last.in_flight ~= 0 then
    wrong("%d operations are in flight though nobody works", last.in_flight)
  end
end

local function show_kinds()
  io.write(("\n%-28s %9s %8s %8s %8s\n"):format(engine .. ": work", "times", "p50 ms", "p99 ms",
    "max ms"))
  for _, kind in ipairs(work.kinds) do
    local latencies = kind.latencies
    io.write(("%-28s %9d %8.2f %8.2f %8.1f\n"):format(kind.name, latencies.total,
      latencies:quantile(0.5) * 1000, latencies:quantile(0.99) * 1000, latencies.most * 1000))
  end
end

local function soak(root)
  work.prepare(root)
  work.burst(root)
  local tasks = {}
  for i = 1, TASKS do
    tasks[i] = halo.spawn(labour, ("%s/%d"):format(root, i))
  end

  io.write(HEADING:format("", "minutes", "rss KiB", "anon", "Lua KiB", "malloc", "fds", "own",
    "krnl", "fly", "times", "p50 ms", "p99 ms", "max ms"))
  local start, samples, first = halo.now(), {}, nil
  while halo.now() - start < SECONDS do
    halo.sleep(math.min(EVERY_S, math.max(0, start + SECONDS - halo.now())))
    local seconds = halo.now() - start
    local warm = seconds >= WARM_S
    local sample = look()
    sample.at = seconds
    show(sample, seconds)
    if warm then
      first = first or sample
      table.insert(samples, sample)
    end
  end

  state.stop = true
  for _, task in ipairs(tasks) do
    task:join()
  end
  work.finish()
  judge(samples, first, samples[#samples])
  show_kinds()
end

math.randomseed(os.time())
local root = assert(halo.fs.mkdtemp "halo-soak-")
soak(root)
halo.fs.rmtree(root)
survived.tell {
  name = "soak",
  kind = ("mixed work of %d tasks, checked, memory and descriptors watched"):format(TASKS),
  tried = state.operations,
  unit = "operations",
  lost = state.wrong,
  command = "make soak HOURS=" .. (os.getenv "HOURS" or "1"),
}
io.write(("%s: %s\n"):format(engine, state.wrong == 0 and "good" or state.wrong .. " wrong"))
os.exit(state.wrong == 0 and 0 or 1)
