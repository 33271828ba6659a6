-- What the specs of tasks share.

local halo = require "halo"
local slowness = require "spec.support.slowness"

local tasks = {}

---Seconds that no test waits for, and after which a forgotten task ends after all.
tasks.forever = 20 * slowness

---Starts a task and lets it run up to its first wait.
---@param fn fun(...)
---@return halo.Task
function tasks.start(fn, ...)
  local task = halo.spawn(fn, ...)
  halo.yield()
  return task
end

---Runs a function in a task that was cancelled before, and returns what it returns.
---@param fn fun(): ...
function tasks.run_cancelled(fn)
  local task = tasks.start(function()
    pcall(halo.sleep, tasks.forever)
    return fn()
  end)
  task:cancel()
  return task:join()
end

---Whether joining the task raises the cancellation.
---@param task halo.Task
function tasks.ends_cancelled(task)
  local ok, err = pcall(task.join, task)
  return not ok and halo.is_cancelled(err)
end

---What halo.tasks() says of a task; nil where it has ended.
---@param task halo.Task
---@return halo.TaskInfo?
function tasks.info_of(task)
  local function find(list)
    for _, info in ipairs(list) do
      local found = info.task == task and info or find(info.children)
      if found then
        return found
      end
    end
  end
  return find(halo.tasks())
end

---Its arguments, nils included.
function tasks.pack(...)
  return { n = select("#", ...), ... }
end

---So many rounds of something; fewer where each costs a full collection (HALO_GC=stress).
---@param count integer
function tasks.rounds(count)
  return os.getenv("HALO_GC") == "stress" and math.min(count, 30) or count
end

return tasks
