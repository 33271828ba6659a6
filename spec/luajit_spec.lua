-- halo as a module of plain luajit: halo.so, and a loop that runs when halo.run asks for it.

local command = require "spec.support.command"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

---Runs code with plain luajit; returns what it printed, having checked that all went well.
local function luajit(code)
  local stdout, stderr, status = run(command.luajit .. " -e " .. quote(code))
  assert.same({ "", 0 }, { stderr, status })
  return stdout
end

describe("in plain luajit, require", function()
  it("finds halo, the same each time, with fs in it", function()
    assert.equal("true\ttable\ttrue\n", luajit [[
      local halo = require "halo"
      print(halo == require "halo", type(halo), halo.fs == require "halo.fs")
    ]])
  end)

  it("finds halo.fs although nobody has asked for halo before", function()
    assert.equal("true\ttrue\n", luajit [[
      local fs = require "halo.fs"
      print(fs.stat("/").is_dir, require("halo").fs == fs)
    ]])
  end)

  it("leaves no global behind", function()
    assert.equal("nil\tnil\n", luajit [[
      require "halo"
      print(rawget(_G, "halo"), rawget(_G, "fs"))
    ]])
  end)

  it("finds the one loop again when package.loaded was emptied, as busted does", function()
    assert.equal("7\ttrue\n", luajit [[
      local halo = require "halo"
      local task = halo.spawn(function() return 7 end)
      package.loaded["halo"], package.loaded["halo.fs"] = nil, nil
      local again = require "halo"
      print(again.run(function() return task:join() end), again.stats().tasks == 0)
    ]])
  end)
end)

describe("in plain luajit, halo.run", function()
  it("passes arguments and returns results, nils included", function()
    assert.equal("4\t1\tnil\t3\tnil\n", luajit [[
      local halo = require "halo"
      local function count(...) return select("#", ...), ... end
      print(count(halo.run(function(...) halo.sleep(0.001) return ... end, 1, nil, 3, nil)))
    ]])
  end)

  it("waits for all tasks that it spawned", function()
    assert.equal("fn\ntask\ntask of the task\nafter\n", luajit [[
      local halo = require "halo"
      halo.run(function()
        halo.spawn(function()
          halo.sleep(0.01)
          halo.spawn(function() halo.yield() print "task of the task" end)
          print "task"
        end)
        print "fn"
      end)
      print "after"
    ]])
  end)

  it("may be called again, by and by", function()
    assert.equal("1\n2\n3\n", luajit [[
      local halo = require "halo"
      for i = 1, 3 do print(halo.run(function() halo.yield() return i end)) end
    ]])
  end)

  it("runs what was spawned before it", function()
    assert.equal("task\nfn\n", luajit [[
      local halo = require "halo"
      halo.spawn(print, "task")
      halo.run(print, "fn")
    ]])
  end)

  it("raises an error of its function as it is", function()
    assert.equal("false\t(command line):2: boom\nfalse\ttrue\nfalse\tnil\n", luajit [[
      local halo, value = require "halo", {}
      print(pcall(halo.run, function() error "boom" end))
      local ok, raised = pcall(halo.run, function() halo.yield() error(value) end)
      print(ok, rawequal(raised, value))
      print(pcall(halo.run, function() error(nil) end))
    ]])
  end)

  it("ends what its function has left behind when it fails", function()
    assert.equal("false\t(command line):4: boom\ntrue\t0\n", luajit [[
      local halo = require "halo"
      local start = halo.now()
      print(pcall(halo.run, function() halo.spawn(halo.sleep, 1000) halo.yield()
        error "boom" end))
      print(halo.now() - start < 2, halo.stats().tasks)
    ]])
  end)

  it("tells a failure that nobody joins", function()
    local stdout, stderr, status = run(command.luajit .. " -e " .. quote [[
      local halo = require "halo"
      halo.run(function() halo.spawn(function() error "boom" end) end)
      print "after"
    ]])
    assert.matches("^halo: task %d+ failed: %(command line%):2: boom\nstack traceback:\n", stderr)
    assert.same({ "after\n", 0 }, { stdout, status })
  end)

  it("inside of a task waits for what its own function has spawned, and no more", function()
    assert.equal("inner\t1\ttrue\nouter task\n", luajit [[
      local halo = require "halo"
      halo.run(function()
        halo.spawn(function() halo.sleep(0.05) print "outer task" end)
        local ended
        local result = halo.run(function(n)
          halo.spawn(function() halo.sleep(0.001) ended = true end)
          return n
        end, 1)
        print("inner", result, ended)
      end)
    ]])
  end)

  it("takes a function and nothing else", function()
    assert.matches("^false\t%(command line%):2: bad argument #1 to 'run' %(", luajit [[
      local halo = require "halo"
      print(pcall(function() halo.run("print") end))
    ]])
  end)

  it("has many at work at once", function()
    assert.equal("true\n", luajit [[
      local halo = require "halo"
      local start = halo.now()
      halo.run(function()
        for _ = 1, 100 do halo.spawn(halo.sleep, 0.05) end
      end)
      print(halo.now() - start < 100 * 0.05 / 2)
    ]])
  end)
end)

