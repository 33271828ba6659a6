-- Puts one bug at a time into a copy of the sources, below build/mutants/, and lets the simulator
-- look for it.
--
--     build/halo spec/simulator/mutate.lua MAKE [SECONDS [WORD]]
--
-- SECONDS is how long it may look for each, 300 by default; WORD picks those whose names have it.

local mutants = require "spec.simulator.mutants"
local survived = require "spec.support.survived"

local make, patience, word = arg[1], tonumber(arg[2]) or 300, arg[3] or ""
local COPIES = "build/mutants"
local SOUND = 1000 -- seeds that find nothing without a bug

local function run(line)
  return os.execute(line) == 0
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

---The copy shares what has been built: only the file with the bug is compiled anew.
local function copy(directory)
  assert(run(([[
    rm -rf %s && mkdir -p %s/spec %s/build &&
    cp -a Makefile core bindings lua examples %s && cp -a spec/support spec/simulator %s/spec &&
    cp -a build/core build/bindings build/simulator build/embedded.* build/code build/compile \
      build/flags build/sources %s/build]]):gsub("%%s", directory)))
end

---Where the text to be replaced stands in the sources, which change.
local function find(mutant)
  local text = read(mutant[2])
  local from, to = text:find(mutant[3], 1, true)
  assert(from, mutant[1] .. ": the text is not there")
  assert(not text:find(mutant[3], to + 1, true), mutant[1] .. ": the text is there twice")
  return text, from, to
end

local function put_in(mutant, directory)
  local path = directory .. "/" .. mutant[2]
  local text, from, to = find(mutant)
  local file = assert(io.open(path, "wb"))
  file:write(text:sub(1, from - 1), mutant[4], text:sub(to + 1))
  file:close()
end

---What found it and how soon, or nil.
local function look(directory)
  local start = os.time()
  local fuzz = "timeout %d build/simulator/halo spec/simulator/fuzz.lua 1 100000000"
  local line = "cd %s && " .. fuzz .. " >output 2>&1; test $? -eq 124"
  if run(line:format(directory, patience)) then
    return nil
  end
  local output = read(directory .. "/output")
  local why = output:match "[^\n]*seed %d+:[^\n]*" or output:match "[^\n]+" or "without a word"
  return ("%3d s, %s"):format(os.time() - start, why:sub(1, 150))
end

for _, mutant in ipairs(mutants) do
  find(mutant)
end
assert(run(make .. " simulator >/dev/null"))
assert(run("build/simulator/halo spec/simulator/fuzz.lua 1 " .. SOUND), "it fails as it is")
local found, total = 0, 0
for _, mutant in ipairs(mutants) do
  if mutant[1]:find(word, 1, true) then
    local directory = COPIES .. "/copy"
    copy(directory)
    put_in(mutant, directory)
    assert(run(("cd %s && %s simulator >build.log 2>&1"):format(directory, make)),
      mutant[1] .. ": does not compile")
    local how = look(directory)
    print(("%-47s %-27s %s"):format(mutant[1], mutant[2], how or "MISSED"))
    io.stdout:flush()
    found, total = found + (how and 1 or 0), total + 1
  end
end
print(("%d of %d bugs found"):format(found, total))
if word == "" then
  survived.tell { name = "mutants", kind = "bugs put in on purpose, and not found", tried = total,
    unit = "bugs", lost = total - found, command = "make mutants" }
end
