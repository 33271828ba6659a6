-- read.lua: nanoseconds for a random 4 KiB read from the page cache, in plain C and in halo.
--
--     build/halo spec/bench/read.lua [rounds [reads]]
--
-- Every measurement is a process of its own: the C loops of build/bench/read_loops, and this script
-- started again as a child, once for each engine. They take turns, round after round, so that a
-- slow minute of the machine hits all of them alike; the table shows medians.

local halo = require "halo"
local fs = require "halo.fs"
local bit = require "bit"

local READ_SIZE, FILE_SIZE, SEED = 4096, 256 * 1024 * 1024, 1
local DEPTHS = { 1, 128 }
local LOOPS = { "plain", "ring", "fixed" }
local TARGETS = { "buffer", "string" }
local ENGINES = { "auto", "ring", "pool" }

-- ---- the child: one measurement -----------------------------------------------------------------

-- The offsets of next_offset() in read_loops.c. They are made beforehand: the loops below run in
-- the interpreter, where making them would cost a noticeable part of a read.
local function make_offsets(count, pages)
  local offsets, x = {}, SEED
  for i = 1, count do
    x = bit.bxor(x, bit.lshift(x, 13))
    x = bit.bxor(x, bit.rshift(x, 17))
    x = bit.bxor(x, bit.lshift(x, 5))
    offsets[i] = bit.rshift(x, 8) % pages * READ_SIZE
  end
  return offsets
end

local function child(path, target, count, task_count)
  local file = assert(fs.open(path))
  local offsets = make_offsets(count, FILE_SIZE / READ_SIZE)
  local started = 0 -- by all tasks together, so that the reads keep the order of the offsets

  local function read_pages()
    local buffer = target == "buffer" and halo.buffer(READ_SIZE)
    while started < count do
      started = started + 1
      local n = buffer and file:read_into(buffer, READ_SIZE, offsets[started])
        or #file:read(READ_SIZE, offsets[started])
      if n ~= READ_SIZE then error "short read" end
    end
  end

  collectgarbage() -- what making the offsets left behind
  local tasks = {}
  local start = halo.now()
  for i = 1, task_count do tasks[i] = halo.spawn(read_pages) end
  for i = 1, task_count do tasks[i]:join() end
  print((halo.now() - start) / count * 1e9)
end

-- ---- the parent ---------------------------------------------------------------------------------

-- Runs a command that prints one number and returns that number.
local function measure(line)
  local pipe = assert(io.popen(line))
  local number = pipe:read "*n"
  pipe:close()
  return number or error("no figure from: " .. line, 0)
end

-- Runs every command once in each round; returns the medians under the commands' names.
local function measure_in_turns(commands, rounds)
  local figures, medians = {}, {}
  for round = 1, rounds do
    for name, line in pairs(commands) do
      figures[name] = figures[name] or {}
      figures[name][round] = measure(line)
    end
    io.stderr:write("round ", round, " of ", rounds, "\n")
  end
  for name, numbers in pairs(figures) do
    table.sort(numbers)
    medians[name] = numbers[math.ceil(rounds / 2)]
  end
  return medians
end

-- Written back and read once, so that no measurement waits for the disk.
local function make_file(path)
  local piece = ("halo"):rep(256 * 1024)
  local file = assert(fs.open(path, "w+"))
  for offset = 0, FILE_SIZE - 1, #piece do assert(file:write(piece, offset)) end
  assert(file:fsync())
  for offset = 0, FILE_SIZE - 1, #piece do assert(file:read(#piece, offset)) end
  file:close()
end

local function command(...) return "'" .. table.concat({ ... }, "' '") .. "'" end

local function make_commands(build, path, reads)
  local commands = {}
  for _, depth in ipairs(DEPTHS) do
    for _, loop in ipairs(LOOPS) do
      commands[loop .. depth] = command(build .. "/bench/read_loops", loop, path,
        reads, depth, SEED)
    end
    for _, target in ipairs(TARGETS) do
      for _, engine in ipairs(ENGINES) do
        commands[engine .. target .. depth] = command(build .. "/halo", "--engine=" .. engine,
          arg[0], "--child", path, target, reads, depth)
      end
    end
  end
  return commands
end

local function print_table(ns)
  print(("%-24s%8s%10s%12s%18s%18s%18s"):format("", "C pread", "liburing", "registered",
    "halo auto", "halo ring", "halo pool"))
  for _, target in ipairs(TARGETS) do
    for _, depth in ipairs(DEPTHS) do
      local plain, ring = ns["plain" .. depth], ns["ring" .. depth]
      local label = ("%3d at once, to a %s"):format(depth, target)
      io.write(("%-24s%8.0f%10.0f%12.0f"):format(label, plain, ring, ns["fixed" .. depth]))
      for _, engine in ipairs(ENGINES) do
        local own = ns[engine .. target .. depth]
        io.write(("%8.0f %.2f %.2f"):format(own, ring / own, plain / own))
      end
      io.write("\n")
    end
  end
end

local function parent(rounds, reads)
  local build = os.getenv "BUILD_DIR" or "build"
  local path = (os.getenv "TMPDIR" or build .. "/bench") .. "/halo-read.data"
  local ok, failure = pcall(function()
    make_file(path)
    local medians = measure_in_turns(make_commands(build, path, reads), rounds)
    print(("Random cached reads of 4 KiB in ns, medians of %d rounds of %d reads. Behind halo's"):
      format(rounds, reads))
    print "figures: liburing's time at the same depth and plain pread's, divided by halo's."
    print_table(medians)
  end)
  fs.remove(path)
  if not ok then error(failure, 0) end
end

if arg[1] == "--child" then
  child(arg[2], arg[3], tonumber(arg[4]), tonumber(arg[5]))
else
  parent(tonumber(arg[1] or 5), tonumber(arg[2] or 300000))
end