describe("in plain luajit, outside of any task,", function()
  local dir = temp.dir()

  it("a call of fs simply waits", function()
    assert.equal("5\thello\t5\ttrue\ttrue\n", luajit(([[
      local fs = require("halo").fs
      local file = assert(fs.create(%q))
      local count = file:write("hello")
      file:close()
      file = assert(fs.open(%q))
      print(count, file:read(100), file:stat().size, file:read(1) == nil, file:close())
    ]]):format(dir:path("file"), dir:path("file"))))
  end)

  it("a refusal is three values, misuse an error at the line of the call", function()
    assert.matches("^nil\tENOENT: no such file or directory: /nope\tENOENT\n"
      .. "false\t%(command line%):3: bad argument #1 to 'stat' %([^\n]*number%)\n$", luajit [[
      local fs = require("halo").fs
      print(fs.stat("/nope"))
      print(pcall(function() fs.stat(12) end)) ]])
  end)

  it("a sleep waits", function()
    assert.equal("true\n", luajit [[
      local halo = require "halo"
      local start = halo.now()
      halo.sleep(0.02)
      print(halo.now() - start >= 0.02)
    ]])
  end)

  it("join runs the loop until the task has ended", function()
    assert.equal("42\n", luajit [[
      local halo = require "halo"
      print(halo.spawn(function() halo.sleep(0.001) return 42 end):join())
    ]])
  end)

  it("the end of the process is no obstacle to tasks that have not", function()
    assert.equal("end\n", luajit [[
      local halo = require "halo"
      for _ = 1, 10 do halo.spawn(halo.sleep, 1000) end
      halo.fs.stat("/")
      print "end"
    ]])
  end)

  it("a file that was written and dropped is complete", function()
    luajit(([[
      local fs = require("halo").fs
      fs.create(%q):write("complete")
    ]]):format(dir:path("file")))
    assert.equal("complete", dir:read("file"))
  end)
end)

describe("in plain luajit, halo.configure", function()
  it("chooses the engine, unless HALO_ENGINE does", function()
    local code = quote [[
      local halo = require "halo"
      halo.configure { engine = "pool" }
      print((halo.engine()))
    ]]
    assert.equal("pool\n", (run("unset HALO_ENGINE; " .. command.luajit .. " -e " .. code)))
    assert.equal(require("halo").engine() .. "\n", (run(command.luajit .. " -e " .. code)))
  end)

  it("takes an engine's name, and nothing else", function()
    for _, engine in ipairs { "true", "1", "{}" } do
      assert.matches("^false\t[^\n]*%(engine must be a string, got a %a+%)\n$", luajit(([[
        local halo = require "halo"
        print(pcall(function() halo.configure { engine = %s } end)) ]]):format(engine)))
    end
  end)

  it("comes too late after the first operation", function()
    assert.matches("^false\t%(command line%):3: configure must come before the first operation\n$",
      luajit [[
      local halo = require "halo" halo.fs.stat("/")
      print(pcall(function()
        halo.configure { max_files = 100 } end)) ]])
  end)
end)

describe("in a child of fork()", function()
  it("calls say what is the matter, and the script ends #fork", function()
    local code = quote [[
      local halo, ffi = require "halo", require "ffi"
      ffi.cdef "int fork(void); int waitpid(int, int *, int);"
      halo.run(function()
        halo.fs.readfile "/etc/passwd"
        local child = ffi.C.fork()
        if child ~= 0 then
          ffi.C.waitpid(child, nil, 0)
          return
        end
        print(pcall(halo.fs.stat, "/etc"))
        print(pcall(halo.fs.readfile, "/etc/passwd"))
        print(pcall(halo.sleep, 0))
        io.stdout:flush()
      end) ]]
    -- What belongs to the parent's loop stays with the child, which a sanitizer would tell.
    local out, stderr, status = run(("ASAN_OPTIONS=detect_leaks=0 %s -e %s"):format(
      command.luajit, code))
    assert.same({ "", 0 }, { stderr, status })
    local count = select(2, out:gsub("false\t[^\n]*this process is a child of fork%(%)", ""))
    assert.equal(3, count)
  end)
end)
