-- kill -9 in the middle of atomic writes: a name leads to what was there or to all that is new,
-- never to a part, and never to less than a write that has returned. What is left over is called
-- .halo-* and can be removed. KILLS=1000 in the environment says how often.

local build = require "spec.support.build"
local command = require "spec.support.command"
local survived = require "spec.support.survived"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local KILLS = tonumber(os.getenv "KILLS") or 60
local BATCH = 100 -- with one start of the killer
local MOMENT_US = 20000 -- in which a few of the writes are under way
local FILES = 4 -- that are written at once

-- Looks at what the one before it has left, and goes on until it is killed. A generation is a
-- number, as often as the file is long; what has returned is told beside the file, in place.
local script = [[
  local halo, fs = require "halo", require "halo.fs"
  local root, files, area = arg[1], tonumber(arg[2]), arg[3] -- the links, and where they lead

  local function content(generation)
    return ("%07d\n"):format(generation):rep(generation * 7919 % 40000 + 1)
  end

  local function fail(...)
    print("lost", ...)
    os.exit(3)
  end

  local leftovers = 0
  for name in fs.dir(area) do
    if name:match "^%.halo%-" then
      leftovers = leftovers + 1
      assert(fs.remove(area .. "/" .. name))
    elseif not name:match "^%w+$" then
      fail("a stranger", name)
    end
  end
  if leftovers > files then
    fail("leftovers", leftovers)
  end

  local generations, numbers = {}, {}
  for i = 1, files do
    local path, told = root .. "/file" .. i, root .. "/told" .. i
    local text = fs.readfile(path)
    local generation = text and tonumber(text:sub(1, 7)) or 0
    if text and text ~= content(generation) then
      fail("a part", path, #text)
    end
    local before = tonumber(fs.readfile(told) or "") or 0
    if generation < before then
      fail("a write", path, generation, before)
    end
    generations[i], numbers[i] = generation, i
  end

  print("leftovers", leftovers)
  print "ready"
  io.stdout:flush()
  halo.map(numbers, function(i)
    local generation = generations[i]
    local told = assert(fs.open(root .. "/told" .. i, fs.flags.RDWR + fs.flags.CREAT))
    while true do
      generation = generation + 1
      assert(fs.writefile(root .. "/file" .. i, content(generation),
        { atomic = true, sync = generation % 3 == 0 }))
      assert(told:pwrite(("%07d"):format(generation), 0))
    end
  end)
]]

describe("kill -9 #slow", function()
  local dir = temp.dir()
  local killer, why_not = build.program "kill_within"

  for how, path in pairs { ["in place"] = "area", ["through links"] = "links" } do
    it("finds an atomic write done or not, " .. how, function()
      if not killer then
        pending(why_not)
      end
      os.execute(("cd %s && mkdir area links && for i in 1 2 3 4; do echo 0000000 >area/file$i; "
        .. "ln -s ../area/file$i links/file$i; done"):format(quote(dir.root)))
      local at = dir:path(path)
      local program = dir:file("script.lua", script)
      local looks, leftovers = 0, 0
      while looks < KILLS do
        local count = math.min(KILLS - looks, BATCH)
        local stdout, stderr, status = run(quote(killer, "9", tostring(count),
          tostring(MOMENT_US), command.halo_bin, program, at, tostring(FILES), dir:path "area"))
        assert.same({ "", 0 }, { stderr, status }, stdout)
        for left in stdout:gmatch "leftovers\t(%d+)" do
          looks, leftovers = looks + 1, leftovers + tonumber(left)
        end
      end
      assert.equal(KILLS, looks)
      assert.is_true(KILLS < 50 or leftovers > 0, "no write was under way when it was killed")
      survived.tell {
        name = "kill_" .. path, kind = "kill -9 within atomic writes, " .. how, tried = KILLS,
        unit = "kills", lost = 0, command = "make test SPEC=spec/kill_spec.lua KILLS=1000",
      }
    end)
  end
end)
