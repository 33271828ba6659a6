local halo = require "halo"
local fs, process = halo.fs, halo.process
local eventually = require "spec.support.eventually"
local slowness = require "spec.support.slowness"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"

local BIG = ("0123456789abcde\n"):rep(65536) -- 1 MiB, more than pipes have

---Misuse is told at the line of the caller, which is in this file.
local function raises_here(text, call)
  local ok, message = pcall(call)
  assert.is_false(ok)
  assert.truthy(message:find("^[^:]*process_spec%.lua:%d+: "))
  assert.truthy(message:find(text, 1, true), message)
end

---A process whose number is free again has been reaped.
local function is_gone(pid)
  return not fs.exists("/proc/" .. pid)
end

---Ignores TERM, and says when it does.
local DEAF = "trap '' TERM; echo deaf; while :; do sleep 0.05; done"

---The descriptors that a process finds, from `ls -l /proc/self/fd`.
local function descriptors(options)
  options[1], options[2], options[3] = "sh", "-c", "ls /proc/$$/fd"
  local output = process.run(options)
  return (output:gsub("\n", " "))
end

describe("process.run", function()
  local dir = temp.dir()

  it("gives what was written and the exit code", function()
    assert.same({ "hello 42\n", 0 }, { process.run { "echo", "hello", 42 } })
    assert.same({ "", 3 }, { process.run { "sh", "-c", "exit 3" } })
  end)

  it("tells of a signal as a shell does", function()
    assert.same({ "", 137 }, { process.run { "sh", "-c", "kill -9 $$" } })
  end)

  it("gives the process what it is to read, and takes as much as it writes", function()
    local output, status = process.run { "cat", input = BIG }
    assert.is_true(output == BIG)
    assert.equal(0, status)
    assert.same({ "", 0 }, { process.run { "cat", input = "" } })
  end)

  it("does not mind one that reads less", function()
    assert.same({ "", 0 }, { process.run { "true", input = BIG } })
  end)

  it("takes standard error apart, or together", function()
    local script = "echo out; echo err >&2"
    assert.same({ "out\n", 0, "err\n" }, { process.run { "sh", "-c", script, stderr = "pipe" } })
    assert.same({ "out\nerr\n", 0 }, { process.run { "sh", "-c", script, stderr = "stdout" } })
    assert.same({ "out\n", 0 }, { process.run { "sh", "-c", script, stderr = "null" } })
    assert.same({ "", 0, "err\n" },
      { process.run { "sh", "-c", script, stdout = "null", stderr = "pipe" } })
  end)

  it("uses Files as streams", function()
    local file = fs.open(dir:path "out", "w+", { buffer = true })
    file:write "first\n"
    assert.same({ "", 0 }, { process.run { "echo", "second", stdout = file } })
    assert.equal("first\nsecond\n", file:pread(100, 0))
    file:seek("set", 0)
    assert.same({ "first\nsecond\n", 0 }, { process.run { "cat", stdin = file } })
    file:close()
  end)

  it("runs where it is told to, by a path or a Dir", function()
    local root = fs.realpath(dir.root)
    assert.equal(root .. "\n", (process.run { "pwd", "-P", cwd = root }))
    local place = fs.at(root)
    assert.equal(root .. "\n", (process.run { "pwd", "-P", cwd = place }))
    place:close()
  end)

  it("adds to the environment, takes away from it, or starts from nothing", function()
    local script = "echo $HALO_A$HALO_B; [ -n \"$PATH\" ]"
    assert.same({ "12\n", 0 }, { process.run { "sh", "-c", script,
      env = { HALO_A = 1, HALO_B = "2" } } })
    assert.same({ "\n", 1 }, { process.run { "/bin/sh", "-c", "echo $HOME; env | grep -q ^PATH=",
      env = { PATH = false, HOME = false } } })
    assert.equal("A=1\n", (process.run { "env", env = { A = "1" }, clear_env = true }))
    assert.equal("", (process.run { "env", clear_env = true }))
  end)

  it("leaves no other descriptor to the process", function()
    local file = fs.open("/dev/null")
    assert.equal("0 1 2 ", descriptors {})
    assert.equal("0 1 2 ", descriptors { stdin = file, stderr = "pipe", input = nil })
    file:close()
  end)

  it("lets the process have no signal blocked, nor SIGPIPE ignored", function()
    local status = process.run { "cat", "/proc/self/status" }
    assert.equal(0, tonumber(status:match "SigBlk:%s*(%x+)", 16))
    local ignored = tonumber(status:match "SigIgn:%s*%x*(%x%x%x%x)", 16)
    assert.equal(0, math.floor(ignored / 2 ^ 12) % 2)
  end)

  it("runs many at once", function()
    local numbers = {}
    for i = 1, 200 do
      numbers[i] = i
    end
    local outputs = halo.map(numbers, function(i)
      return (process.run { "echo", i })
    end, 50)
    for i = 1, 200 do
      assert.equal(i .. "\n", outputs[i])
    end
  end)

  it("ends the process when its time is up", function()
    local result = { process.run { "sh", "-c", "echo $$ >pid; exec sleep 100", cwd = dir.root,
      timeout = 0.2 } }
    assert.is_nil(result[1])
    assert.equal("ETIMEDOUT", result[3])
    local pid = tonumber(fs.readfile(dir:path "pid") or "") -- it may not have come so far
    assert.is_true(pid == nil or is_gone(pid))
  end)

  it("works where a task cannot wait", function()
    local result
    ("x"):gsub("x", function()
      result = { process.run { "sh", "-c", "cat; echo err >&2; exit 5", input = BIG,
        stderr = "pipe" } }
    end)
    assert.is_true(result[1] == BIG)
    assert.same({ 5, "err\n" }, { result[2], result[3] })
  end)
end)

