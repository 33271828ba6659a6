-- Runs every public call with memory that is out at the Nth allocation, for N = 1, 2 ... until the
-- call ends before it comes to that; once, or from there on. All in one state, which has to go on
-- working. Run in build/faults/halo:
--
--     halo spec/faults/allocations.lua core|lua once|ever [STEP [FROM [PART...]]]
--
-- "core" fails what halo's C asks for, "lua" what the Lua state does. With a STEP only each so
-- manyth N is tried: which, FROM says. Prints what went wrong and how many have failed.

jit.off() -- what LuaJIT has compiled does not stand that memory is out
jit.flush()

local acts = require "spec.faults.acts"
local armed = require "spec.faults.armed"
local halo = require "halo"
local posix = require "spec.support.posix"
local fs = halo.fs

io.stdout:setvbuf "line"

local kind = arg[1] == "lua" and armed.LUA or armed.ALLOCATION
local count = arg[2] == "ever" and armed.EVER or 1
local step, from = tonumber(arg[3] or 1), tonumber(arg[4] or 0)
local WRONG_MAX = 60 -- to be printed
local RUNS_MAX = 3000 -- of one call
local ENOMEM = armed.errors.ENOMEM
local PATIENCE_S = 5

local home = posix.mkdtemp()
local root = home .. "/root"
local runs, wrong = 0, 0

local function tell(act, n, message)
  wrong = wrong + 1
  if wrong <= WRONG_MAX then
    print(("wrong: %s: allocation %d: %s"):format(act.name, n, message))
  end
end

---Leaves no table of the call's results to be allocated.
local function outcome(ok, first, second, third)
  return ok, first, second, third
end

local function is_about_memory(message)
  return type(message) == "string" and (message:find("memory", 1, true) or message:find "ENOMEM")
end

---What is the matter with what a call has brought, if anything.
local function fault_of(ok, first, second, third)
  if not ok then
    return not is_about_memory(tostring(first)) and "it raises " .. tostring(first) or nil
  elseif first == nil and type(second) == "string" and type(third) == "string" then
    local task_is_gone = third == "ESRCH" -- of which memory was the end
    return not is_about_memory(second) and not task_is_gone and "it says " .. second or nil
  end
end

local function wait_for_quiet()
  local start = halo.now()
  while halo.stats().in_flight > 0 do
    halo.yield()
    if halo.now() - start > PATIENCE_S then
      return false
    end
  end
  return true
end

---The call itself. What it has brought is forgotten with this function.
local function make(act, n)
  local subject = act.prepare(root)
  armed.arm(kind, n, ENOMEM, count)
  local ok, first, second, third = outcome(pcall(act.call, subject, root))
  local _, hits = armed.disarm()
  local fault = hits > 0 and fault_of(ok, first, second, third)
  pcall(act.finish, subject)
  acts.close_all { n = 1, first }
  return hits, fault
end

---One run. Returns whether the allocation was reached.
local function run(act, n)
  acts.build(root)
  local before, tasks = acts.count_descriptors(), halo.stats().tasks
  local hits, fault = make(act, n)
  if not wait_for_quiet() then
    fault = "an operation has not ended"
  end
  if acts.count_descriptors() > before or halo.stats().tasks > tasks then
    collectgarbage()
    halo.yield()
    halo.sleep(0.001)
    wait_for_quiet()
  end
  if acts.count_descriptors() > before then
    fault = fault or "a descriptor is left"
  elseif halo.stats().tasks > tasks then
    fault = fault or "a task is left"
  elseif fs.readfile(root .. "/file") == nil and not act.name:find "remove" then
    fault = fault or not fs.exists(root) and "nothing works any more" or nil
  end
  acts.clear(root)
  if hits > 0 then
    runs = runs + 1
  end
  if fault then
    tell(act, n, fault)
  end
  return hits > 0
end

local function is_wanted(act)
  if act.helped then
    return false
  end
  for i = 5, #arg do
    if act.name:find(arg[i], 1, true) then
      return true
    end
  end
  return #arg < 5
end

local start = halo.now()
for i, act in ipairs(acts.list) do
  if is_wanted(act) then
    if kind == armed.LUA then
      run(act, armed.NEVER) -- modules and what else is made once are there now
    end
    local n = 1 + (i + from) % step
    while run(act, n) and n < RUNS_MAX do
      n = n + step
    end
  end
end
os.remove(home)
print(("%d allocations failed, %d went wrong, %.1f s"):format(runs, wrong, halo.now() - start))
os.exit(wrong == 0 and 0 or 1)
