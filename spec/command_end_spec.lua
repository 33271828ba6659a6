-- How the command ends as other commands of Unix do: when nobody reads what it prints, by signals,
-- and when what it prints cannot be written.

local command = require "spec.support.command"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

---A line of bash, which tells how each part of a pipeline has ended.
local function in_bash(line)
  return run("bash -c " .. quote(line))
end

describe("where nobody reads standard output any more", function()
  local dir = temp.dir()

  local READER = [[
    local halo = require "halo"
    local fs, ffi = halo.fs, require "ffi"
    ffi.cdef "struct pollfd { int fd; short events, revents; }; int poll(void *, long, int);"
    local function wait_for_its_end()
      ffi.C.poll(ffi.new("struct pollfd", 1), 1, 20000)
    end
  ]]

  ---Runs code before a reader that takes one line. Returns that, stderr, and the code's status.
  local function before_head(code)
    local path = dir:file("script.lua", READER .. code)
    local stdout, stderr = in_bash(command.halo(path) .. " | head -n 1; echo ${PIPESTATUS[0]}")
    local line, status = stdout:match "^(.-)\n(%d+)\n$"
    return { line, stderr, tonumber(status) }
  end

  for _, way in ipairs {
    { "print", "while true do print 'x' end" },
    { "io.write", "while true do io.write 'x\\n' end" },
    { "io.stdout", "while true do io.stdout:write 'x\\n' end" },
    { "io.stdout without a buffer",
      "io.stdout:setvbuf 'no' while true do io.stdout:write 'x\\n' end" },
    { "io.flush", "while true do io.write 'x\\n' pcall(io.flush) end" },
    { "halo.stdout with a buffer", "while true do halo.stdout:write 'x\\n' end" },
    { "halo.stdout without one",
      "halo.stdout:setvbuf 'no' while true do halo.stdout:write 'x\\n' end" },
    { "fs.write, with its result looked at",
      "while true do assert(fs.write(halo.stdout, 'x\\n')) end" },
    { "large pieces", "while true do fs.write(halo.stdout, ('x\\n'):rep(1e5)) end" },
    { "an array", "while true do halo.stdout:write({ 'x', '\\n' }, 'x\\n') end" },
    { "a mixture", "while true do print 'x' halo.stdout:write 'x\\n' end" },
    { "a task", "halo.spawn(function() while true do print 'x' end end) halo.sleep(1000)" },
    { "a task, by halo.stdout", [[
      halo.spawn(function() while true do halo.stdout:write 'x\n' end end) halo.sleep(1000)]] },
    { "a scope's task", [[
      halo.scope(function(scope)
        scope:spawn(function() while true do halo.stdout:write 'x\n' end end)
        scope:spawn(halo.sleep, 1000)
      end)]] },
    { "a generator", [[
      local lines = coroutine.wrap(function()
        while true do print 'x' coroutine.yield(1) end
      end)
      while true do lines() end]] },
    { "table.sort", [[
      table.sort({ 2, 1 }, function() while true do print 'x' end end)]] },
    { "one who catches all errors", "while true do pcall(print, 'x') end" },
    { "one who catches all errors of halo",
      "while true do pcall(halo.stdout.write, halo.stdout, 'x\\n') end" },
    { "os.exit", "print 'x' io.stdout:flush() wait_for_its_end() print 'x' os.exit(0)" },
    { "the end", "io.write 'x\\n' io.stdout:flush() wait_for_its_end() print 'x'" },
    { "the end, by halo.stdout",
      "halo.stdout:write 'x\\n' halo.stdout:flush() wait_for_its_end() halo.stdout:write 'x'" },
  } do
    it("the command ends by SIGPIPE: " .. way[1], function()
      assert.same({ "x", "", 141 }, before_head(way[2]))
    end)
  end

  it("ends what waits, and is unwound", function()
    assert.same({ "x", "true\ndeferred\n", 141 }, before_head [[
      halo.scope(function(scope)
        scope:defer(function()
          print "for nobody"
          halo.stdout:write "for nobody"
          io.stderr:write "deferred\n"
          halo.sleep(0.001)
        end)
        local ok, err = pcall(function() while true do print "x" end end)
        io.stderr:write(tostring(halo.is_cancelled(err)), "\n")
        error(err, 0)
      end)]])
  end)

  it("the same goes for standard error", function()
    for _, code in ipairs {
      "while true do io.stderr:write 'x\\n' end",
      "while true do halo.stderr:write 'x\\n' end",
    } do
      local stdout = in_bash(command.halo("-e", code)
        .. " 2>&1 >/dev/null | head -n 1; echo ${PIPESTATUS[0]}")
      assert.equal("x\n141\n", stdout)
    end
  end)

  it("is told, with status 1, where SIGPIPE was ignored", function()
    local stdout, stderr = in_bash("trap '' PIPE; "
      .. command.halo("-e", "while true do print 'x' end") .. " | head -n 1; echo ${PIPESTATUS[0]}")
    assert.equal("x\n1\n", stdout)
    assert.equal("halo: cannot write standard output: Broken pipe\n", stderr)
  end)

  it("other descriptors answer EPIPE", function()
    local there = "cd " .. quote(dir.root) .. "; mkfifo fifo; "
    local stdout, stderr, status = run(there .. command.halo("-e", [[
      local reader, writer = assert(fs.open("fifo", "r+")), assert(fs.open("fifo", "w"))
      reader:close()
      print(select(3, writer:write "x"))
      local pipe = io.popen("true", "w")
      pipe:setvbuf "no"
      repeat local ok, _, code = pipe:write "x" until not ok or code
      print "on"]]))
    assert.same({ "EPIPE\non\n", "", 0 }, { stdout, stderr, status })
  end)

  it("the prompt ends, too", function()
    local stdout = in_bash("printf 'while true do print(1) end\\n2\\n' | "
      .. command.halo("-i") .. " | head -n 1; echo ${PIPESTATUS[1]}")
    assert.equal("> 1\n141\n", stdout)
  end)

  it("a script in the middle of a pipe ends with its reader", function()
    local script = command.halo("-e", "for line in io.lines() do print(line) end")
    local stdout = in_bash("yes | " .. script .. " | head -n 1; echo ${PIPESTATUS[*]}")
    assert.equal("y\n141 141 0\n", stdout)
  end)
end)