describe("a command that cannot be started", function()
  local refused = {
    ["does not exist"] = { "halo-no-such-command", code = "ENOENT" },
    ["is no program"] = { "/dev/null", code = "EACCES" },
    ["is a directory"] = { "/", code = "EACCES" },
    ["has no directory to start in"] = { "true", cwd = "/no/such", code = "ENOENT" },
    ["starts in what is no directory"] = { "true", cwd = "/dev/null", code = "ENOTDIR" },
    ["has more arguments than there may be"] = { "true", ("x"):rep(3e6), code = "E2BIG" },
  }
  for what, options in pairs(refused) do
    it(what, function()
      local code = options.code
      options.code = nil
      for _, call in ipairs { process.run, process.spawn } do
        local result, message, got = call(options)
        assert.is_nil(result)
        assert.equal(code, got)
        assert.truthy(message:find(options.cwd or options[1], 1, true))
      end
    end)
  end
end)

describe("misuse of processes", function()
  local wrong = {
    { "no command", {}, "a command expected" },
    { "an empty command", { "" }, "a command expected" },
    { "a word that is no string", { "ls", {} }, "word 2 of the command: string expected" },
    { "a NUL", { "ls", "a\0b" }, "word 2 of the command contains a NUL byte" },
    { "an unknown option", { "ls", shell = true }, "no option 'shell'" },
    { "a stream that is a text", { "cat", stdin = "text" }, "as input" },
    { "a stream that is no stream", { "cat", stdout = 1 }, "a File expected, got number" },
    { "a variable with =", { "ls", env = { ["A=B"] = "1" } }, "no variable can be called 'A=B'" },
    { "a variable that is true", { "ls", env = { A = true } }, "or false, expected for A" },
    { "a cwd that is none", { "ls", cwd = 1 }, "cwd: a path or a Dir expected" },
    { "a grace that is no time", { "ls", grace = -1 }, "grace: a number of seconds" },
    { "no table", "ls", "table expected, got string" },
  }
  for _, case in ipairs(wrong) do
    it("raises for " .. case[1], function()
      for _, name in ipairs { "run", "spawn" } do
        raises_here(case[3], function()
          process[name](case[2])
        end)
      end
    end)
  end

  it("raises for input and stdin at once", function()
    raises_here("leave stdin out", function()
      process.run { "cat", input = "x", stdin = "null" }
    end)
  end)

  it("raises for a signal that is none", function()
    local self = process.spawn { "cat" }
    raises_here("no signal: NOPE", function()
      self:kill "NOPE"
    end)
    raises_here("a colon before kill", function()
      self.kill()
    end)
    self.stdin:close()
    self.stdout:close()
    self:wait()
  end)
end)

