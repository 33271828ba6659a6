-- The benchmark: the jobs of jobs.lua, in all columns of columns.lua, as one table.
--
--     halo spec/bench/run.lua [JOB...]
--
-- The environment says: TASKS="1 8 128", BENCH_ROUNDS (5), BENCH_SCALE (1: 100,000 names and 15,000
-- small files), BENCH_TREE (/usr), BUILD_DIR (build), TMPDIR (build/bench) for the jobs' files.
--
-- Every measurement is a process of its own, which prints nanoseconds. They take turns, job by job
-- and round after round, so that a slow minute of the machine hits all columns alike. The ratio to
-- the better C loop is made of figures of the same round.

local fs = require "halo.fs"
local halo = require "halo"
local columns = require "spec.bench.columns"
local files = require "spec.bench.files"
local jobs = require "spec.bench.jobs"
local json = require "spec.bench.json"
local report = require "spec.bench.report"

local build = os.getenv "BUILD_DIR" or "build"

local function from_environment()
  return {
    rounds = tonumber(os.getenv "BENCH_ROUNDS" or 5),
    scale = tonumber(os.getenv "BENCH_SCALE" or 1),
    tasks = os.getenv "TASKS" or "",
    results = "results.json",
    directory = (os.getenv "TMPDIR" or build .. "/bench") .. "/halo-bench",
  }
end

local function tell(pattern, ...)
  io.stderr:write(pattern:format(...), "\n")
end

-- ---- what to measure ----------------------------------------------------------------------------

local function is_root()
  return fs.access("/proc/sys/vm/drop_caches", "w") == true
end

