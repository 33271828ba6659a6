-- One slow operation holds up nobody: on a file system that takes half a second for each call
-- (spec/support/slow_fuse.c), several tasks hang, and the others do not notice.

local busted = require "busted"
local halo = require "halo"
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local fuse = require "spec.support.fuse"
local slowness = require "spec.support.slowness"
require "spec.support.assertions"

local fs = halo.fs
local run = command.run

local SLOW_MS = 500
local MEASURE_S = 1.2 -- long enough for each hanging call to begin more than once
local P99_S = slowness > 1 and 0.2 or 0.02
local ATTEMPTS = 3 -- a machine that is busy with other things may need more than one
local TIMEOUT_S = 0.05
local LATE_S = 5 -- what is held is so for longer
local EXIT_S = 15 -- the calls that a script began are answered one after the other

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
  read = function(_, file) return file:pread(100, 0) end,
  write = function(_, file) return file:pwrite("x", 0) end,
  readdir = function(path) return fs.readdir(path:match "^(.*)/") end,
  walk = function(path) -- from above, where nothing of it is slow yet
    local found = false
    for inner in fs.walk(path:match "^(.*)/slow/", { stat = "size" }) do
      found = found or inner == path
    end
    return found
  end,
  unlink = function(path) return fs.remove(path) end,
}

---Calls fn(...) where LuaJIT cannot suspend the task.
local function on_the_spot(fn, ...)
  local arguments, result = { ... }, nil
  table.sort({ 1, 2 }, function(a, b)
    result = result or fn(unpack(arguments))
    return a < b
  end)
  return result
end

