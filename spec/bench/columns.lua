-- The columns of the table: who does the jobs, and the line of the shell that starts it.

local columns = {}

local build = os.getenv "BUILD_DIR" or "build"

---@class bench.Column
---@field key string
---@field title string
---@field line fun(job: bench.Job, call: bench.Call): string
---@field serial boolean? it does one thing after the other, at whatever number of tasks
---@field test string? a command that tells whether it is here
---@field what string? what its name is in full

---@class bench.Call
---@field job string the job's name in this column
---@field path string what it works on
---@field count integer
---@field tasks integer

local function words(...)
  return "'" .. table.concat({ ... }, "' '") .. "'"
end

local function timed(count, line)
  return ("'%s/bench/timed' %d %s"):format(build, count, line)
end

local function halo(engine)
  return function(job, call)
    local command = words(build .. "/halo", "--engine=" .. engine)
    if job.name == "start" then return timed(10, command .. " -e ''") end
    return command .. " " .. words("spec/bench/by_halo.lua", call.job, call.path, call.count,
      call.tasks)
  end
end

local function c(way)
  return function(job, call)
    return words(build .. "/bench/" .. job.c, way, call.job, call.path, call.count, call.tasks)
  end
end

---Scripts of the other runtimes, or the command that a job names.
local function script(key, start, count)
  return function(job, call)
    if type(job.others[key]) == "string" then return timed(count, job.others[key]) end
    return start .. " " .. words(call.job, call.path, call.count, call.tasks)
  end
end

---Coreutils: the whole process is timed.
local function tool(job, call)
  local command = job.others.tools
  if job.name == "start" then return timed(10, command) end
  local to = job.removes and " " .. words(call.path .. ".copy") or ""
  return timed(1, command .. " " .. words(call.path) .. to)
end

---In the order of measurement, and of the table: what is compared stands together.
---@type bench.Column[]
columns.list = {
  { key = "auto", title = "auto", line = halo "auto" },
  { key = "plain", title = "C", line = c "plain", serial = true },
  { key = "uring", title = "C ring", line = c "ring" },
  { key = "ring", title = "ring", line = halo "ring" },
  { key = "pool", title = "pool", line = halo "pool" },
  {
    key = "luv", title = "luv", what = "luv (lua-luv)", test = [[luajit -e 'require "luv"']],
    line = script("luv", "luajit spec/bench/by_luv.lua"),
  },
  {
    key = "io", title = "LuaJIT", what = "LuaJIT with lfs (lua-filesystem)", serial = true,
    test = [[luajit -e 'require "lfs"']],
    line = script("io", "luajit spec/bench/by_io.lua", 10),
  },
  {
    key = "node", title = "node", test = "node --version",
    line = script("node", "node spec/bench/by_node.mjs", 3),
  },
  { key = "tools", title = "tool", line = tool },
}

---Whether a column does a job.
---@param column bench.Column
---@param job bench.Job
---@return boolean
function columns.does(column, job)
  local key = column.key
  if key == "auto" then return true end
  if key == "ring" or key == "pool" then return not job.passes end
  if key == "plain" then return job.c ~= nil end
  if key == "uring" then return job.ring == true end
  return job.others[key] ~= nil
end

local function is_here(column)
  return not column.test or os.execute(column.test .. " >/dev/null 2>&1") == 0
end

---The columns whose programs are here, and those whose are not.
---@param keys string[]? of the columns that are wanted; all where there is none
---@return bench.Column[] here
---@return bench.Column[] missing
function columns.here(keys)
  local here, missing = {}, {}
  local wanted = keys and " " .. table.concat(keys, " ") .. " "
  for _, column in ipairs(columns.list) do
    if not wanted or wanted:find(" " .. column.key .. " ", 1, true) then
      local list = is_here(column) and here or missing
      list[#list + 1] = column
    end
  end
  return here, missing
end

return columns
