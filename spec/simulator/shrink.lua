-- Makes the program of a seed that fails smaller, as long as it fails, and shows what is left.
--
--     build/halo spec/simulator/shrink.lua SIMULATOR SEED

local simulator, seed = arg[1], assert(tonumber(arg[2]), "a seed is missing")
local FUZZ = "spec/simulator/fuzz.lua"

---Runs it without some steps. Returns whether it fails, and what it says.
local function fails(left_out, environment)
  local command = ("%s %s %s %.0f 1 0 %s 2>&1; echo status $?"):format(environment or "", simulator,
    FUZZ, seed, table.concat(left_out, ","))
  local pipe = assert(io.popen(command))
  local output = pipe:read "*a"
  pipe:close()
  return not output:find("status 0\n", 1, true), output
end

local function without(list, from, to)
  local rest = {}
  for i, value in ipairs(list) do
    if i < from or i > to then
      table.insert(rest, value)
    end
  end
  return rest
end

local function complement(kept, steps)
  local keep, rest = {}, {}
  for _, step in ipairs(kept) do
    keep[step] = true
  end
  for step = 1, steps do
    if not keep[step] then
      table.insert(rest, step)
    end
  end
  return rest
end

local failing, output = fails({}, "SIMULATOR_STEPS=1")
if not failing then
  print(("seed %.0f does not fail"):format(seed))
  os.exit(0)
end
local steps = tonumber(output:match "(%d+) steps")
local kept = {}
for step = 1, steps or 0 do
  kept[step] = step
end

-- Halves, then quarters, then ever smaller pieces are left out.
local size = math.ceil(#kept / 2)
while size >= 1 and #kept > 0 do
  local from, smaller = 1, false
  while from <= #kept do
    local rest = without(kept, from, from + size - 1)
    if fails(complement(rest, steps)) then
      kept, smaller = rest, true
    else
      from = from + size
    end
  end
  if size == 1 and not smaller then
    break
  end
  size = math.max(1, math.floor(size / 2))
end

local left_out = complement(kept, steps)
local _, told = fails(left_out, "SIMULATOR_STEPS=1")
print(("seed %.0f fails with %d of its %d steps:"):format(seed, #kept, steps))
print((told:gsub("status %d+\n", "")))
print(("again: %s %s %.0f 1 0 %s"):format(simulator, FUZZ, seed, table.concat(left_out, ",")))
print "SIMULATOR_TRACE=1 before that prints each event"
os.exit(1)
