-- An end with a thousand operations pending, whichever way it comes: the exit status says how, no
-- effect on a file comes later, what is written as a whole is whole, and nothing is left behind
-- that halo has named.

local command = require "spec.support.command"
local halo = require "halo"
local host_program = require "spec.support.host_program"
local survived = require "spec.support.survived"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local PENDING = tasks.rounds(1000)
local sanitized = (os.getenv "SANITIZE" or "") ~= "" -- which takes all of this long
local PATIENCE_S = sanitized and 120 or 60 -- on a machine that is busy with other things
local TURNS = sanitized and { 3 } or { 0, 1, 3, 8, 20, 100 } -- of the loop, before the end

-- Tasks at work on names of their own, for ever: each kind has something to undo or to keep whole.
local workload = [[
  local halo, fs = require "halo", require "halo.fs"
  local text = ("x"):rep(30000)
  local mark = "\n" .. ("%d\n"):format(#text)
  local kinds = {
    function(i)
      assert(fs.writefile("whole" .. i, text .. mark, { atomic = true, sync = i % 2 == 0 }))
    end,
    function(i)
      local file = assert(fs.open("new" .. i, "w"))
      assert(file:write(text, mark))
      assert(file:close())
    end,
    function(i)
      assert(fs.writefile("from" .. i, text))
      assert(fs.copy("from" .. i, "copy" .. i))
    end,
    function(i) assert(fs.mkdir("dir" .. i)) assert(fs.rmdir("dir" .. i)) end,
    function() assert(fs.tempfile "."):close() end,
    function(i)
      assert(fs.writefile("one" .. i, "x"))
      assert(fs.rename("one" .. i, "two" .. i))
    end,
    function() halo.sleep(1000) end,
    function()
      local file = assert(fs.open("fifo", "r+"))
      file:read(1)
      file:close()
    end,
    function(i)
      local file = assert(fs.open("locked", "r+"))
      assert(file:lock(i % 2 == 0 and "exclusive" or "shared"))
      halo.sleep(1000)
    end,
    function(i)
      assert(fs.mkdir(("tree%d/a/b"):format(i), { parents = true }))
      assert(fs.rmtree("tree" .. i))
    end,
    function(i)
      local from = OTHER .. "/" .. i
      assert(fs.mkdir(from .. "/a", { parents = true }))
      for name in ("bcdefg"):gmatch "." do
        assert(fs.writefile(from .. "/a/" .. name, text))
      end
      assert(fs.move(from, "moved" .. i))
      assert(fs.rmtree("moved" .. i))
    end,
  }
  local pending = tonumber(PENDING)
  for i = 1, pending do
    halo.spawn(function()
      while true do
        kinds[i % #kinds + 1](i)
      end
    end)
  end
  -- So many turns of the loop; fewer where the machine has other things to do.
  local function go_on(turns)
    local late_s = halo.now() + 5
    for _ = 1, turns do
      if halo.now() > late_s then break end
      halo.yield()
    end
  end
]]

describe("an end with 1,000 operations pending #slow", function()
  local dir = temp.dir()
  local tried = 0
  local other -- a directory on another file system, if there is one

  setup(function()
    other = temp.elsewhere()
  end)

  teardown(function()
    os.execute(quote("rm", "-rf", other))
  end)

  ---Writes the workload with what ends it; the directory it works in is new.
  local function prepare(ending)
    os.execute(("cd %s && rm -rf area '%s'/* && mkdir area && : >area/locked && mkfifo area/fifo")
      :format(quote(dir.root), other))
    return dir:file("script.lua", ("local PENDING, OTHER = %d, %q\n"):format(PENDING, other)
      .. workload .. ending)
  end

  ---What may not be there: names of halo's own, and parts of what is written as a whole.
  local function assert_clean()
    local stdout = run(("cd %s && find . -name '.halo*' -o -name 'whole*' ! -size 30007c")
      :format(quote(dir:path "area")))
    assert.equal("", stdout)
    tried = tried + PENDING
  end

  local function in_area(line)
    return ("cd %s && %s"):format(quote(dir:path "area"), line)
  end

  local endings = {
    { "os.exit", "os.exit(3)", 3, "" },
    { "os.exit in a task", "halo.spawn(os.exit, 4) halo.sleep(1000)", 4, "" },
    { "os.exit that closes the state", "os.exit(5, true)", 5, "" },
    { "an error", "error 'enough'", 1, "enough" },
    { "an error of a task", "halo.spawn(function() error 'enough' end):join()", 1, "enough" },
    { "an interrupt", "require('ffi').cdef 'int raise(int);' require('ffi').C.raise(2) "
      .. "halo.sleep(1000)", 130, nil },
  }
  for _, ending in ipairs(endings) do
    it("comes by " .. ending[1], function()
      for _, turns in ipairs(TURNS) do
        local path = prepare(("go_on(%d) %s"):format(turns, ending[2]))
        local start = halo.now()
        local stdout, stderr, status = run(in_area(command.halo(path)))
        assert.equal("", stdout)
        assert.equal(ending[3], status, stderr)
        if ending[4] == "" then
          assert.equal("", stderr)
        else
          assert.is_truthy(stderr:find(ending[4] or "", 1, true), stderr)
        end
        assert.is_true(halo.now() - start < PATIENCE_S)
        assert_clean()
      end
    end)
  end

  ---Whether the command catches a signal itself.
  local function is_caught(number)
    local mask = run(command.halo("-e", [[
      print(io.open("/proc/self/status"):read("*a"):match "SigCgt:%s*(%x+)")]]))
    local low = tonumber(mask:match "(%x%x%x%x%x%x%x%x)%s*$", 16)
    return math.floor(low / 2 ^ (number - 1)) % 2 == 1
  end

  for signal, number in pairs { TERM = 15, HUP = 1 } do
    it("comes by SIG" .. signal, function()
      if not is_caught(number) then
        pending("the command leaves SIG" .. signal .. " to the kernel")
      end
      for _, turns in ipairs(TURNS) do
        local path = prepare(("go_on(%d) print 'ready' io.stdout:flush() halo.sleep(1000)")
          :format(turns))
        local process = command.start(("sh -c %s"):format(quote(in_area("exec "
          .. command.halo(path)))))
        process:await "ready\n"
        assert.is_true(process:signal(signal))
        local _, _, status = process:finish()
        assert.equal(128 + number, status)
        assert_clean()
      end
    end)
  end

  local moments = {
    ["atomic writes"] = [[
      for _ = 1, 1e9 do
        require("halo.fs").writefile("whole", ("x"):rep(30007), { atomic = true, sync = false })
      end]],
    -- As on a file system that knows files with names alone.
    ["temporary files"] = [[
      local core, fs = require "halo.core", require "halo.fs"
      local open, bit = core.open, fs.flags.TMPFILE - fs.flags.DIRECTORY
      function core.open(base, path, how, ...)
        if math.floor(how / bit) % 2 == 1 then
          return nil, "EOPNOTSUPP: not here: " .. path, "EOPNOTSUPP"
        end
        return open(base, path, how, ...)
      end
      for _ = 1, 1e9 do
        assert(fs.tempfile "."):close()
      end]],
  }
  for what, text in pairs(moments) do
    it("comes by SIGTERM in the midst of " .. what .. ", one after the other", function()
      if not is_caught(15) then
        pending "the command leaves SIGTERM to the kernel"
      end
      prepare ""
      local path = dir:file("writer.lua", "print 'ready' io.stdout:flush()\n" .. text)
      for moment = 1, 20 do
        local process = command.start(("sh -c %s"):format(quote(in_area("exec "
          .. command.halo(path)))))
        process:await "ready\n"
        halo.sleep(moment * 0.0007) -- there is nothing to await: any moment is meant
        assert.is_true(process:signal "TERM")
        local _, stderr, status = process:finish()
        assert.equal(143, status, stderr)
        assert_clean()
      end
    end)
  end

  for how, argument in pairs { ["lua_close"] = "", ["halo_lua_close"] = "halo" } do
    it("comes by " .. how .. ", and nothing happens later", function()
      local program, why_not = host_program.build "close_pending"
      if not program then
        pending(why_not)
      end
      for _, steps in ipairs(TURNS) do
        local path = prepare "halo.sleep(1000)"
        local stdout, stderr, status = run(("%s %s %s %d %s"):format(quote(program), quote(path),
          quote(dir:path "area"), steps, argument))
        assert.same({ "same\n", "", 0 }, { stdout, stderr, status })
        assert_clean()
      end
    end)
  end

  teardown(function()
    survived.tell_of_file { name = "ending",
      kind = "exits, errors, signals and lua_close with all pending",
      tried = tried, unit = "operations",
      command = "make test SPEC=spec/ending_spec.lua" }
  end)
end)
