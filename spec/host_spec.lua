-- halo inside of another program, by way of bindings/halo_lua.h: examples/host.c, which has a loop
-- of its own, runs scripts here.

local command = require "spec.support.command"
local halo = require "halo"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local MOMENT_S = 2 -- what is at once may take as long on a busy machine
local host = command.build_dir .. "/host"

describe("a host", function()
  local dir = temp.dir()

  ---Runs code in the host, with the rest of the line behind it.
  local function run_code(code, rest)
    dir:file("script.lua", code)
    return run(("cd %s && %s script.lua %s"):format(quote(dir.root), quote(host), rest or ""))
  end

  it("runs a script as a task, with arguments", function()
    local stdout, stderr, status = run_code([[
      local halo = require "halo"
      print(halo.current() ~= nil, ...)
    ]], "one 'two words'")
    assert.matches("^true\tone\ttwo words\nhost: %d+ frames\n$", stdout)
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("may limit what the script has, which can lower that before it begins", function()
    local count = [[
      local fs = require "halo.fs"
      local files, file, code = {}
      repeat
        file, _, code = fs.open "."
        files[#files + 1] = file
      until not file
      print(#files, code)
    ]]
    assert.matches("^500\tEMFILE\n", (run_code(count)))
    local change = [[require("halo").configure { max_files = %d };]]
    assert.matches("^40\tEMFILE\n", (run_code(change:format(40) .. count)))
    local _, stderr, status = run_code(change:format(600) .. count)
    assert.matches("max_files can be at most 500, which the host has given", stderr)
    assert.equal(1, status)
    _, stderr, status = run_code(count .. change:format(60))
    assert.matches("configure must come before the first operation", stderr)
    assert.equal(1, status)
  end)

  it("goes on with its own work while the script waits", function()
    local stdout, stderr, status = run_code [[
      local halo = require "halo"
      local start = halo.now()
      halo.sleep(0.2)
      print(halo.now() - start >= 0.2)
    ]]
    local frames = stdout:match("^true\nhost: (%d+) frames\n$")
    assert.is_true(tonumber(frames) >= 3)
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("comes back for timers that end between its own deadlines", function()
    local stdout = run_code [[
      local halo = require "halo"
      local start = halo.now()
      for _ = 1, 20 do halo.sleep(0.001) end
      print(halo.now() - start < 20 / 60)
    ]]
    assert.matches("^true\n", stdout)
  end)

  it("steps through the work of many tasks", function()
    local stdout, stderr, status = run_code [[
      local halo, fs = require "halo", require "halo.fs"
      local names = {}
      for i = 1, 300 do names[i] = "file" .. i end
      halo.map(names, function(name)
        local file = assert(fs.create(name))
        assert(file:write(name))
        return file:close()
      end)
      local contents = halo.map(names, function(name)
        local file = assert(fs.open(name))
        local content = file:read(100)
        file:close()
        return content
      end)
      for i = 1, 300 do assert(contents[i] == names[i]) end
      print(#fs.readdir("."), halo.stats().in_flight, halo.stats().files_open)
    ]]
    assert.matches("^301\t0\t0\nhost: ", stdout)
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("waits for the tasks that a script leaves behind", function()
    local stdout = run_code [[
      local halo = require "halo"
      halo.spawn(function() halo.sleep(0.01) print "task" end)
      print "script"
    ]]
    assert.matches("^script\ntask\nhost: ", stdout)
  end)

  it("hears of a script's error, with its traceback", function()
    local stdout, stderr, status = run_code [[
local function inner() error "boom" end
require("halo").sleep(0.001)
inner()
]]
    assert.matches("^host: %d+ frames\n$", stdout)
    assert.matches("^halo: task %d+ failed: script.lua:1: boom\nstack traceback:\n", stderr)
    assert.matches("\tscript.lua:3: in main chunk\n", stderr, 1, true)
    assert.not_matches("[halo]", stderr, 1, true)
    assert.equal(1, status)
  end)

  it("hears of an error in a task that nobody joins", function()
    local stdout, stderr, status = run_code [[
      local halo = require "halo"
      halo.spawn(function() error "boom" end)
      halo.sleep(0.01)
      print "the script goes on"
    ]]
    assert.matches("^the script goes on\nhost: ", stdout)
    assert.matches("^halo: task %d+ failed: script.lua:2: boom\n", stderr)
    assert.equal(1, status)
  end)

  it("hears of tasks that wait for each other", function()
    local stdout, stderr, status = run_code [[
      local halo = require "halo"
      local script = halo.current()
      halo.scope(function() script:join() end)
    ]]
    assert.equal("", stdout)
    assert.matches("host: deadlock: [^\n]*\n", stderr)
    assert.matches("script.lua:3\n", stderr, 1, true)
    assert.equal(1, status)
  end)

  for _, unusable in ipairs { { "is no Lua", "script.lua" }, { "is missing", "nope.lua" } } do
    it("says that a script " .. unusable[1], function()
      dir:file("script.lua", "x = = 1")
      local stdout, stderr, status = run(quote(host, dir:path(unusable[2])))
      assert.equal("", stdout)
      assert.matches("^host: [^\n]+\n$", stderr)
      assert.matches(unusable[2], stderr, 1, true)
      assert.equal(1, status)
    end)
  end

  it("says how to use it", function()
    assert.same({ "", "usage: host script.lua [argument...]\n", 2 }, { run(quote(host)) })
  end)

  for _, wait in ipairs {
    { "sleeps", "halo.sleep, 1000" },
    { "reads", "fs.read, input, 1" },
  } do
    it("interrupts a script that " .. wait[1] .. ", which cleans up", function()
      local path = dir:file("script.lua", ([[
        local halo, fs = require "halo", require "halo.fs"
        local input = assert(fs.open("/dev/stdin"))
        halo.spawn(function() io.write "ready\n" io.stdout:flush() end)
        print(input:is_open(), pcall(%s))
      ]]):format(wait[2]))
      local process = command.start(quote(host, path))
      process:await("ready\n")
      local begin = halo.now()
      process:signal("INT")
      local stdout, stderr, status = process:finish()
      assert.matches("^ready\ntrue\tfalse\tinterrupted\nhost: %d+ frames\n$", stdout)
      assert.same({ "", 130 }, { stderr, status })
      assert.is_true(halo.now() - begin < MOMENT_S)
    end)
  end
end)

describe("the example", function()
  it("stays below 100 lines", function()
    local count = 0
    for _ in io.lines("examples/host.c") do count = count + 1 end
    assert.is_true(count < 100)
  end)
end)