---The jobs asked for; all but the extra ones where none is.
local function choose_jobs(names)
  local chosen, known = {}, {}
  for _, job in ipairs(jobs) do
    known[job.name] = true
    local wanted = #names == 0 and not job.extra
    for _, name in ipairs(names) do wanted = wanted or name == job.name end
    if wanted and job.cold and not is_root() then
      tell("%s is left out: only root can empty the caches", job.name)
    elseif wanted then
      chosen[#chosen + 1] = job
    end
  end
  for _, name in ipairs(names) do
    if not known[name] then error("there is no job called " .. name, 0) end
  end
  return chosen
end

local function tasks_of(job, settings)
  local wanted = {}
  if not job.tasks then return { false } end
  if job.passes then return job.tasks end
  for word in settings.tasks:gmatch "%d+" do wanted[#wanted + 1] = tonumber(word) end
  return #wanted > 0 and wanted or job.tasks
end

local function count_of(job, settings)
  local count = (job.count or 1) * (job.scaled and settings.scale or 1)
  return math.max(1, math.floor(count))
end

local function path_of(job, settings)
  local path = job.path
  if not path then return settings.directory end
  return path:sub(1, 1) == "/" and path or settings.directory .. "/" .. path
end

---How many times less a column does: the ratio is made of auto and C, and these do all of it.
local function fewer(job, key)
  if key == "auto" or key == "plain" or key == "uring" then return 1 end
  if key == "ring" or key == "pool" then return job.fewer and 4 or 1 end
  return job.fewer or 1
end

---What a column is asked to do for a job.
local function call_of(job, column, tasks, settings)
  local names = job.job or {}
  local count = math.ceil(count_of(job, settings) / fewer(job, column.key))
  return {
    job = names[column.key] or names._ or job.name,
    path = path_of(job, settings),
    count = math.max(count, tasks or 1),
    tasks = tasks or (column.key == "uring" and 128 or 1),
  }
end

-- ---- measuring ----------------------------------------------------------------------------------

---Runs a line that prints a number, and returns that number.
local function measure(job, line, settings)
  if job.copies then
    line = ("cp -r '%s' '%s'; %s"):format(settings.directory .. "/" .. job.copies,
      path_of(job, settings), line)
  end
  if job.cold then line = "echo 3 >/proc/sys/vm/drop_caches; " .. line end
  local pipe = assert(io.popen(line))
  local number = pipe:read "*n"
  pipe:close()
  if job.removes then os.execute("rm -rf '" .. settings.directory .. "/" .. job.removes .. "'") end
  return number or error("no figure from: " .. line, 0)
end

local function note(figures, key, tasks, number)
  figures[key] = figures[key] or {}
  local column = figures[key]
  column[tasks] = column[tasks] or {}
  table.insert(column[tasks], number)
end

---One round of one job. What does one thing after the other anyway is measured once for all tasks,
---but where the tasks, or the time, make a difference to it.
local function measure_job(job, here, figures, settings)
  local all_tasks = tasks_of(job, settings)
  for place, tasks in ipairs(all_tasks) do
    for _, column in ipairs(here) do
      local once = column.serial and not job.again
      if columns.does(column, job) and not (once and place > 1) then
        local line = column.line(job, call_of(job, column, tasks, settings))
        note(figures, column.key, once and "once" or tasks, measure(job, line, settings))
      end
    end
  end
end

local function rows_of(job, here, figures, settings)
  local rows = {}
  for _, tasks in ipairs(tasks_of(job, settings)) do
    local cells = {}
    for _, column in ipairs(here) do
      local numbers = figures[column.key]
      cells[column.key] = numbers and (numbers[tasks] or numbers.once)
    end
    rows[#rows + 1] = report.row(job, tasks or nil, cells)
  end
  return rows
end

---Fetches what a job works on, so that its first measurement is one like the others.
local function warm_up(job, here, settings)
  local line = here[1].line(job, call_of(job, here[1], tasks_of(job, settings)[1], settings))
  measure(job, line, settings)
end

local function measure_rounds(chosen, here, figures, settings)
  if #chosen == 0 then return end
  for round = 1, settings.rounds do
    local start = halo.now()
    for _, job in ipairs(chosen) do
      figures[job.name] = figures[job.name] or {}
      if not job.cold then warm_up(job, here, settings) end
      measure_job(job, here, figures[job.name], settings)
    end
    tell("round %d of %d: %.0f s", round, settings.rounds, halo.now() - start)
  end
end

---All rounds; returns the rows of the table. Jobs that empty the caches come when all others are
---done, which they would hit.
local function measure_all(chosen, here, settings)
  local figures, rows, warm, cold = {}, {}, {}, {}
  for _, job in ipairs(chosen) do table.insert(job.cold and cold or warm, job) end
  measure_rounds(warm, here, figures, settings)
  measure_rounds(cold, here, figures, settings)
  for _, job in ipairs(chosen) do
    for _, row in ipairs(rows_of(job, here, figures[job.name], settings)) do
      rows[#rows + 1] = row
    end
  end
  return rows
end

-- ---- around it ----------------------------------------------------------------------------------

local function remove_files(settings)
  if fs.exists(settings.directory) then assert(fs.rmtree(settings.directory)) end
end

local function make_files(chosen, settings)
  local counts = {}
  for _, job in ipairs(chosen) do
    local key = job.needs
    if key then
      local whole = job.scaled and count_of(job, settings) or 15000 * settings.scale
      counts[key] = math.max(counts[key] or 0, whole)
    end
  end
  remove_files(settings)
  assert(fs.mkdir(settings.directory))
  for key, count in pairs(counts) do files[key](settings.directory, count) end
  assert(fs.sync())
end

local function output_of(line)
  local pipe = assert(io.popen(line .. " 2>/dev/null"))
  local text = pipe:read "*l"
  pipe:close()
  return text or "unknown"
end

local function machine(settings)
  local directory = "'" .. settings.directory .. "'"
  return {
    kernel = output_of "uname -sr",
    cpu = output_of "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo",
    cores = output_of "nproc",
    file_system = output_of("stat -f -c %T " .. directory),
    date = os.date "!%Y-%m-%d",
    halo = output_of(("'%s/halo' -v"):format(build)),
  }
end

local function save(rows, about, settings)
  local path = build .. "/bench/" .. settings.results
  local result = { machine = about, rounds = settings.rounds, scale = settings.scale, rows = rows }
  assert(fs.writefile(path, json.encode(result) .. "\n", { atomic = true }))
  print("results: " .. path)
end

local function print_head(about, settings)
  print(("%s, %s cores, %s, %s; medians of %d rounds; auto/C is halo auto's time divided by the "
    .. "better C loop's"):format(about.cpu, about.cores, about.kernel, about.file_system,
      settings.rounds))
end

local bench = {}

---Measures and prints the table.
---@param names string[] of jobs; all where there is none
---@param settings table? rounds, tasks, columns and results, where not as the environment says
function bench.run(names, settings)
  settings = setmetatable(settings or {}, { __index = from_environment() })
  local chosen, here, missing = choose_jobs(names), columns.here(settings.columns)
  local ok, failure = pcall(function()
    make_files(chosen, settings)
    local about = machine(settings)
    local rows = measure_all(chosen, here, settings)
    print_head(about, settings)
    report.print(rows, here)
    for _, column in ipairs(missing) do
      print(("not installed: %s (make bench-deps)"):format(column.what or column.title))
    end
    save(rows, about, settings)
  end)
  remove_files(settings)
  if not ok then error(failure, 0) end
end

if arg[0]:find "run%.lua$" then bench.run { unpack(arg) } end

return bench