describe("process.spawn", function()
  it("gives a process with streams", function()
    local self = process.spawn { "cat" }
    assert.equal(("process (cat, %d)"):format(self.pid), tostring(self))
    assert.is_nil(self.stderr)
    self.stdin:write "one\n"
    assert.equal("one\n", self.stdout:read(100))
    self.stdin:close()
    assert.is_nil(self.stdout:read(100))
    self.stdout:close()
    assert.equal(0, self:wait())
    assert.equal(0, self:wait())
    assert.equal(("process (cat, %d, status 0)"):format(self.pid), tostring(self))
    assert.is_true(is_gone(self.pid))
  end)

  it("sends signals, by name and number", function()
    for _, signal in ipairs { "KILL", "SIGKILL", "kill", 9 } do
      local self = process.spawn { "sleep", "100", stdin = "null", stdout = "null" }
      assert.is_true(self:kill(0))
      assert.is_true(self:kill(signal))
      assert.same({ 137, "KILL" }, { self:wait() })
      assert.equal("ESRCH", select(3, self:kill()))
    end
  end)

  it("ends a group of processes together", function()
    local self = process.spawn { "sh", "-c", "sleep 100 & echo $!; wait", stdin = "null" }
    local pid = tonumber(self.stdout:read(100))
    assert.is_true(self:kill())
    self:wait()
    eventually("the other process ends", function()
      local state = (fs.readfile("/proc/" .. pid .. "/stat") or ""):match "%) (%S)"
      return state == nil or state == "Z" -- its new parent may not reap it at once
    end)
    self.stdout:close()
  end)

  it("lets several tasks wait for the same one", function()
    local self = process.spawn { "cat", stdout = "null" }
    local function wait()
      return (self:wait())
    end
    local waiting = { tasks.start(wait), tasks.start(wait), tasks.start(wait) }
    self.stdin:close()
    for _, task in ipairs(waiting) do
      assert.equal(0, task:join())
    end
  end)
end)

describe("a process in a scope", function()
  local dir = temp.dir()

  it("keeps the scope until it has ended", function()
    local self
    halo.scope(function()
      self = process.spawn { "sleep", "0.1", stdin = "null", stdout = "null" }
    end)
    assert.is_true(is_gone(self.pid))
    assert.equal(0, self:wait())
  end)

  it("is ended with it, by TERM", function()
    local self
    local ok, err = pcall(halo.scope, function()
      self = process.spawn { "sleep", "100", stdin = "null", stdout = "null" }
      error("enough", 0)
    end)
    assert.same({ false, "enough" }, { ok, err })
    assert.is_true(is_gone(self.pid))
    assert.same({ 143, "TERM" }, { self:wait() })
  end)

  ---Starts a process in a scope that is cancelled while it waits for it, once act has returned.
  local function cancelled(options, act)
    local self
    pcall(halo.scope, function()
      self = process.spawn(options)
      act(self)
      halo.spawn(function() self:wait() end)
      halo.yield()
      error("enough", 0)
    end)
    return self
  end

  it("is killed after the grace where it ignores TERM", function()
    local options = { "sh", "-c", DEAF, stdin = "null", grace = 0.1 }
    local self = cancelled(options, function(self) self.stdout:read(100) end)
    assert.is_true(is_gone(self.pid))
    assert.same({ 137, "KILL" }, { self:wait() })
    self.stdout:close()
  end)

  it("is ended even if it is stopped", function()
    local options = { "sleep", "100", stdin = "null", stdout = "null" }
    local self = cancelled(options, function(self) self:kill "STOP" end)
    assert.is_true(is_gone(self.pid))
  end)

  it("is not forgotten by one that is cancelled while it starts", function()
    for i = 1, 50 do
      halo.timeout(i % 10 / 2000, function()
        process.spawn { "sh", "-c", "echo $$ >>pids; exec sleep 100", cwd = dir.root, grace = 0.05 }
        halo.sleep(tasks.forever)
      end)
    end
    for pid in (fs.readfile(dir:path "pids") or ""):gmatch "%d+" do
      eventually("each process is gone", function()
        return is_gone(pid)
      end)
    end
  end)

  it("goes on in a shield", function()
    local status
    halo.timeout(0.05, function()
      halo.shield(function()
        status = process.spawn({ "sleep", "0.2", stdin = "null", stdout = "null" }):wait()
      end)
    end)
    assert.equal(0, status)
  end)
end)

