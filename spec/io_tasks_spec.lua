-- io in tasks: a call that waits lets the others run, and a cancelled one loses nothing.

local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local fuse = require "spec.support.fuse"
local halo = require "halo"
local slowness = require "spec.support.slowness"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"

local fs = halo.fs

describe("io in tasks", function()
  local dir = temp.dir()

  ---A FIFO: a file of io that reads from it, and a File that writes to it.
  local function pipe()
    local path = dir:fifo "pipe"
    local opening = halo.spawn(io.open, path)
    local to = assert(fs.open(path, "w"))
    return assert(opening:join()), to
  end

  it("waits for a stream without holding up others", function()
    local from, to = pipe()
    local reading = tasks.start(from.read, from, "l", "n", 3)
    assert.equal("waiting", (reading:status()))
    to:write "a li"
    halo.sleep(0.002)
    assert.equal("waiting", (reading:status()))
    to:write "ne\n 12.5"
    halo.sleep(0.002)
    to:write " ab"
    assert.same({ "a line", 12.5, " ab" }, { reading:join() })
    to:close()
    assert.is_nil(from:read())
    from:close()
  end)

  local interrupted = {
    { "l", "begun " }, { "L", "begun " }, { 100, "begun " }, { "a", "begun " }, { "n", "  1234" },
    { "l", ("x"):rep(9000) }, { "a", ("x"):rep(9000) }, { 20000, ("x"):rep(9000) },
  }
  for _, case in ipairs(interrupted) do
    local format, text = case[1], case[2]

    it(("loses nothing where a read is cancelled: %s of %d"):format(format, #text), function()
      local from, to = pipe()
      local reading = tasks.start(from.read, from, "l", format)
      to:write("first\n" .. text)
      halo.sleep(0.005)
      reading:cancel()
      assert(tasks.ends_cancelled(reading))
      to:write "rest\n"
      to:close()
      assert.equal("first\n" .. text .. "rest\n", from:read "a")
      from:close()
    end)
  end

  for _, text in ipairs { "begun ", "beg\0un\nbegun ", ("x"):rep(9000) } do
    it(("loses nothing where an iteration of io.lines is cancelled: %d"):format(#text), function()
      local path = dir:fifo "lines"
      local opening = halo.spawn(io.lines, path)
      local to = assert(fs.open(path, "w"))
      local next_line = opening:join()
      for _ = 1, 2 do
        local reading = tasks.start(next_line)
        to:write(text)
        halo.sleep(0.005)
        reading:cancel()
        assert(tasks.ends_cancelled(reading))
      end
      to:write "rest\nlast"
      to:close()
      local whole = text .. text .. "rest"
      assert.equal(whole:gsub("%z[^\n]*\n", ""), next_line())
      assert.same({ "last" }, { next_line() })
      assert.is_nil(next_line())
    end)
  end

  ---A file of io that writes to a FIFO which is full, and the File that reads from it.
  local function full_pipe()
    local path = dir:fifo "full"
    local opening = halo.spawn(io.open, path, "w")
    local from = assert(fs.open(path))
    local to = opening:join()
    local filling = assert(fs.open(path, "w"))
    assert.equal(65536, filling:write(("."):rep(65536))) -- as much as a pipe has
    filling:close()
    return to, from
  end

  ---Starts a call on a file that somebody has written to, and cancels it in its wait.
  local function cancel_on(to, call)
    assert.is_true(to:write "promised ")
    local writing = tasks.start(call, to)
    assert.equal("waiting", (writing:status()))
    writing:cancel()
    assert(tasks.ends_cancelled(writing))
  end

  for what, call in pairs {
    write = function(to) to:write(("x"):rep(100000)) end,
    ["write of several"] = function(to) to:write(("x"):rep(100), ("x"):rep(9000), "x") end,
    flush = function(to) to:flush() end,
    ["setvbuf to none"] = function(to) to:setvbuf "no" end,
    close = function(to) to:close() end,
  } do
    it("loses nothing that was written before a cancelled " .. what, function()
      local to, from = full_pipe()
      cancel_on(to, call)
      local reading = halo.spawn(from.read, from, "a")
      if io.type(to) == "file" then
        assert.is_true(to:write "end")
        assert.is_true(to:close())
      end
      local text = reading:join()
      assert.matches(what == "close" and "^promised $" or "^promised x*end$", text:sub(65537))
      from:close()
    end)
  end

  it("tells what follows that a cancelled write has failed", function()
    local to, from = full_pipe()
    cancel_on(to, function() to:flush() end)
    from:close()
    assert.same({ nil, "Broken pipe", 32 }, { to:flush() })
    assert.same({ nil, "Broken pipe", 32 }, { to:close() })
  end)

  it("tries again after a failure that was told", function()
    local to, from = full_pipe()
    to:write "some"
    local writing = tasks.start(to.flush, to)
    from:close()
    assert.same({ nil, "Broken pipe", 32 }, { writing:join() })
    assert.is_true(to:flush())
    assert.is_true(to:close())
  end)

  for _, format in ipairs { "l", "L", 5, "a", "n", 0 } do
    it("ends the reads of a file that is closed meanwhile: " .. format, function()
      local from, to = pipe()
      local first = halo.spawn(from.read, from, format)
      local second = halo.spawn(pcall, from.read, from, format)
      if format ~= 0 then
        to:write "12"
      end
      halo.sleep(0.002)
      assert.is_true(from:close())
      assert.same({ nil, "Operation canceled", 125 }, { first:join() })
      assert.same({ false, "attempt to use a closed file" }, { second:join() })
      to:close()
    end)
  end

  it("gives the lines of a stream to many, each as a whole", function()
    local from, to = pipe()
    local seen, count = {}, 0
    local readers = {}
    for i = 1, 8 do
      readers[i] = function()
        for line in from:lines() do
          assert.is_nil(seen[line])
          seen[line] = true
          count = count + 1
        end
      end
    end
    local writing = halo.spawn(function()
      for i = 1, 3000 do
        to:write(("%d%s\n"):format(i, ("."):rep(i % 97)))
      end
      to:close()
    end)
    halo.all(readers)
    writing:join()
    assert.equal(3000, count)
    for i = 1, 3000 do
      assert.is_true(seen[("%d%s"):format(i, ("."):rep(i % 97))])
    end
    from:close()
  end)

  it("raises the cancellation, and does nothing then", function()
    local file = io.open(dir:path "file", "w")
    tasks.run_cancelled(function()
      assert.is_true(halo.is_cancelled(select(2, pcall(io.open, dir:path "other", "w"))))
      assert.is_true(halo.is_cancelled(select(2, pcall(file.write, file, ("x"):rep(10000)))))
    end)
    assert.is_true(file:write "kept")
    file:close()
    assert.equal("kept", dir:read "file")
    assert.is_false(dir:has "other")
  end)

  it("opens what takes long beside others", function()
    local path = dir:fifo "late"
    local opening = tasks.start(io.open, path, "w")
    assert.equal("waiting", (opening:status()))
    local from = assert(fs.open(path))
    local to = opening:join()
    assert.equal("file", io.type(to))
    to:close()
    from:close()
  end)

  it("waits for programs beside others", function()
    local function after(name)
      return ("until [ -e %s ]; do sleep 0.01; done; "):format(dir:path(name))
    end
    halo.all {
      function() assert.equal(0, os.execute(after "second" .. "touch " .. dir:path "first")) end,
      function()
        local from = io.popen(after "third" .. "echo x")
        assert.equal("x\n", from:read "a")
        assert.is_true(from:close())
      end,
      function() assert.is_true(io.popen(after "fourth"):close()) end,
      function() assert.is_true(io.popen("touch " .. dir:path "fourth"):close()) end,
      function()
        assert.equal(0, os.execute("cd " .. dir.root .. "; touch second third"))
      end,
    }
    assert.is_true(dir:has "first")
  end)

  ---A command that writes its number to a file and sleeps, and two functions: one waits until it
  ---has begun, the other until it has ended, which it does soon if it was cancelled at its start.
  local function sleeper()
    local path = dir:file("pid", "")
    return ("echo $$ >%s; exec sleep 60"):format(path), function()
      eventually("it has begun", function() return dir:read "pid" ~= "" end)
    end, function()
      eventually("it has ended", function()
        return not fs.exists("/proc/" .. dir:read("pid"):match "%d+")
      end)
    end
  end

  it("leaves standard input where a program goes on, once it was asked for its position", function()
    dir:file("numbers", ("12345678\n"):rep(1000))
    local script = "io.read() print(io.stdin:seek()) io.stdout:flush() os.execute 'wc -c'"
    local line = command.halo("-e", script) .. " <" .. dir:path "numbers"
    assert.equal("9\n8991\n", (command.run(line)))
  end)

  it("tells how a program has ended as wait(2) does, with the core that it has left", function()
    local line = "cd " .. dir.root .. " && ulimit -c unlimited && kill -QUIT $$"
    local script = ("io.stderr:write(os.execute(%q), os.execute 'kill $$')"):format(line)
    local _, expected = command.run(command.luajit .. " -e " .. command.quote(script))
    local _, told = command.run(command.halo("-e", script))
    assert.equal(expected, told)
  end)

  it("ends a program that os.execute has started with its scope", function()
    local line, await_begin, await_end = sleeper()
    local running = tasks.start(os.execute, line)
    await_begin()
    running:cancel()
    assert(tasks.ends_cancelled(running))
    await_end()
  end)

  it("ends a program of io.popen with the scope that has started it", function()
    local line, await_begin, await_end = sleeper()
    local running = tasks.start(halo.scope, function()
      local into = io.popen(line, "w")
      into:write "x"
      halo.sleep(1000)
    end)
    await_begin()
    running:cancel()
    assert(tasks.ends_cancelled(running))
    await_end()
  end)

  it("ends such a program with a timeout, and its file can be closed", function()
    local line, await_begin, await_end = sleeper()
    local from
    local running = tasks.start(halo.timeout, 1000, function()
      from = io.popen(line)
      return from:read "a"
    end)
    await_begin()
    eventually("it is read from", function() return from end)
    running:cancel()
    assert(tasks.ends_cancelled(running))
    await_end()
    assert.equal("", from:read "a")
    assert.is_true(from:close())
  end)

  for what, leave in pairs {
    ["whose close was cancelled"] = function(into)
      local closing = tasks.start(into.close, into)
      assert.equal("waiting", (closing:status()))
      closing:cancel()
      assert(tasks.ends_cancelled(closing))
    end,
    ["whose file was collected"] = function() end,
  } do
    it("waits for a program some time " .. what, function()
      local pid, go = dir:file("pid", ""), dir:path "go"
      fs.remove(go)
      local line = ("echo $$ >%s; until [ -e %s ]; do sleep 0.01; done"):format(pid, go)
      leave(io.popen(line, "w"))
      eventually("it has begun", function() return dir:read "pid" ~= "" end)
      collectgarbage()
      collectgarbage()
      dir:file("go", "")
      eventually("it has ended", function()
        io.popen("true"):close()
        return not fs.exists("/proc/" .. dir:read("pid"):match "%d+")
      end)
    end)
  end

  it("lets a scope end whose program goes on until its file is closed", function()
    local into = halo.scope(function()
      local file = io.popen("cat >" .. dir:path "late", "w")
      file:write "one "
      return file
    end)
    into:write "two"
    assert.is_true(into:close())
    assert.equal("one two", dir:read "late")
  end)

  it("has genuine files, which C may use as well", function()
    local ffi = require "ffi"
    pcall(ffi.cdef, [[
      int fileno(void *);
      int fgetc(void *);
      int fputs(const char *, void *);
    ]])
    assert.equal(1, ffi.C.fileno(io.stdout))
    local path = dir:file("both", "abc\ndef\n12 x")
    local file = io.open(path)
    assert.same({ "file", "abc", "d" }, { io.type(file), file:read(), file:read(1) })
    assert.equal(("e"):byte(), ffi.C.fgetc(file))
    assert.same({ "f", 12 }, { file:read("l", "n") })
    file:close()
    file = io.open(path, "w")
    file:write "one "
    ffi.C.fputs("two ", file)
    file:write(("x"):rep(5000))
    ffi.C.fputs(" three", file)
    file:close()
    assert.equal("one two " .. ("x"):rep(5000) .. " three", dir:read "both")
  end)

  it("is put in once", function()
    local before = io.open
    assert.is_true(require("halo.io").install())
    assert.equal(before, io.open)
  end)

  it("writes what is left in files that are never closed, and ends their programs", function()
    local code = ([[
      io.open(%q, "w"):write "kept"
      io.popen("cat >%s", "w"):write "piped"]]):format(dir:path "left", dir:path "through")
    assert.same({ "", "", 0 }, { command.run(command.halo("-e", code)) })
    assert.same({ "kept", "piped" }, { dir:read "left", dir:read "through" })
  end)
end)

describe("a task that only prints", function()
  local dir = temp.dir()

  for _, mode in ipairs { "no", "line", "full" } do
    for what, call in pairs {
      print = "print 'x'", ["io.write"] = "io.write 'x\\n'",
      ["io.flush"] = "io.write 'x\\n' io.flush()",
    } do
      it(("is ended by a timeout: %s, buffering %s"):format(what, mode), function()
        local code = ([[
          io.stdout:setvbuf "%s"
          local halo = require "halo"
          local fine = halo.timeout(0.02, function() while true do %s end end)
          io.stderr:write(tostring(fine), "\n")
        ]]):format(mode, call)
        for _, path in ipairs { "/dev/null", dir:path "printed" } do
          local line = ("%s >%s"):format(command.halo("-e", code), command.quote(path))
          local _, stderr, status = command.run(line)
          assert.not_equal(124, status)
          assert.matches("^nil\n", stderr) -- its time was up
        end
      end)
    end
  end
end)

describe("io beside a slow place #slow", function()
  local mount, dir = fuse.mount(500)
  if not mount then
    it("goes on", function()
      pending(dir)
    end)
    return
  end

  it("goes on: 200 tasks read lines", function()
    local path = dir:file("lines", ("a line of text\n"):rep(200))
    local in_flight = halo.stats().in_flight
    local hanging = tasks.start(function()
      for line in io.lines(mount.path .. "/file") do
        assert.equal(65536, #line)
      end
    end)
    local took = {}
    local function read()
      local before = halo.now()
      for _ in io.lines(path) do
        local now = halo.now()
        took[#took + 1] = now - before
        if #took % 10 == 0 then
          halo.yield()
        end
        before = halo.now()
      end
    end
    local readers = {}
    for i = 1, tasks.rounds(200) do
      readers[i] = read
    end
    halo.all(readers)
    assert.equal("waiting", (hanging:status()))
    table.sort(took)
    assert.equal(#readers * 200, #took)
    local p99 = took[math.floor(#took * 0.99)]
    assert(p99 < 0.02 * slowness, ("99 of 100 lines took up to %.1f ms"):format(p99 * 1000))
    hanging:cancel()
    pcall(hanging.join, hanging)
    fuse.await_answers(in_flight)
  end)

  it("goes on while files there are written, closed and collected", function()
    local ticks, done = 0, false
    local in_flight = halo.stats().in_flight
    local ticker = halo.spawn(function()
      while not done do
        halo.sleep(0.005)
        ticks = ticks + 1
      end
    end)
    local file = assert(io.open(mount.path .. "/file1", "w"))
    file:write(("x"):rep(10000))
    file:seek("set", 0)
    file:flush()
    file:close()
    file = assert(io.open(mount.path .. "/file2", "w"))
    file:write "y"
    file = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    done = true
    ticker:join()
    assert(ticks > 100, ("only %d ticks"):format(ticks))
    fuse.await_answers(in_flight)
  end)
end)
