-- Runs every public call with every fault at every place: each answer of the core's operations, or
-- each system call of their twins, fails in turn. Run in build/faults/halo:
--
--     halo spec/faults/cells.lua answers|calls once|ever alone|company [-PART...] [PART...]
--
-- "ever" has all that follow fail as well. What is asked again until it is answered is left out
-- then: spec/core_faults_spec.lua is about that. Calls may be chosen, or left out, by a part of
-- their names.
--
-- Prints each cell that does not do what spec/faults/rules.lua says, then what was tried:
-- `operation fault way count` a line, and the sum.

local acts = require "spec.faults.acts"
local armed = require "spec.faults.armed"
local halo = require "halo"
local posix = require "spec.support.posix"
local rules = require "spec.faults.rules"
local fs = halo.fs

local which, ever, company = arg[1], arg[2] == "ever", arg[3] == "company"
local asked_again = { EINTR = true, ERESTARTSYS = true, EAGAIN = true }
local kind = which == "answers" and armed.ANSWER or armed.CALL
local WRONG_MAX = tonumber(os.getenv "WRONG_MAX" or 60) -- to be printed
local POINTS_MAX = 200 -- of one call

local names = {}
for name in pairs(armed.errors) do
  local can_be = kind == armed.ANSWER or name ~= "ERESTARTSYS" and name ~= "ECANCELED"
  if can_be and not (ever and asked_again[name]) then
    names[#names + 1] = name
  end
end
table.sort(names)

io.stdout:setvbuf "line"
local home = posix.mkdtemp()
local root = home .. "/root"
local cells, wrong = 0, 0
local tried = {} -- operation, fault and way: how often

local count_descriptors = acts.count_descriptors

local function pack(...)
  return { n = select("#", ...), ... }
end

---Makes the call, with others running or without, while something is armed.
local function make(act, subject, nth, error)
  local others, over = nil, false
  if company then
    others = halo.spawn(function()
      while not over do
        halo.yield()
      end
    end)
  end
  armed.arm(kind, nth, error, ever and armed.EVER or 1)
  local results = pack(pcall(act.call, subject, root))
  local seen, hits = armed.disarm()
  over = true
  if others then
    others:join()
  end
  return results, seen, hits
end

---What came of it: whether it was refused, and how that was said.
local function read(results)
  if not results[1] then
    local message = tostring(results[2])
    return { refused = true, raised = true, message = message,
      code = message:match "(%u%u[%u%d]+): " }
  elseif results[2] == nil and type(results[3]) == "string" and type(results[4]) == "string" then
    return { refused = true, message = results[3], code = results[4], count = results.n - 1 }
  end
  return { count = results.n - 1, values = { n = results.n - 1, unpack(results, 2, results.n) } }
end

local function wait_for_quiet()
  local start = halo.now()
  while halo.stats().in_flight > 0 do
    halo.yield()
    if halo.now() - start > 2 then
      return false
    end
  end
  return true
end

---Runs a cell: a fixture, the call with a fault at the Nth place, and a look at all afterwards.
local function run(act, nth, error)
  acts.build(root)
  local before_tree = acts.look(root)
  collectgarbage "stop"
  local before = count_descriptors()
  local subject = act.prepare(root)
  local results, seen, hits = make(act, subject, nth, error)
  local result = read(results)
  local where, way = armed.failed()
  act.finish(subject)
  acts.close_all { n = results.n, unpack(results, 1, results.n) }
  local quiet = wait_for_quiet()
  local after = count_descriptors()
  collectgarbage "restart"
  if after ~= before then
    halo.yield()
    after = count_descriptors()
  end
  local cell = {
    act = act, seen = seen, hits = hits, where = where, way = way, result = result,
    before_tree = before_tree, tree = acts.look(root), leaked = after - before, quiet = quiet,
    works = fs.readfile(root .. "/long_file", "r") ~= nil or fs.exists(root),
    tasks = halo.stats().tasks,
  }
  acts.clear(root)
  return cell
end

local function told(act, nth, fault, cell, message)
  wrong = wrong + 1
  if wrong <= WRONG_MAX then
    print(("wrong: %s: %s at %d, %s%s: %s"):format(act.name, fault, nth, cell.where,
      cell.way ~= "" and " by " .. cell.way or "", message))
  end
end

---All faults at all places of one call.
local function go_through(act)
  local clean = run(act, armed.NEVER, 0)
  if clean.result.refused then
    if not rules.is_absent(clean.result.code) then
      told(act, "no fault", 0, clean, clean.result.message)
    end
    return
  end
  for nth = 1, math.min(clean.seen, POINTS_MAX) do
    for _, fault in ipairs(names) do
      local cell = run(act, nth, armed.errors[fault])
      if cell.hits > 0 then
        cells = cells + 1
        local key = ("%s\t%s\t%s"):format(cell.where, fault, cell.way)
        tried[key] = (tried[key] or 0) + 1
        cell.fault, cell.kind, cell.root, cell.ever = fault, which, root, ever
        for _, message in ipairs(rules.check(cell, clean)) do
          told(act, nth, fault, cell, message)
        end
      end
    end
  end
end

---Whether the call is one of those that are asked for.
local function is_wanted(act)
  local named, chosen = false, false
  for i = 4, #arg do
    local left_out = arg[i]:match "^%-(.+)"
    if left_out and act.name:find(left_out, 1, true) then
      return false
    elseif not left_out then
      named, chosen = true, chosen or act.name:find(arg[i], 1, true) ~= nil
    end
  end
  return not named or chosen
end

local start = halo.now()
for _, act in ipairs(acts.list) do
  if is_wanted(act) then
    go_through(act)
  end
end
os.remove(home)
for name in pairs(armed.ops) do
  print("operation:\t" .. name)
end
print("faults:\t" .. table.concat(names, "\t"))
for key, count in pairs(tried) do
  print(("tried:\t%s\t%d"):format(key, count))
end
print(("%d cells, %d went wrong, %.1f s"):format(cells, wrong, halo.now() - start))
os.exit(wrong == 0 and 0 or 1)
