-- The calls that are answered at once where they can be: in compiled loops, beside other tasks, and
-- with whatever else may happen in between. On the ring and the pool all goes the ordinary way, and
-- the same has to come out.

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local ROUNDS = 400 -- enough for LuaJIT to compile a loop

describe("a compiled loop of calls", function()
  local dir = temp.dir()

  it("reads at offsets, at the position and at the end", function()
    local content = {}
    for i = 1, ROUNDS do
      content[i] = ("%07d\n"):format(i)
    end
    local file = assert(fs.open(dir:file("lines", table.concat(content))))
    local buffer = halo.buffer(16)
    for i = 1, ROUNDS do
      assert(file:read(8) == content[i])
      assert(file:pread(8, 8 * (i - 1)) == content[i])
      assert(file:pread_into(buffer, 8, 8 * (i - 1)) == 8 and buffer:string(0, 8) == content[i])
    end
    for _ = 1, ROUNDS do
      assert(file:read(8) == nil and file:pread(8, 2 ^ 40) == nil and file:read(0) == nil)
    end
    assert.equal(8 * ROUNDS, file:tell())
    assert.equal("00\n", file:pread(8, 8 * ROUNDS - 3))
    file:close()
  end)

  it("writes at offsets and at the position, and to the end of a log", function()
    local path, log_path = dir:file("written", ""), dir:file("log", "x")
    local file, log = assert(fs.open(path, "r+")), assert(fs.open(log_path, "a"))
    for i = 1, ROUNDS do
      assert(file:write "ab" == 2)
      assert(file:pwrite("c", 2 * i - 1) == 1)
      assert(log:write(tostring(i % 10)) == 1)
    end
    file:close()
    log:close()
    assert.equal(("ac"):rep(ROUNDS), fs.readfile(path))
    assert.equal("x" .. ("1234567890"):rep(ROUNDS / 10), fs.readfile(log_path))
  end)

  it("tells the same of a file by path, by handle, as a table and field by field", function()
    local path = dir:file("status", "content")
    local file = assert(fs.open(path))
    local expected = fs.stat(path)
    for _ = 1, ROUNDS do
      for field, value in pairs(expected) do
        assert(fs.stat(path, field) == value and fs.lstat(path, field) == value)
        assert(file:stat(field) == value)
      end
      assert(fs.lstat(path).ino == expected.ino and fs.fstat(file).btime == expected.btime)
    end
    assert.same(expected, fs.lstat(path))
    file:close()
  end)

  it("refuses and raises as the first call would", function()
    local path = dir:file("refused", "content")
    local missing, file = path .. ".missing", assert(fs.open(path))
    local function misuse(...)
      return select(2, pcall(...))
    end
    for _ = 1, ROUNDS do
      local ok, _, code = fs.stat(missing)
      assert(ok == nil and code == "ENOENT" and select(3, fs.readfile(missing)) == "ENOENT")
      assert(select(3, file:pwrite("x", 0)) == "EBADF")
      assert(misuse(fs.read, file, -1):find "bad argument #2 to 'read'")
      assert(misuse(fs.pread, file, 1, 2 ^ 53 + 2):find "bad argument #3 to 'pread'")
      assert(misuse(fs.read, io.stdout, 1):find "bad argument #1 to 'read'")
      assert(misuse(fs.stat, path .. "\0x"):find "NUL")
      local forged = setmetatable({}, { __metatable = "File" })
      assert(misuse(fs.read, forged, 1):find "bad argument #1 to 'read'")
    end
    file:close()
    for _ = 1, ROUNDS do
      assert(select(3, file:pread(1, 0)) == "EBADF" and select(3, file:stat()) == "EBADF")
    end
  end)

  it("sees another file of the same name, and a longer one", function()
    local path, buffer = dir:file("changing", ""), halo.buffer(300 * ROUNDS)
    for i = 1, ROUNDS do
      local content = ("x"):rep(300 * i) -- from what fits in one call to what does not
      assert(fs.writefile(path, content))
      assert(fs.readfile(path) == content and fs.stat(path, "size") == #content)
      assert(fs.readfile_into(path, buffer) == #content)
      assert(buffer:string(0, #content) == content)
    end
  end)

  it("tells of this file what it is, whatever a finalizer asks of another in between", function()
    local fields, wanted, calls, wrong = { "size", "size", "ino" }, {}, 0, 0
    local root = dir.root -- a finalizer that raises later on would hit LuaJIT where it hurts
    for i = 1, 24 do
      wanted[i] = { size = 1000 * i, ino = fs.stat(dir:file("f" .. i, ("x"):rep(1000 * i)), "ino") }
    end
    local function ask_another()
      fs.stat(root .. "/f2", "size")
    end
    local function check(i)
      calls = calls + 1
      local field = fields[calls % 3 + 1]
      if fs.stat(root .. "/f" .. i, field) ~= wanted[i][field] then
        wrong = wrong + 1
      end
      getmetatable(newproxy(true)).__gc = ask_another
    end
    for _ = 1, 3000 do
      for i = 3, 24 do
        check(i)
      end
    end
    collectgarbage()
    assert.equal(0, wrong)
  end)

  it("counts as operations", function()
    local path, before = dir:file("counted", "x"), halo.stats()
    for _ = 1, ROUNDS do
      fs.stat(path, "size")
    end
    local after = halo.stats()
    assert.equal(ROUNDS, after.submitted - before.submitted)
    assert.equal(ROUNDS, after.retired - before.retired)
  end)
end)

describe("halo without the FFI", function()
  it("does the same, as far as Lua alone can", function()
    local program = [[
      package.preload.ffi, package.loaded.ffi = nil, nil
      local halo = require "halo"
      halo.run(function()
        local file = assert(halo.fs.open "/etc/passwd")
        local content = halo.fs.readfile "/etc/passwd"
        assert(file:read(10) == content:sub(1, 10) and file:stat "size" == #content)
        print(pcall(require, "ffi"), halo.fs.stat("/etc").type)
      end)
    ]]
    local stdout = command.run(command.luajit .. " -e " .. command.quote(program))
    assert.matches("^false.*dir\n$", stdout)
  end)
end)

describe("a task in a compiled loop of calls", function()
  local dir = temp.dir()

  it("lets others run though all it gets is refusals", function()
    local file = assert(fs.open(dir:file("closed", "content")))
    file:close()
    local _, _, code = halo.timeout(0.02, function()
      while true do
        file:read(1)
      end
    end)
    assert.equal("ETIMEDOUT", code)
  end)

  it("lets others run", function()
    local path, ended, turns = dir:file("shared", "content"), false, 0
    local file = assert(fs.open(path))
    local other = halo.spawn(function()
      while not ended do
        turns = turns + 1
        halo.yield()
      end
    end)
    for _ = 1, 20000 do
      file:pread(1, 0)
    end
    ended = true
    other:join()
    file:close()
    assert.is_true(turns > 100, turns .. " turns")
  end)

  it("has another turn where this one's time is used up, and is not handed on", function()
    local file = assert(fs.open(dir:file("turns", ("x"):rep(4096))))
    local before = halo.stats()
    halo.scope(function(scope)
      for _ = 1, 16 do
        scope:spawn(function()
          for _ = 1, 1000 do
            file:pread(4096, 0)
          end
        end)
      end
    end)
    local after = halo.stats()
    file:close()
    if (os.getenv "HALO_ENGINE" or "auto") == "auto" then
      -- tmpfs and overlayfs do not say whether they would wait. There the clock decides, and it
      -- cannot tell a wait from a thread that others have pushed aside.
      local files = command.run("stat -f -c %T " .. command.quote(dir.root))
      local handed_on = after.ring + after.pool - before.ring - before.pool
      local is_blind = files:find "tmpfs" or files:find "overlay"
      assert.is_true(handed_on <= (is_blind and 1600 or 0), handed_on)
      assert.is_true(after.turns - before.turns > 10)
    end
  end)

  it("can be ended by a timeout, and by its scope", function()
    local path = dir:file("endless", "content")
    local function for_ever()
      while true do
        fs.stat(path)
      end
    end
    assert.same({ "ETIMEDOUT" }, { (select(3, halo.timeout(0.02, for_ever))) })
    local task = halo.spawn(for_ever)
    halo.yield()
    task:cancel()
    local ok, raised = pcall(task.join, task)
    assert.is_false(ok)
    assert.equal("ECANCELED", raised.code)
  end)

  it("keeps the order of reads at the position that others wait for", function()
    local file = assert(fs.open(dir:file("ordered", ("0123456789"):rep(100))))
    local got = {}
    halo.scope(function(scope)
      for _ = 1, 10 do
        scope:spawn(function()
          for _ = 1, 100 do
            local digit = file:read(1)
            got[#got + 1] = digit
          end
        end)
      end
    end)
    file:close()
    table.sort(got)
    local expected = {}
    for digit = 0, 9 do
      expected[digit + 1] = tostring(digit):rep(100)
    end
    assert.equal(table.concat(expected), table.concat(got))
  end)

  it("gets its own bytes though a finalizer reads in between", function()
    local mine, other = dir:file("mine", ("m"):rep(5000)), dir:file("other", ("o"):rep(5000))
    local finalized = 0
    local function litter()
      getmetatable(newproxy(true)).__gc = function()
        finalized = finalized + 1
        assert(fs.readfile(other):find "^o+$")
      end
    end
    for i = 1, 4000 do
      litter()
      assert(#(("x"):rep(3000) .. i) > 3000) -- for the collector to have something to do
      assert(fs.readfile(mine):find "^m+$")
    end
    collectgarbage() -- as long as there is something to read
    assert.equal(4000, finalized)
  end)
end)