describe("process.pipeline", function()
  it("connects processes", function()
    assert.same({ "      1 a\n      2 b\n", 0 }, { process.pipeline {
      { "printf", "b\\na\\nb\\n" }, { "sort" }, { "uniq", "-c" } } })
    local commands = { { "cat" }, { "cat" }, { "tr", "a", "A" }, input = BIG }
    local output, status = process.pipeline(commands)
    assert.is_true(output == BIG:gsub("a", "A"))
    assert.equal(0, status)
  end)

  it("gives the status of the last that has failed", function()
    local function ends(...)
      local commands = {}
      for i, code in ipairs { ... } do
        commands[i] = { "sh", "-c", "exit " .. code }
      end
      return select(2, process.pipeline(commands))
    end
    assert.equal(0, ends(0, 0, 0))
    assert.equal(3, ends(3, 0, 0))
    assert.equal(4, ends(3, 4, 0))
    assert.equal(5, ends(3, 4, 5))
  end)

  it("ends the first by SIGPIPE when the last wants no more", function()
    assert.same({ "y\ny\n", 141 }, { process.pipeline { { "yes" }, { "head", "-n", "2" } } })
  end)

  it("starts all or none", function()
    local commands = { { "sleep", "1000" }, { "halo-no-such-command" }, { "cat" } }
    local result = { process.pipeline(commands) }
    assert.is_nil(result[1])
    assert.equal("ENOENT", result[3])
    local start = halo.now();
    ("x"):gsub("x", function()
      result = { process.pipeline(commands) }
    end)
    assert.equal("ENOENT", result[3])
    assert.is_true(halo.now() - start < 50 * slowness)
  end)

  it("gives what all of them wrote to stderr", function()
    local script = "cat; head -c %d /dev/zero | tr '\\0' %s >&2"
    local size = 200000 -- more than a pipe has
    local function commands()
      return { { "sh", "-c", script:format(size, "a") }, { "sh", "-c", script:format(size, "b") },
        input = "x", stderr = "pipe", timeout = 30 * slowness }
    end
    local expected = ("a"):rep(size) .. ("b"):rep(size)
    local output, status, errors = process.pipeline(commands())
    assert.same({ "x", 0 }, { output, status })
    assert.is_true(errors == expected);
    ("x"):gsub("x", function()
      local alone = commands()
      alone.timeout = nil
      output, status, errors = process.pipeline(alone)
    end)
    assert.same({ "x", 0 }, { output, status })
    assert.is_true(errors == expected)
  end)

  it("raises for what a place in it already says, or all of it", function()
    for text, words in pairs {
      ["command 1: input and timeout are"] = { { "cat", input = "x" }, { "cat" } },
      ["command 2: input and timeout are"] = { { "cat" }, { "cat", timeout = 1 } },
      ["command 1: the next one reads"] = { { "cat", stdout = "null" }, { "cat" } },
      ["command 2: it reads"] = { { "cat" }, { "cat", stdin = "null" } },
    } do
      raises_here(text, function()
        process.pipeline(words)
        return nil
      end)
    end
  end)

  it("works where a task cannot wait", function()
    local output
    ("x"):gsub("x", function()
      output = process.pipeline { { "cat" }, { "tr", "a", "A" }, input = BIG }
    end)
    assert.is_true(output == BIG:gsub("a", "A"))
  end)
end)

describe("a cancelled process", function()
  local function count_descriptors()
    return #fs.readdir "/proc/self/fd"
  end

  local function cancel_at(turns, call, ...)
    local task = halo.spawn(call, ...)
    for _ = 1, turns do
      halo.yield()
    end
    task:cancel()
    pcall(task.join, task)
  end

  local ends = {
    spawn = function()
      halo.scope(function()
        process.spawn { "sleep", "100", stderr = "pipe" }
      end)
    end,
    run = function()
      process.run { "sleep", "100", input = "x", stderr = "pipe" }
    end,
    pipeline = function()
      process.pipeline { { "sleep", "100" }, { "sleep", "100" }, { "sleep", "100" }, input = "x" }
    end,
  }
  for name, call in pairs(ends) do
    it("leaves no descriptor to the collector: " .. name, function()
      collectgarbage()
      collectgarbage "stop"
      finally(function()
        collectgarbage "restart"
      end)
      local before = count_descriptors()
      for turns = 0, 12 do
        cancel_at(turns, call)
      end
      eventually("the descriptors are closed", function()
        -- A spawn whose caller has kept nothing of it: three pipes of each that was started.
        local kept = name == "spawn" and 3 * 13 or 0
        return count_descriptors() <= before + kept
      end)
    end)
  end
end)