describe("a file system that takes half a second for each call #slow", function()
  local mount, dir = fuse.mount(SLOW_MS)
  if not mount then
    it("holds up nobody", function()
      pending(dir)
    end)
    return
  end

  local path

  busted.before_each(function()
    path = mount.path .. "/file"
  end)

  it("is read beyond the size that the kernel remembers", function()
    local log = mount.path .. "/log"
    local before = assert(fs.stat(log, "size"))
    local file = assert(fs.open(path, "r+"))
    assert.equal(1, file:write "x")
    file:close()
    local reader = assert(fs.open(log))
    local text = reader:read(4096)
    reader:close()
    assert.is_truthy(text and #text > before and text:find "write file 0 1", text)
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

  ---The time that 99 of 100 calls of work do not exceed.
  local function p99(work)
    local times, deadline = {}, halo.now() + MEASURE_S
    while halo.now() < deadline do
      local start = halo.now()
      work()
      times[#times + 1] = halo.now() - start
      halo.sleep(0.001)
    end
    table.sort(times)
    return times[math.ceil(#times * 0.99)]
  end

  it("does not hold up other tasks", function()
    local own = dir:file("own", "hello")
    local file = assert(fs.open(own, "r+"))
    local kinds = {
      ["calls by path"] = function() assert(fs.stat(own)) end,
      ["calls on an open file"] = function()
        assert(file:pwrite("y", 0))
        assert(file:pread(10, 0))
      end,
      ["files that come and go"] = function()
        assert(fs.writefile(own .. "2", "z"))
        assert(fs.remove(own .. "2"))
      end,
      ["sleeps"] = function() halo.sleep(0.001) end,
    }
    local names = {}
    for name in pairs(kinds) do
      names[#names + 1] = name
    end
    local usual = {} -- of a machine that is busy with other things
    halo.map(names, function(name) usual[name] = p99(kinds[name]) end)
    local stop = start_hanging()
    local slow = {}
    halo.map(names, function(name)
      local limit, latency = math.max(P99_S, 2 * usual[name]), math.huge
      for _ = 1, ATTEMPTS do
        latency = latency < limit and latency or p99(kinds[name])
      end
      if latency >= limit then
        slow[#slow + 1] = ("%s: p99 is %.1f ms, and %.1f where nobody hangs"):format(name,
          latency * 1e3, usual[name] * 1e3)
      end
    end)
    stop()
    file:close()
    assert.same({}, slow)
  end)

  it("has files that differ by their id, where a number is not exact", function()
    local first, second = fs.stat(mount.path .. "/file1"), fs.stat(mount.path .. "/file2")
    assert.equal(2 ^ 60, first.ino)
    assert.equal(first.ino, second.ino)
    assert.not_equal(first.id, second.id)
    assert.equal(first.id, fs.lstat(mount.path .. "/file1", "id"))
    assert.matches(":1000000000000001$", first.id)
    assert.is_false(first == second)
  end)

  it("lets timeouts end its calls on time", function()
    local in_flight = halo.stats().in_flight
    local file = assert(fs.open(path, "r+"))
    local late = {}
    fuse.hold(mount)
    local function check(name)
      local start = halo.now()
      local result, _, code = halo.timeout(TIMEOUT_S, hanging[name], path, file)
      local took = halo.now() - start
      if result or code ~= "ETIMEDOUT" or took > LATE_S then
        late[#late + 1] = ("%s: %s after %.0f ms"):format(name, result or code, took * 1e3)
      end
    end
    for name in pairs(hanging) do
      check(name) -- alone
    end
    local together = {}
    for name in pairs(hanging) do
      together[#together + 1] = name
    end
    halo.map(together, check)
    fuse.release(mount)
    file:close()
    fuse.await_answers(in_flight)
    assert.same({}, late)
  end)

  it("has a buffer lent for as long as it reads into it, whoever waits", function()
    local file, buffer = assert(fs.open(path, "r+")), halo.buffer(16)
    fuse.hold(mount)
    eventually("it is under way", function() -- a pool may be late, and then nothing has begun
      local result, _, code = halo.timeout(TIMEOUT_S, file.pread_into, file, buffer, 16, 0)
      assert.same({ nil, "ETIMEDOUT" }, { result, code })
      return not pcall(buffer.string, buffer)
    end)
    local lent = "this buffer is lent to an operation in flight, until that has ended"
    assert.misuse(lent, function() buffer:string() end)
    assert.misuse(lent, function() buffer:set "text" end)
    assert.misuse(lent, function() file:read_into(buffer) end)
    fuse.release(mount)
    eventually("it has ended", function() return pcall(buffer.set, buffer, "text") end)
    assert.equal("text", buffer:string(0, 4))
    file:close()
  end)

  it("closes a Dir on the spot, once what was opened in it for nobody is closed", function()
    local at = assert(fs.at(mount.path))
    for _, mode in ipairs { "r", "wx" } do
      halo.timeout(TIMEOUT_S, at.open, at, mode == "r" and "file" or "new", mode)
    end
    assert.is_true(on_the_spot(at.close, at))
    eventually("the file is removed", function()
      local log = table.concat(fuse.log(mount), "\n")
      return not log:find("create", 1, true) or log:find("unlink", 1, true) ~= nil
    end)
  end)

  it("may have renamed a file where the call was cancelled, which says so", function()
    local in_flight = halo.stats().in_flight
    local message
    fuse.hold(mount)
    local _, _, code = halo.timeout(TIMEOUT_S, function()
      local _, err = pcall(fs.rename, path, mount.path .. "/other")
      message = tostring(err)
      error(err, 0)
    end)
    fuse.release(mount)
    assert.equal("ETIMEDOUT", code)
    assert.equal("cancelled: what was under way may have happened, or not", message)
    fuse.await_answers(in_flight)
  end)

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
    assert(took < EXIT_S, ("it took %.1f s"):format(took))
  end)

  it("lets a script fail", function()
    local status, took, stderr = run_hanging "error 'enough'"
    assert.equal(1, status)
    assert.matches("enough", stderr)
    assert(took < EXIT_S, ("it took %.1f s"):format(took))
  end)

  it("lets a script be interrupted", function()
    local status, took = run_hanging [[
      require("ffi").cdef "int raise(int);"
      require("ffi").C.raise(2)
      halo.sleep(10)
    ]]
    assert.equal(130, status)
    assert(took < EXIT_S, ("it took %.1f s"):format(took))
  end)

  it("takes away at the end what an atomic write has begun", function()
    local script = [[
      local halo, path = require "halo", arg[1]
      halo.spawn(halo.fs.writefile, path .. "/new", "x", { atomic = true })
      repeat
        halo.sleep(0.02)
        local log = io.open(path .. "/log"):read "*a"
      until log:find "write %.halo"
      os.exit(3)
    ]]
    local _, stderr, status = run(command.halo(dir:file("script.lua", script), mount.path))
    assert.same({ "", 3 }, { stderr, status })
    local log = table.concat(fuse.log(mount), "\n")
    local name = log:match "create (%.halo%-%w+)"
    assert.is_truthy(log:find("unlink " .. name, 1, true), log)
  end)
end)

describe("a file system on which it takes half a second to make a directory #slow", function()
  local mount, dir = fuse.mount(SLOW_MS, "mkdir")
  if not mount then
    it("does not hold up timeouts", function()
      pending(dir)
    end)
    return
  end

  local make = {
    mkdtemp = function(call) return call("mkdtemp", "slow/new-XXXXXX") end,
    copytree = function(call) return call("copytree", "tree", "slow/new-copy") end,
    move = function(call) return call("move", "tree", "slow/new-moved") end,
  }

  ---A function that makes a call with paths in the directory, and the Dir that it does that by.
  local way = {
    ["by whole paths"] = function()
      return function(name, ...)
        local paths = { ... }
        for i, path in ipairs(paths) do
          paths[i] = dir:path(path)
        end
        return fs[name](unpack(paths))
      end
    end,
    ["in a Dir"] = function(options)
      local at = assert(fs.at(dir.root, options))
      return function(name, ...) return at[name](at, ...) end, at
    end,
  }
  way["in a Dir that confines"] = function()
    return way["in a Dir"] { beneath = true }
  end

  busted.before_each(function()
    assert(fs.mkdir(dir:path "tree"))
  end)

  ---What was made there, and is not removed again; and whether anything was.
  local function left_over()
    local left, any = {}, false
    for _, line in ipairs(fuse.log(mount)) do
      local what, name = line:match "^(%a+) (.*)"
      left[name], any = what == "mkdir" or nil, true
    end
    return next(left), any
  end

  ---One timeout that passes while the directory is made.
  local function let_time_out(start, call)
    local in_flight = halo.stats().in_flight
    local by, at = start()
    fuse.hold(mount)
    local began, message = halo.now(), nil
    local result, _, code = halo.timeout(TIMEOUT_S, function()
      local _, err = pcall(call, by)
      message = tostring(err)
      error(err, 0)
    end)
    local took = halo.now() - began
    fuse.release(mount)
    assert.same({ nil, "ETIMEDOUT", "cancelled" }, { result, code, message })
    assert(took < LATE_S, ("it took %.0f ms"):format(took * 1e3))
    if at then
      assert.is_true(at:close()) -- which waits for what is under way in it
    end
    fuse.await_answers(in_flight)
  end

  for how, start in pairs(way) do
    for name, call in pairs(make) do
      it(("lets a timeout end %s %s, and has no litter then"):format(name, how), function()
        local left, any
        for _ = 1, ATTEMPTS do -- a call may be cancelled before the file system sees it
          let_time_out(start, call)
          left, any = left_over()
          assert.is_nil(left)
          if any then
            break
          end
        end
        assert.is_true(any)
        assert.is_true(dir:has "tree")
      end)
    end
  end

  it("lets a Dir be closed where that waits on the spot, once there is no litter", function()
    local at = assert(fs.at(mount.path))
    halo.timeout(TIMEOUT_S, at.mkdtemp, at, "new-XXXXXX")
    assert.is_true(on_the_spot(at.close, at))
    assert.is_nil((left_over()))
  end)

  it("has what was made where nobody was late", function()
    for _, name in ipairs { "mkdtemp", "copytree" } do
      local result, message = halo.timeout(10, make[name], (way["by whole paths"]()))
      assert.is_truthy(result, message)
      assert.is_truthy(left_over(), name)
    end
  end)

  it("keeps a directory that was there before where a tree is copied into it", function()
    assert(fs.mkdir(mount.path .. "/new-copy"))
    local in_flight = halo.stats().in_flight
    fuse.hold(mount)
    halo.timeout(TIMEOUT_S, fs.copytree, dir:path "tree", mount.path .. "/new-copy",
      { merge = true })
    fuse.release(mount)
    fuse.await_answers(in_flight)
    assert.equal("new-copy", (left_over()))
  end)

  it("says of mkdir itself that it may have happened", function()
    local in_flight = halo.stats().in_flight
    local message
    fuse.hold(mount)
    halo.timeout(TIMEOUT_S, function()
      local _, err = pcall(fs.mkdir, mount.path .. "/new")
      message = tostring(err)
      error(err, 0)
    end)
    fuse.release(mount)
    assert.equal("cancelled: what was under way may have happened, or not", message)
    fuse.await_answers(in_flight)
    assert.is_true(({ new = true, none = true })[left_over() or "none"])
  end)

  local endings = { ["its end"] = "", exit = "os.exit(3)", ["a failure"] = "error 'x'" }
  for name, ending in pairs(endings) do
    it("has no litter after a script that ends meanwhile, by " .. name, function()
      local script = dir:file("script.lua", [[
        local halo = require "halo"
        halo.timeout(0.05, halo.fs.mkdtemp, arg[1] .. "/new-XXXXXX")
      ]] .. ending)
      run(command.halo(script, mount.path))
      assert(fs.mkdir(mount.path .. "/later")) -- what the script has asked for comes before
      assert.equal("later", (left_over()))
    end)
  end

  it("has no litter behind a fence", function()
    local script = dir:file("script.lua", [[
      local halo = require "halo"
      local fs = halo.fs
      local at = fs.at "slow"
      print(select(3, halo.timeout(0.05, fs.mkdtemp, "slow/new-XXXXXX")))
      print(select(3, halo.timeout(0.05, at.mkdtemp, at, "new-XXXXXX")))
      print(at:close())
      while halo.stats().in_flight > 0 do
        halo.sleep(0.01)
      end
    ]])
    local stdout, stderr = run(("cd %s && %s"):format(command.quote(dir.root),
      command.halo_fenced("--allow-write=slow", script)))
    assert.same({ "ETIMEDOUT\nETIMEDOUT\ntrue\n", "" }, { stdout, stderr })
    local left, any = left_over()
    assert.same({ nil, true }, { left, any })
  end)

  it("does not change its directory meanwhile", function()
    local script = dir:file("script.lua", [[
      local halo = require "halo"
      local fs = halo.fs
      local before = halo.stats().in_flight
      halo.timeout(0.05, fs.mkdtemp, "slow/new-XXXXXX")
      print(select(3, fs.chdir "/"))
      while halo.stats().in_flight > before do
        halo.sleep(0.01)
      end
      print(fs.chdir "/")
    ]])
    local stdout, stderr = run(("cd %s && %s"):format(command.quote(dir.root),
      command.halo(script)))
    assert.same({ "EBUSY\ntrue\n", "" }, { stdout, stderr })
    assert.is_nil((left_over()))
  end)
end)