describe("the programs that a script starts", function()
  it("ignore no signal on its account", function()
    -- The C library's own, above 31, are not of interest.
    local function ignored(line)
      return tonumber(run(line):match "SigIgn:%s*%x*(%x%x%x%x%x%x%x%x)", 16) % 2 ^ 31
    end
    local grep = "grep SigIgn /proc/self/status"
    local by_halo = command.halo("-e", ("os.execute %q"):format(grep))
    assert.equal(0, ignored(by_halo))
    local trap = "trap '' PIPE; "
    assert.equal(ignored(trap .. grep), ignored(trap .. by_halo))
  end)
end)

describe("the library", function()
  it("touches no signal", function()
    local function dispositions(line) -- but of the C library's own, above 31
      return (run(line):gsub("(%x+)\n", function(bits)
        return tonumber(bits:sub(-8), 16) % 2 ^ 31 .. " "
      end))
    end
    local code = [[
      halo = require "halo"
      local fs = halo.fs
      halo.run(function()
        halo.map({ 1, 2, 3 }, function() return fs.readfile "/proc/self/status" end)
        fs.writefile("/dev/null", "x")
      end)
      for line in io.lines "/proc/self/status" do
        if line:find "^Sig[ICB]" then print(line) end
      end]]
    local plain = code:gsub("halo = .-for", "for", 1)
    local expected = dispositions(command.luajit .. " -e " .. quote(plain))
    assert.matches("SigCgt:", expected)
    assert.equal(expected, dispositions(command.luajit .. " -e " .. quote(code)))
  end)
end)

