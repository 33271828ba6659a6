-- The command halo: what its arguments mean, what it says of a failure, and how it ends.

local command = require "spec.support.command"
local halo = require "halo"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local MOMENT_S = 2 -- what is at once may take as long on a busy machine

---The text is in what was said, as it is.
local function says(text, said)
  assert.matches(text, said, 1, true)
end

---Nothing in a report is of halo's own.
local function is_free_of_halo(report)
  assert.not_matches("[halo]", report, 1, true)
  assert.not_matches("[C]: at ", report, 1, true)
end

---A new Lua file in the directory; returns the start of a command in there.
local function script(dir, code, name)
  dir:file(name or "script.lua", code)
  return ("cd %s && "):format(quote(dir.root))
end

describe("halo's arguments", function()
  local dir = temp.dir()

  -- Prints arg from the program's name on, and what the chunk was passed.
  local show_arg = [[
    local first = 0
    while arg[first - 1] do first = first - 1 end
    for i = first + 1, math.max(#arg, 0) do print(i, arg[i]) end
    print("...", ...)
  ]]

  for _, arguments in ipairs {
    "show.lua",
    "show.lua one 'two words' ''",
    "-- show.lua -e x",
    "show.lua -v --engine=pool -",
    "- one two <show.lua",
  } do
    it("make arg as luajit makes it: " .. arguments, function()
      local there = script(dir, show_arg, "show.lua")
      local expected = run(there .. command.luajit .. " " .. arguments)
      assert.same({ expected, "", 0 }, { run(there .. command.halo() .. " " .. arguments) })
    end)
  end

  it("make arg with options below the script, as luajit does", function()
    local there = script(dir, show_arg, "show.lua")
    local rest = " -e 'x = 1' -e 'assert(arg[0] == [[show.lua]])' show.lua one"
    assert.equal(run(there .. command.luajit .. rest), (run(there .. command.halo() .. rest)))
  end)

  it("has the program's name in front of all", function()
    local stdout = run(command.halo("-e", "print(arg[-3], arg[-2], arg[0])"))
    assert.equal(command.halo_bin .. "\t-e\tnil\n", stdout)
  end)

  it("run -e chunks in their order, in one global environment", function()
    assert.same({ "1\n", "", 0 }, { run(command.halo("-e", "x = 1", "-e", "print(x)")) })
  end)

  it("run -e chunks before the script", function()
    local there = script(dir, "print(x, ...)")
    local line = there .. command.halo("-e", "x = 'set'", "script.lua", "one")
    assert.same({ "set\tone\n", "", 0 }, { run(line) })
  end)

  it("run no script after a chunk that has failed", function()
    local there = script(dir, "print 'must not run'")
    local stdout, stderr, status = run(there .. command.halo("-e", "error 'no'", "script.lua"))
    assert.same({ "", 1 }, { stdout, status })
    says("halo: (command line):1: no\n", stderr)
  end)

  it("run standard input for -", function()
    local line = "echo 'print(arg[0], ...)' | " .. command.halo("-", "one", "two")
    assert.same({ "-\tone\ttwo\n", "", 0 }, { run(line) })
  end)

  for _, option in ipairs { "-v", "--version" } do
    it("say versions, kernel and engine for " .. option, function()
      local stdout, stderr, status = run(command.halo(option))
      assert.matches("^halo %d+%.%d+%.%d+", stdout)
      assert.matches(jit.version, stdout, 1, true)
      assert.matches("Linux " .. run("uname -r"):gsub("\n", ""), stdout, 1, true)
      assert.matches("\nengine: " .. halo.engine() .. " %(.+%)\nprompt: .+\n$", stdout)
      assert.same({ "", 0 }, { stderr, status })
    end)
  end

  for _, option in ipairs { "-h", "--help" } do
    it("explain themselves for " .. option, function()
      local stdout, stderr, status = run(command.halo(option))
      assert.matches("^usage: halo ", stdout)
      for _, word in ipairs { "-e", "-i", "-v", "-h", "--engine=", "HALO_ENGINE" } do
        says(word, stdout)
      end
      assert.same({ "", 0 }, { stderr, status })
    end)
  end

  for _, wrong in ipairs {
    { "-x", says = "-x" },
    { "-e", says = "-e" },
    { "--engine=foo", "-e", "print 'ran'", says = "foo" },
    { "--engine=", "-e", "print 'ran'", says = "engine" },
  } do
    it("are refused with the usage and status 2: " .. table.concat(wrong, " "), function()
      local stdout, stderr, status = run("unset HALO_ENGINE; " .. command.halo(unpack(wrong)))
      assert.equal("", stdout)
      assert.matches("^halo: .*\nusage: halo ", stderr)
      says(wrong.says, stderr:match("^[^\n]*"))
      assert.equal(2, status)
    end)
  end
end)

describe("a script", function()
  local dir = temp.dir()

  it("may start with #!, and is a command then", function()
    dir:file("tool", "#!" .. command.halo_bin .. "\nprint(arg[0], ...)\nerror 'third line'\n")
    local stdout, stderr, status = run(("cd %s; chmod +x tool; ./tool 1 2"):format(quote(dir.root)))
    assert.equal("./tool\t1\t2\n", stdout)
    assert.matches("^halo: %./tool:3: third line\n", stderr)
    assert.equal(1, status)
  end)

  it("runs as a task", function()
    local there = script(dir, [[
      local halo = require "halo"
      local order = {}
      local task = halo.spawn(function() table.insert(order, "task") end)
      table.insert(order, "script")
      task:join()
      print(table.concat(order, " "), halo.current() ~= nil)
    ]])
    assert.same({ "script task\ttrue\n", "", 0 }, { run(there .. command.halo("script.lua")) })
  end)

  it("is waited for with all of its tasks", function()
    local there = script(dir, [[
      local halo = require "halo"
      halo.spawn(function()
        halo.sleep(0.01)
        halo.spawn(function() halo.yield() print "last" end)
      end)
      print "script"
    ]])
    assert.same({ "script\nlast\n", "", 0 }, { run(there .. command.halo("script.lua")) })
  end)

  for _, unusable in ipairs {
    { "that is missing", "nope.lua", "cannot open nope.lua: No such file or directory" },
    { "that is a directory", ".", "cannot read .: Is a directory" },
    { "that is no Lua", "script.lua", "script.lua:1: unexpected symbol near '='" },
  } do
    it(unusable[1] .. " is told in one line, with status 1", function()
      local there = script(dir, "x = = 1")
      local stdout, stderr, status = run(there .. command.halo(unusable[2]))
      assert.equal("", stdout)
      assert.matches("^halo: [^\n]+\n$", stderr)
      says(unusable[3], stderr)
      is_free_of_halo(stderr)
      assert.equal(1, status)
    end)
  end

  it("on standard input has its mistakes told by line", function()
    local stdout, stderr, status = run("printf '\\nx = = 1\\n' | " .. command.halo("-"))
    assert.same({ "", 1 }, { stdout, status })
    assert.equal("halo: stdin:2: unexpected symbol near '='\n", stderr)
  end)
end)

-- Error values that are no strings, and how they are told.
local peculiar = {
  { "a table", "{}", "%(error object is a table value%)" },
  { "an object that describes itself",
    "setmetatable({}, { __tostring = function() return 'mine' end })", "mine" },
  { "an object that fails to describe itself",
    "setmetatable({}, { __tostring = function() error 'worse' end })", "[^\n]+" },
}

describe("an error in a script", function()
  local dir = temp.dir()

  ---Runs the code; returns what it reported, having checked the status and that it went no further.
  local function report(code)
    local there = script(dir, code)
    local stdout, stderr, status = run(there .. command.halo("script.lua"))
    assert.equal("", stdout)
    assert.equal(1, status)
    is_free_of_halo(stderr)
    return stderr
  end

  it("is told with the way through the script's own lines, and no other", function()
    assert.equal([[
halo: script.lua:2: boom
stack traceback:
	[C]: in function 'error'
	script.lua:2: in function 'inner'
	script.lua:5: in function 'outer'
	script.lua:8: in main chunk
]], report [[
local function inner()
  error "boom"
end
local function outer()
  inner()
  return 1
end
outer()
]])
  end)

  it("that a call of halo raises is told at the line of the call", function()
    assert.matches("^halo: script.lua:2: bad argument #1 to 'read' %(.*%)\nstack traceback:\n"
      .. "\tscript.lua:2: in function 'misuse'\n\tscript.lua:4: in main chunk\n$", report [[
local function misuse()
  require("halo.fs").read(1)
end
misuse()
]])
  end)

  it("that assert makes of a refusal is told at the line of the assert", function()
    local stderr = report [[
local fs = require "halo.fs"
assert(fs.stat("/nope"))
]]
    assert.matches("^halo: [^\n]*ENOENT: no such file or directory: /nope\n", stderr)
    says("\tscript.lua:2: in main chunk\n", stderr)
  end)

  it("after a wait keeps the way that led there", function()
    local stderr = report [[
local function later()
  require("halo").sleep(0.001)
  error "late"
end
later()
]]
    assert.matches("^halo: script.lua:3: late\n", stderr)
    says("\tscript.lua:3: in function 'later'\n\tscript.lua:5: in main chunk\n", stderr)
  end)

  it("in a module shows the module's lines", function()
    dir:file("module.lua", "local x = nil\nreturn x.field\n")
    local stderr = report "\nrequire 'module'\n"
    says("module.lua:2: attempt to index local 'x' (a nil value)", stderr)
    says("\tscript.lua:2: in main chunk\n", stderr)
  end)

  it("from a task that it joins shows the lines of both", function()
    local stderr = report [[
local halo = require "halo"
local task = halo.spawn(function()
  error "inside"
end)
task:join()
]]
    assert.matches("^halo: script.lua:3: inside\n", stderr)
    says("script.lua:5: in main chunk", stderr)
    says("script.lua:3: in function", stderr)
  end)

  for _, value in ipairs(peculiar) do
    it("may be " .. value[1], function()
      local stderr = report("error(" .. value[2] .. ")")
      assert.matches("^halo: " .. value[3] .. "\n", stderr)
      says("script.lua:1: in main chunk", stderr)
    end)
  end

  it("may be nil, which says nothing: busted ends so", function()
    assert.equal("", report "error(nil)")
  end)

  it("may be a stack that overflows", function()
    local stderr = report "local function f() return 1 + f() end\nf()"
    -- LuaJIT does not always leave the handler the room that a traceback needs.
    assert.matches("^halo: [^\n]*stack overflow", stderr)
  end)

  it("comes after all that was printed", function()
    local stdout = run(command.halo("-e", "io.write 'printed;' error 'failed'") .. " 2>&1")
    assert.matches("^printed;halo: %(command line%):1: failed\n", stdout)
  end)
end)

describe("an error in a task that nobody joins", function()
  local dir = temp.dir()

  ---Runs a script that goes on after the code's failure; returns the report.
  local function report(code)
    local there = script(dir, "local halo = require 'halo'\n" .. code
      .. "\nhalo.sleep(0.01)\nprint 'the script goes on'\n")
    local stdout, stderr, status = run(there .. command.halo("script.lua"))
    assert.equal("the script goes on\n", stdout)
    assert.equal(1, status)
    is_free_of_halo(stderr)
    return stderr
  end

  it("is told with its traceback, and makes the status 1 in the end", function()
    local stderr = report [[
local function inner()
  error "boom"
end
halo.spawn(function()
  inner()
  return 1
end)]]
    assert.matches("^halo: task %d+ failed: script.lua:3: boom\n", stderr)
    says("\n\t[C]: in function 'error'\n\tscript.lua:3: in function 'inner'\n"
      .. "\tscript.lua:6: in function <script.lua:5>\n", stderr)
  end)

  it("is told once for each of them", function()
    local stderr = report "for i = 1, 3 do halo.spawn(function() error('number ' .. i) end) end"
    local _, count = stderr:gsub("halo: task %d+ failed: script.lua:2: number ", "")
    assert.equal(3, count)
    for i = 1, 3 do
      says("number " .. i .. "\n", stderr)
    end
  end)

  for _, value in ipairs(peculiar) do
    it("may be " .. value[1], function()
      local stderr = report("halo.spawn(function()\nerror(" .. value[2] .. ")\nend)")
      assert.matches("^halo: task %d+ failed: " .. value[3] .. "\n", stderr)
      says("\tscript.lua:3: in function", stderr)
    end)
  end

  it("may be nil, and is told in this place", function()
    local stderr = report "halo.spawn(function() error(nil) end)"
    assert.matches("^halo: task %d+ failed: [^\n]*nil[^\n]*\n", stderr)
    says("\tscript.lua:2: in function", stderr)
  end)

  it("is told although os.exit comes first", function()
    local there = script(dir, [[
      local halo = require "halo"
      halo.spawn(function() error "boom" end)
      halo.yield()
      os.exit(5)
    ]])
    local stdout, stderr, status = run(there .. command.halo("script.lua"))
    assert.same({ "", 5 }, { stdout, status })
    assert.matches("^halo: task %d+ failed: script.lua:2: boom\n", stderr)
  end)

  it("is not told where somebody joins it later", function()
    local there = script(dir, [[
      local halo = require "halo"
      local task = halo.spawn(function() error "boom" end)
      halo.sleep(0.01)
      print(pcall(task.join, task))
    ]])
    local stdout, stderr, status = run(there .. command.halo("script.lua"))
    assert.same({ "false\tscript.lua:2: boom\n", "", 0 }, { stdout, stderr, status })
  end)
end)

describe("os.exit", function()
  local dir = temp.dir()

  for _, exit in ipairs {
    { "os.exit()", 0 },
    { "os.exit(true)", 0 },
    { "os.exit(false)", 1 },
    { "os.exit(7)", 7 },
    { "os.exit(0, true)", 0 },
    { "coroutine.wrap(function() os.exit(6) end)()", 6 },
    { "table.sort({ 1, 2 }, function() os.exit(4) end)", 4 },
    { "halo = require 'halo'; halo.spawn(os.exit, 5); halo.sleep(1000)", 5 },
  } do
    it("ends the process: " .. exit[1], function()
      local line = command.halo("-e", "io.write 'kept'", "-e", exit[1])
      assert.same({ "kept", "", exit[2] }, { run(line) })
    end)
  end

  -- The input is a FIFO with a writer that says nothing: whoever reads waits for ever.
  it("ends what is in flight", function()
    local start = halo.now()
    local there = script(dir, [[
      local halo, fs = require "halo", require "halo.fs"
      for _ = 1, 20 do
        halo.spawn(function()
          local input = assert(fs.open("/dev/stdin"))
          input:read(1)
          print "must not come here"
        end)
      end
      halo.spawn(function() halo.sleep(1000) end)
      for _ = 1, 10 do halo.yield() end
      halo.sleep(0.01)
      print(halo.stats().tasks)
      os.exit(3)
    ]])
    local stdout, stderr, status = run(there .. "mkfifo quiet && exec 3<>quiet && "
      .. command.halo("script.lua") .. " <&3")
    assert.same({ "22\n", "", 3 }, { stdout, stderr, status })
    assert.is_true(halo.now() - start < MOMENT_S)
  end)

  it("lets no effect on a file come later", function()
    local there = script(dir, [[
      local halo, fs = require "halo", require "halo.fs"
      for i = 1, 200 do
        halo.spawn(function()
          fs.mkdir("area/dir" .. i)
          fs.create("area/file" .. i):write(("x"):rep(10000))
        end)
      end
      halo.yield()
      os.exit(0)
    ]])
    assert.same({ "", "", 0 }, { run(there .. "mkdir area && " .. command.halo("script.lua")
      .. " && ls -l area >list && " .. command.halo("-e", "") .. " && ls -l area | cmp list -") })
  end)
end)

describe("SIGINT", function()
  local dir = temp.dir()

  ---Starts code; returns when it has said that it is ready.
  local function start(code)
    local path = dir:file("script.lua", "local halo, fs = require 'halo', require 'halo.fs'\n"
      .. "local function ready() io.write 'ready\\n' io.stdout:flush() end\n" .. code)
    local process = command.start(command.halo(path))
    process:await("ready\n")
    return process
  end

  for _, wait in ipairs {
    { "a sleep", "ready() halo.sleep(1000)" },
    { "a read", "ready() fs.read(assert(fs.open('/dev/stdin')), 1)" },
    { "a join", "ready() halo.spawn(function() halo.sleep(1000) end):join()" },
    { "many tasks", "for _ = 1, 100 do halo.spawn(halo.sleep, 1000) end halo.yield() ready()" },
    { "a sleep in a callback", "ready() table.sort({ 1, 2 }, function() halo.sleep(20) end)" },
    { "a read in a callback", "local input = assert(fs.open('/dev/stdin')) ready()\n"
      .. "table.sort({ 1, 2 }, function() input:read(1) end)" },
  } do
    it("ends " .. wait[1] .. " with status 130", function()
      local process = start(wait[2])
      process:await_sleep()
      local begin = halo.now()
      process:signal("INT")
      assert.same({ "ready\n", "", 130 }, { process:finish() })
      assert.is_true(halo.now() - begin < MOMENT_S)
    end)
  end

  it("raises in the task that waits, which can clean up", function()
    local process = start "halo.spawn(ready) print(pcall(halo.sleep, 1000))"
    process:await_sleep()
    process:signal("INT")
    local stdout, _, status = process:finish()
    assert.matches("^ready\nfalse\t[^\n]*interrupted\n$", stdout)
    assert.equal(130, status)
  end)

  it("ends the process where it comes when the state is going already", function()
    local _, stderr, status = command.run(command.halo("-e", [[
      local ffi = require "ffi"
      ffi.cdef "int raise(int);"
      -- Those of Lua's own files are the last finalizers, since these are the first userdata.
      getmetatable(io.stdout).__gc = function(file)
        if file == io.stdin then
          ffi.C.raise(2)
        end
      end]]))
    assert.same({ "", 130 }, { stderr, status })
  end)

  ---TSAN keeps a signal back until its program calls something that it knows.
  local function is_deaf()
    if (os.getenv "SANITIZE" or ""):find("thread", 1, true) then
      pending "TSAN delivers no signal to a loop that computes"
      return true
    end
  end

  it("ends a loop that computes", function()
    if is_deaf() then
      return
    end
    local process = start "jit.off() ready() while true do end"
    process:signal("INT")
    local stdout, _, status = process:finish()
    assert.same({ "ready\n", 130 }, { stdout, status })
  end)

  it("ends a loop that is compiled when it comes again", function()
    if is_deaf() then
      return
    end
    local process = start [[
      local n = 0
      for i = 1, 1e5 do n = n + i % 7 end
      ready()
      while true do n = n + 1 end
    ]]
    local begin = halo.now()
    repeat
      local alive = process:signal("INT")
    until not alive
    local stdout, _, status = process:finish()
    assert.same({ "ready\n", 130 }, { stdout, status })
    assert.is_true(halo.now() - begin < MOMENT_S)
  end)
end)
