-- Files with a buffer: small writes are gathered, in order with everything else on the file, and
-- what goes wrong is told.

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local random = require "spec.support.random"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local ENOSPC = "ENOSPC: no space left on device: /dev/full"

describe("a File with a buffer", function()
  local dir = temp.dir()

  local function open(size, mode)
    return assert(fs.open(dir:path "file", mode or "w+", { buffer = size }))
  end

  it("gathers what fits, and writes it when it is full, flushed or closed", function()
    local file = open(10)
    assert.equal(5, file:write("ab", 1, { "c", "d" }))
    assert.equal("", dir:read "file")
    assert.equal(5, file:write "fghij")
    assert.equal("", dir:read "file")
    assert.equal(1, file:write "k")
    assert.equal("ab1cdfghijk", dir:read "file")
    assert.equal(1, file:write "l")
    assert.is_true(file:flush())
    assert.equal("ab1cdfghijkl", dir:read "file")
    assert.equal(100, file:write(("m"):rep(100)))
    assert.equal(112, #dir:read "file")
    file:write "n"
    assert.is_true(file:close())
    assert.equal(113, #dir:read "file")
  end)

  -- Each is done behind "abc" and "def", the second of which was only gathered.
  local others = {
    read = function(file) assert.is_nil(file:read(1)) end,
    ["read a"] = function(file) assert.equal("", file:read "a") end,
    pread = function(file) assert.equal("def", file:pread(9, 3)) end,
    read_into = function(file) assert.equal(0, file:read_into(halo.buffer(1))) end,
    pread_into = function(file)
      local buffer = halo.buffer(3)
      assert.equal(3, file:pread_into(buffer, 3, 3))
      assert.equal("def", buffer:string())
    end,
    pwrite = function(file)
      assert.equal(1, file:pwrite("X", 4))
      assert.equal("abcdXf", dir:read "file")
      file:pwrite("e", 4)
    end,
    stat = function(file) assert.equal(6, file:stat "size") end,
    ["stat as an object"] = function(file) assert.equal(6, file:stat().size) end,
    truncate = function(file)
      assert.is_true(file:truncate(4))
      assert.equal("abcd", dir:read "file")
      file:pwrite("ef", 4)
    end,
    fsync = function(file) assert.is_true(file:fsync()) end,
    fdatasync = function(file) assert.is_true(file:fdatasync()) end,
    seek = function(file) assert.equal(6, file:seek("end")) end,
    ["seek back"] = function(file)
      file:seek("set", 1)
      assert.equal("bcdef", file:read "a")
    end,
    lock = function(file) assert.is_true(file:lock "exclusive") end,
    setvbuf = function(file) assert.is_true(file:setvbuf "no") end,
    ["a large write"] = function(file)
      assert.equal(200, file:write(("x"):rep(200)))
      file:truncate(6)
    end,
    lines = function(file)
      file:seek("set", 0)
      assert.equal("abcdef", file:lines()())
    end,
  }
  for name, call in pairs(others) do
    it("writes first what it has gathered: " .. name, function()
      local file = open(100)
      file:write "abc"
      file:flush()
      file:write "def"
      assert.equal(6, file:tell())
      call(file)
      assert.equal("abcdef", dir:read "file")
      file:close()
    end)
  end

  it("keeps the order of tasks that write at once, large pieces among small ones", function()
    local file, expected, tasks = open(64), {}, {}
    for i = 1, 300 do
      local piece = ("%d:%s\n"):format(i, ("x"):rep(i % 7 == 0 and 500 or i % 11))
      expected[i] = piece
      tasks[i] = halo.spawn(file.write, file, piece)
    end
    for i, task in ipairs(tasks) do
      assert.equal(#expected[i], task:join())
    end
    file:close()
    assert.is_true(table.concat(expected) == dir:read "file")
  end)

  -- A model of the file: its content and position.
  local random_calls = random.chooser {
    { 20, function(number, model, file)
      local data = ("%d,"):format(number(1e6)):rep(number(0, number(10) == 1 and 40 or 3))
      assert.equal(#data, file:write(data))
      model.text = model.text:sub(1, model.position) .. data
        .. model.text:sub(model.position + #data + 1)
      model.position = model.position + #data
    end },
    { 3, function(number, model, file)
      local n = number(30)
      local expected = model.text:sub(model.position + 1, model.position + n)
      assert.equal(expected ~= "" and expected or nil, (file:read(n)))
      model.position = model.position + #expected
    end },
    { 3, function(number, model, file)
      local n, offset = number(30), number(0, #model.text + 5)
      local expected = model.text:sub(offset + 1, offset + n)
      assert.equal(expected ~= "" and expected or nil, (file:pread(n, offset)))
    end },
    { 3, function(number, model, file)
      local data, offset = ("p"):rep(number(20)), number(0, #model.text)
      assert.equal(#data, file:pwrite(data, offset))
      model.text = model.text:sub(1, offset) .. data .. model.text:sub(offset + #data + 1)
    end },
    { 3, function(number, model, file)
      model.position = number(0, #model.text)
      assert.equal(model.position, file:seek("set", model.position))
    end },
    { 2, function(_, model, file) assert.equal(#model.text, file:stat "size") end },
    { 2, function(_, model, file) assert.equal(model.position, file:tell()) end },
    { 1, function(_, _, file) assert.is_true(file:flush()) end },
    { 1, function(number, _, file) assert.is_true(file:setvbuf("full", number(100))) end },
    { 1, function(number, model, file)
      local size = number(0, #model.text)
      assert.is_true(file:truncate(size))
      model.text = model.text:sub(1, size)
      model.position = math.min(model.position, size)
      file:seek("set", model.position)
    end },
  }

  it("is what a model of it is, whatever is done", function()
    local number = random.new(random.seed "buffer")
    for _ = 1, 5 do
      local file, model = open(number(100)), { text = "", position = 0 }
      for _ = 1, 300 do
        random_calls(number, number, model, file)
      end
      assert.is_true(file:close())
      assert.is_true(model.text == dir:read "file")
    end
  end)

  it("appends", function()
    dir:file("file", "old\n")
    local file = open(10, "a")
    for i = 1, 50 do
      file:write(i, "\n")
    end
    assert.is_true(file:close())
    local expected = { "old\n" }
    for i = 1, 50 do
      expected[#expected + 1] = i .. "\n"
    end
    assert.equal(table.concat(expected), dir:read "file")
  end)

  for name, call in pairs {
    flush = function(file) return file:flush() end,
    close = function(file) return file:close() end,
    ["a write that is more than fits"] = function(file) return file:write "12345678" end,
    ["a large write"] = function(file) return file:write(("x"):rep(1000)) end,
    fsync = function(file) return file:fsync() end,
  } do
    it("tells that writing failed: " .. name, function()
      local file = assert(fs.open("/dev/full", "w", { buffer = 10 }))
      assert.equal(5, file:write "12345")
      local _, message, code = call(file)
      assert.same({ ENOSPC, "ENOSPC" }, { message, code })
      if file:is_open() then -- it is final
        assert.refused(ENOSPC, file:write "x")
        assert.refused(ENOSPC, file:flush())
        assert.refused(ENOSPC, file:close())
      end
    end)
  end

  it("tells the writer and the close where another call has set it off", function()
    local file = assert(fs.open("/dev/full", "w", { buffer = 10 }))
    file:write "12345"
    file:stat()
    assert.refused(ENOSPC, file:write "x")
    assert.refused(ENOSPC, file:close())
  end)

  it("loses nothing where a task that waits for room is cancelled", function()
    local path = dir:fifo "fifo"
    local opening = halo.spawn(fs.open, path)
    local writer = assert(fs.open(path, "w", { buffer = 1000 }))
    local reader = assert(opening:join())
    local sent = 0
    local filling = halo.spawn(function()
      while true do
        sent = sent + 100
        writer:write(("%099d\n"):format(sent / 100))
      end
    end)
    eventually("the pipe is full", function() return filling:status() == "waiting" end)
    filling:cancel()
    assert.is_false(pcall(filling.join, filling))
    local closing = halo.spawn(function() return writer:close() end)
    local got = reader:read "a"
    assert.is_true(closing:join())
    assert.equal(sent, #got)
    local i = 0
    for line in got:gmatch "[^\n]+" do
      i = i + 1
      assert.equal(i, tonumber(line))
    end
    reader:close()
  end)

  it("loses nothing that is written while another buffer is waited for", function()
    local path = dir:fifo "fifo"
    local opening = halo.spawn(fs.open, path)
    local writer = assert(fs.open(path, "w", { buffer = 1000000 }))
    local reader = assert(opening:join())
    writer:write(("x"):rep(300000)) -- more than the pipe takes
    local changing = halo.spawn(writer.setvbuf, writer, "full", 1000)
    eventually("the buffer is being sent", function() return changing:status() == "waiting" end)
    assert.equal(4, writer:write "tail")
    local closing = halo.spawn(function()
      assert.is_true(changing:join())
      return writer:close()
    end)
    local got = reader:read "a"
    assert.is_true(closing:join())
    assert.equal(300004, #got)
    reader:close()
  end)

  it("is written and closed behind a large write that is under way", function()
    for _ = 1, 20 do
      local file = fs.open(dir:path "file", "w", { buffer = 100 })
      halo.timeout(20, halo.all, {
        function() file:write(("x"):rep(2 ^ 20)) end, -- which the close may cut short
        function() file:write "small" end,
        function() assert.is_true(file:close()) end,
      })
      assert.equal("small", dir:read("file"):match "^x*(.*)$")
    end
  end)

  it("tells of a write that is refused before it starts", function()
    local flags = fs.flags
    dir:file("file", "old")
    for _, call in ipairs { "flush", "close" } do
      local file = assert(fs.open(dir:path "file", flags.PATH + flags.WRONLY, { buffer = 10 }))
      file:write "lost"
      assert.equal("EBADF", select(3, file[call](file)), call)
      if call == "flush" then
        assert.equal("EBADF", select(3, file:close()))
      end
    end
  end)

  it("takes nothing that it could not write: after the end, and in a child of fork()", function()
    local script = [[
      local ffi = require "ffi"
      ffi.cdef "int fork(void); int waitpid(int, int *, int); void _exit(int);"
      local file = fs.open(%q, "w", { buffer = 100 })
      file:write "1"
      local function try(when)
        io.stderr:write(when, ": ", select(2, pcall(file.write, file, "x", 2)), "\n")
      end
      local pid = ffi.C.fork()
      if pid == 0 then
        try "child"
        ffi.C._exit(0)
      end
      ffi.C.waitpid(pid, nil, 0)
      kept = newproxy(true)
      getmetatable(kept).__gc = function() try "end" end]]
    local path = dir:path "file"
    local _, said, status = command.run(command.halo("-e", script:format(path)))
    assert.equal(0, status, said)
    assert.matches("child: .*fork%(%)", said)
    assert.matches("end: .*halo has been closed", said)
    assert.equal("1", dir:read "file")
  end)

  it("is whole where a finalizer writes to it, or closes it, during a write", function()
    local file, writing, ending
    local function leave_garbage()
      for _ = 1, 50 do
        getmetatable(newproxy(true)).__gc = function()
          if writing and ending then
            file:close()
          elseif writing then
            file:write(("."):rep(1999), "\n")
          end
        end
      end
    end
    local numbers, line = {}, ""
    for i = 1, 50 do
      numbers[i] = i + 0.5
      line = line .. i + 0.5
    end
    for round = 1, 200 do
      ending = round % 20 == 0
      file = open(4096)
      leave_garbage()
      writing = true
      for _ = 1, 20 do
        if not file:write(numbers, "\n") then
          break -- it has been closed
        end
      end
      writing = false
      if file:is_open() then
        file:close()
      end
      for got in dir:read "file":gmatch "[^\n]+" do
        assert(got == line or got == ("."):rep(1999), got)
      end
    end
  end)

  it("is written and closed where it was only collected", function()
    open(100):write "left"
    collectgarbage()
    collectgarbage()
    eventually("the file is written", function() return dir:read "file" == "left" end)
  end)

  it("is written at the end, in whichever way that comes", function()
    for name, code in pairs {
      ["the end"] = "", ["os.exit"] = "os.exit(0)", ["an error"] = "error 'x'",
      ["a task"] = "halo.spawn(function() halo.sleep(0.001) two:write '3' end)",
    } do
      command.run(command.halo("-e", ([[
        one = fs.open(%q, "w", { buffer = 100 }) two = fs.open(%q, "w", { buffer = 100 })
        one:write "1" two:write "2" %s]]):format(dir:path "one", dir:path "two", code)))
      assert.equal("1", dir:read "one", name)
      assert.equal(name == "a task" and "23" or "2", dir:read "two", name)
    end
  end)
end)

describe("halo.stdout", function()
  local dir = temp.dir()

  local SCRIPT = [[
    local halo = require "halo"
    for i = 1, 500 do
      local way, line = i * 7919 % 6, "line " .. i .. "\n"
      if way == 0 then print("line " .. i)
      elseif way == 1 then io.write(line)
      elseif way == 2 then io.stdout:write(line)
      elseif way == 3 then halo.stdout:write("line ", i, "\n")
      elseif way == 4 and i % 60 == 4 then io.stdout:flush() os.execute("echo line " .. i)
      else halo.stdout:write(line) end
    end
    if arg[1] == "exit" then os.exit(0) end
    if arg[1] == "error" then error "over" end
  ]]

  it("is in order with print and io, to a file, a pipe and a terminal", function()
    local expected = {}
    for i = 1, 500 do
      expected[i] = "line " .. i .. "\n"
    end
    expected = table.concat(expected)
    local script = dir:file("script.lua", SCRIPT)
    for _, how in ipairs { "end", "exit", "error" } do
      assert.equal(expected, (command.run(command.halo(script, how) .. " | cat")))
      command.run(command.halo(script, how) .. " >" .. command.quote(dir:path "output"))
      assert.equal(expected, dir:read "output")
    end
  end)

  it("tells at the end that it could not be written", function()
    for _, code in ipairs { "halo.stdout:write 'x'", "halo.stdout:write 'x' os.exit(0)" } do
      local stdout, stderr, status = command.run(command.halo("-e", code) .. " >/dev/full")
      assert.same({ "", "halo: ENOSPC: no space left on device: stdout\n", 1 },
        { stdout, stderr, status })
    end
  end)

  it("is not waited for after an interrupt, where nobody reads it", function()
    local process = command.start(command.halo("-e", ([[
      local core, halo = require "halo.core", require "halo"
      halo.spawn(function() halo.sleep(0.01) io.open(%q, "w"):close() end)
      pcall(function()
        while true do
          halo.stdout:write(("x"):rep(1000))
        end
      end)
      core.finish_writing()
      halo.shield(function() io.open(%q, "w"):close() end)]]):format(dir:path "stuck",
      dir:path "finished")))
    eventually("it has begun", function() return fs.exists(dir:path "stuck") end)
    process:await_sleep()
    process:signal "INT"
    eventually("it has finished", function() return fs.exists(dir:path "finished") end)
    process:signal "INT"
    assert.equal(130, (select(3, process:finish())))
  end)

  it("gathers small writes", function()
    local code = "for i = 1, 1000 do halo.stdout:write('x') end "
      .. "io.stderr:write(halo.stats().submitted)"
    local _, stderr = command.run(command.halo("-e", code) .. " | cat")
    assert.is_true(tonumber(stderr) < 20)
  end)
end)