describe("output that cannot be written", function()
  for _, code in ipairs {
    "print(1)", "io.write(1)", "io.write(('x'):rep(1e5))", "print(1) io.stdout:flush()",
    "halo.stdout:write(1)", "halo.stdout:write(1) halo.stdout:flush()", "print(1) os.exit(0)",
    "halo.stdout:write(1) os.exit()", "halo.spawn(print, 1)",
  } do
    it("is told at the end, with status 1: " .. code, function()
      local stdout, stderr, status = run(command.halo("-e", code) .. " >/dev/full")
      assert.equal("", stdout)
      assert.matches("^halo: [^\n]+\n$", stderr)
      assert.equal(1, status)
    end)
  end

  it("leaves a script's own status", function()
    local _, stderr, status = run(command.halo("-e", "print(1) os.exit(7)") .. " >/dev/full")
    assert.matches("No space left", stderr)
    assert.equal(7, status)
  end)
end)

describe("a signal to end", function()
  local dir = temp.dir()

  local function start(code)
    local path = dir:file("script.lua", "local halo, fs = require 'halo', require 'halo.fs'\n"
      .. "local function ready() io.write 'ready\\n' io.stdout:flush() end\n" .. code)
    local process = command.start(command.halo(path))
    process:await "ready\n"
    return process
  end

  for signal, status in pairs { INT = 130, TERM = 143, HUP = 129 } do
    it("cancels and unwinds, and then the command ends by it: SIG" .. signal, function()
      local process = start [[
        halo.scope(function(scope)
          scope:defer(function() print "deferred" end)
          scope:spawn(halo.sleep, 1000)
          ready()
        end)]]
      process:await_sleep()
      process:signal(signal)
      local stdout, _, ended = process:finish()
      assert.same({ "ready\ndeferred\n", status }, { stdout, ended })
    end)

    it("leaves no unfinished files: SIG" .. signal, function()
      local process = start(([[
        for i = 1, 20 do
          halo.spawn(function()
            while true do
              fs.writefile(%q .. "/area/" .. i, ("x"):rep(1e5), { atomic = true })
            end
          end)
        end
        fs.mkdir(%q .. "/area")
        halo.sleep(0.05)
        ready()
        halo.sleep(1000)]]):format(dir.root, dir.root))
      process:signal(signal)
      local _, _, ended = process:finish()
      assert.equal(status, ended)
      assert.equal("", run("ls -A " .. quote(dir:path "area") .. " | grep halo"))
    end)

    it("ends at once when it comes again: SIG" .. signal, function()
      local process = start [[
        halo.scope(function(scope)
          scope:defer(function() ready() while true do pcall(halo.sleep, 1000) end end)
          ready()
          halo.sleep(1000)
        end)]]
      process:await_sleep()
      process:signal(signal)
      process:await "ready\n"
      process:signal(signal)
      local stdout, _, ended = process:finish()
      assert.same({ "ready\nready\n", status }, { stdout, ended })
    end)

    -- Those that had what they waited for before it came know nothing of it.
    it("ends every task that computes, and what they defer: SIG" .. signal, function()
      local process = start [[
        jit.off()
        local ffi = require "ffi"
        ffi.cdef "long write(int fd, const char *text, size_t size);"
        halo.scope(function(scope)
          for i = 1, 3 do
            scope:spawn(function()
              halo.scope(function(own)
                own:defer(function() print("deferred", (("x"):rep(1e4):gsub("x", ""))) end)
                halo.sleep(0.01)
                halo.shield(function() for _ = 1, 1e5 do end end)
                if i == 1 then ffi.C.write(1, "ready\n", 6) end
                while true do end
              end)
            end)
          end
        end)]]
      process:signal(signal)
      local stdout, _, ended = process:finish()
      local deferred = ("deferred\t\n"):rep(3)
      assert.same({ "ready\n" .. deferred, status }, { stdout, ended })
    end)

    it("stays ignored where it was: SIG" .. signal, function()
      local path = dir:file("script.lua", "print 'ready' io.stdout:flush() print(io.read())")
      local process = command.start("bash -c " .. quote(("trap '' %s; exec %s"):format(signal,
        command.halo(path))))
      process:await "ready\n"
      process:signal(signal)
      process:type "alive\n"
      assert.same({ "ready\nalive\n", "", 0 }, { process:finish() })
    end)
  end

  it("may be answered by a status of the script's own", function()
    local process = start "ready() pcall(halo.sleep, 1000) os.exit(3)"
    process:await_sleep()
    process:signal "TERM"
    assert.same({ "ready\n", "", 3 }, { process:finish() })
  end)
end)
