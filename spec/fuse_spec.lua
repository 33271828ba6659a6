-- One slow operation holds up nobody: on a file system that takes half a second for each call
-- (spec/support/slow_fuse.c), several tasks hang, and the others do not notice.

local busted = require "busted"
local halo = require "halo"
local command = require "spec.support.command"
local temp = require "spec.support.temp"

local fs = halo.fs
local quote, run = command.quote, command.run

local SLOW_MS = 500
local MEASURE_S = 1.2 -- long enough for each hanging call to begin more than once
local P99_S = 0.020
local ATTEMPTS = 3 -- a machine that is busy with other things may need more than one
local TIMEOUT_S, LATE_S = 0.05, 0.15

---Builds spec/support/slow_fuse.c, the first time. Nil and a reason where that is not possible.
local function slow_fuse_program()
  local program, source = command.build_dir .. "/slow_fuse", "spec/support/slow_fuse.c"
  local compiler = command.exists("cc") and "cc" or command.exists("gcc") and "gcc"
  if not compiler then
    return nil, "there is no C compiler"
  elseif run("test -w /dev/fuse && echo yes") ~= "yes\n" then
    return nil, "there is no /dev/fuse to write to"
  elseif select(3, run("pkg-config --exists fuse3")) ~= 0 then
    return nil, "libfuse3-dev is not installed"
  elseif not command.exists("fusermount3") then
    return nil, "fuse3 is not installed, which has fusermount3"
  end
  local _, stderr, status = run(
    ("test %s -nt %s || %s -Wall -Wextra -D_GNU_SOURCE -o %s %s $(pkg-config --cflags --libs fuse3)")
      :format(quote(program), source, compiler, quote(program), source))
  assert(status == 0, stderr)
  return program
end

local program, why_not = slow_fuse_program()

---What a task can hang in; each is called with the path of a file there, and with an open one.
local hanging = {
  stat = function(path) return fs.stat(path) end,
  open = function(path)
    local file, message, code = fs.open(path)
    if file then
      file:close()
    end
    return file, message, code
  end,
  read = function(_, file) return file:read(100, 0) end,
  write = function(_, file) return file:write("x", 0) end,
  readdir = function(path) return fs.readdir(path:match "^(.*)/") end,
  unlink = function(path) return fs.remove(path) end,
}

describe("a file system that takes half a second for each call", function()
  if not program then
    it("holds up nobody", function()
      pending(why_not)
    end)
    return
  end

  local dir = temp.dir()
  local mount, path

  local function is_mounted()
    return run(quote("mountpoint", "-q", mount) .. " && echo yes") == "yes\n"
  end

  busted.before_each(function()
    mount = dir:path("slow")
    path = mount .. "/file"
    assert(fs.mkdir(mount))
    os.execute(("%s >/dev/null 2>&1 &"):format(quote(program, mount, tostring(SLOW_MS))))
    for _ = 1, 100 do
      if is_mounted() then
        return
      end
      halo.sleep(0.05)
    end
    error("the file system was not mounted in time")
  end)

  busted.after_each(function()
    run(quote("fusermount3", "-u", "-z", mount))
  end)

  ---Tasks that go on hanging, two in each of the calls, until stop() is called.
  local function start_hanging()
    local file = assert(fs.open(path, "r+"))
    local tasks, going = {}, true
    for _, call in pairs(hanging) do
      for _ = 1, 2 do
        tasks[#tasks + 1] = halo.spawn(function()
          while going do
            assert(call(path, file))
          end
        end)
      end
    end
    return function()
      going = false
      for _, task in ipairs(tasks) do
        task:join()
      end
      file:close()
    end
  end

  ---Times of a fast task's calls on an ordinary file system, and of its short sleeps.
  local function fast_latencies(work)
    local times, deadline = {}, halo.now() + MEASURE_S
    while halo.now() < deadline do
      local start = halo.now()
      work()
      times[#times + 1] = halo.now() - start
      halo.sleep(0.001)
    end
    table.sort(times)
    return times
  end

  local function p99(times)
    return times[math.ceil(#times * 0.99)]
  end

  local function measure(work)
    local best = math.huge
    for _ = 1, ATTEMPTS do
      best = math.min(best, p99(fast_latencies(work)))
      if best < P99_S then
        break
      end
    end
    return best
  end

  local fast = {
    ["calls by path"] = function(own) assert(fs.stat(own)) end,
    ["calls on an open file"] = function(_, file)
      assert(file:write("y", 0))
      assert(file:read(10, 0))
    end,
    ["whole files"] = function(own)
      assert(fs.writefile(own .. "2", "z"))
      assert(fs.readfile(own .. "2"))
      assert(fs.remove(own .. "2"))
    end,
    ["sleeps"] = function() halo.sleep(0.001) end,
  }

  for name, work in pairs(fast) do
    it("does not hold up other tasks' " .. name, function()
      local own = dir:file("own", "hello")
      local file = assert(fs.open(own, "r+"))
      local stop = start_hanging()
      local latency = measure(function()
        work(own, file)
      end)
      stop()
      file:close()
      assert(latency < P99_S, ("p99 was %.1f ms"):format(latency * 1e3))
    end)
  end

  for name, call in pairs(hanging) do
    it("lets a timeout end a call of " .. name .. " on time", function()
      local file = assert(fs.open(path, "r+"))
      local start = halo.now()
      local result, _, code = halo.timeout(TIMEOUT_S, call, path, file)
      local took = halo.now() - start
      file:close()
      assert.same({ nil, "ETIMEDOUT" }, { result, code })
      assert(took < LATE_S, ("it took %.0f ms"):format(took * 1e3))
    end)
  end

  ---Runs a script while tasks of it hang; returns its exit status and how long it took.
  local function run_hanging(ending)
    local script = ([[
      local halo, path = require "halo", arg[1]
      local fs = halo.fs
      halo.spawn(fs.stat, path)
      halo.spawn(fs.readfile, path)
      halo.spawn(fs.remove, path)
      halo.sleep(0.05)
    ]]) .. ending
    local start = halo.now()
    local _, stderr, status = run(command.halo(dir:file("script.lua", script), path))
    return status, halo.now() - start, stderr
  end

  it("lets a script exit", function()
    local status, took, stderr = run_hanging "os.exit(3)"
    assert.same({ 3, "" }, { status, stderr })
    assert(took < 5, ("it took %.1f s"):format(took))
  end)

  it("lets a script fail", function()
    local status, took, stderr = run_hanging "error 'enough'"
    assert.equal(1, status)
    assert.matches("enough", stderr)
    assert(took < 5, ("it took %.1f s"):format(took))
  end)

  it("lets a script be interrupted", function()
    local status, took = run_hanging [[
      require("ffi").cdef "int raise(int);"
      require("ffi").C.raise(2)
      halo.sleep(10)
    ]]
    assert.equal(130, status)
    assert(took < 5, ("it took %.1f s"):format(took))
  end)
end)
