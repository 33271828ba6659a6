-- Host functions that wait: spec/support/host_tokens.c has threads that answer a script's calls.

local command = require "spec.support.command"
local host_program = require "spec.support.host_program"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local program, why_not = host_program.build "host_tokens"

describe("a host function that waits", function()
  local dir = temp.dir()

  ---What a script prints, without the closing line, which tells that each job was freed.
  local function script(code, threads)
    local path = dir:file("script.lua", 'local halo = require "halo"\n' .. code)
    local stdout, stderr, status = run(("%s %s %d"):format(quote(program), quote(path),
      threads or 2))
    assert.equal("", stderr)
    assert.equal(stdout:match "^failed" and 1 or 0, status)
    local output, made, freed = stdout:match "^(.*)made (%d+) freed (%d+)\n$"
    assert.equal(made, freed)
    return output
  end

  local function it_does(what, code, expected, threads)
    it(what, function()
      if not program then
        return pending(why_not)
      end
      assert.equal((expected:gsub("SCRIPT", dir:path "script.lua")), script(code, threads))
    end)
  end

  it_does("gets its values from another thread, and no more than those", [[
    print(answer(5))
    print(select("#", answer(5)), select("#", later(0)))
  ]], "5\n1\t0\n")

  it_does("lets other tasks run meanwhile", [[
    local sleeping = halo.spawn(later, 0.2)
    halo.yield()
    print(answer(1), (sleeping:status()), (select(2, sleeping:status())))
    sleeping:join()
  ]], "1\twaiting\thost\n", 2)

  it_does("raises at its caller's line what is wrong", [[
    print(pcall(function() refuse "no" end))
    print(pcall(function() later() end))
  ]], ("false\tSCRIPT:2: no\nfalse\tSCRIPT:3: bad argument #1 to 'later' " ..
    "(number expected, got no value)\n"))

  it_does("may be complete before it waits", "print(at_once(7))", "7\n")
  it_does("is complete once", "print(twice())", "true\n")

  it_does("ends at once when it is cancelled, and the host is told", [[
    local start = halo.now()
    print(select(3, halo.timeout(0.01, later, 0.3)), halo.now() - start < 0.3)
    print(select(3, halo.timeout(0.01, nothing)))
    print(select(3, counts()))
  ]], "ETIMEDOUT\ttrue\nETIMEDOUT\n2\n")

  it_does("waits on the spot where it cannot be suspended", [[
    string.gsub("x", "x", function()
      print(answer(3), at_once(4), (pcall(refuse, "x")))
    end)
    print(coroutine.wrap(function() return answer(5) end)())
  ]], "3\t4\tfalse\n5\n")

  it_does("is no deadlock while the host has not answered", "later(0.1) print 'done'", "done\n")

  -- The wait of another call takes the wake for both, or finds that there was one already.
  it_does("is told of where a call waits on the spot meanwhile", [[
    local path = os.tmpname()
    os.remove(path)
    assert(halo.fs.mkfifo(path))
    local fifo = assert(halo.fs.open(path, "r+"))
    local sleeping = halo.spawn(later, 0.05)
    halo.yield()
    io.popen("sleep 0.3; echo x >" .. path)
    string.gsub("x", "x", function() assert(fifo:read(1) == "x") end)
    os.remove(path)
    sleeping:join()
    print "done"
  ]], "done\n")

  it_does("is told of on the spot, whatever else is complete", [[
    local tasks = {}
    for i = 1, 4 do
      tasks[i] = halo.spawn(later, i / 100)
    end
    halo.yield()
    string.gsub("x", "x", function() later(0.1) later(0.01) end)
    for i = 1, 4 do
      tasks[i]:join()
    end
    print "done"
  ]], "done\n", 5)

  it_does("raises in one task, and is delivered to the others", [[
    local items, refused = {}, 0
    for i = 1, 300 do
      items[i] = i
    end
    halo.map(items, function(i)
      for _ = 1, 10 do
        if i % 3 == 0 then
          local _, message = pcall(refuse, "x")
          refused = refused + (message:find "x" and 1 or 0)
        else
          assert(answer(i) == i)
        end
      end
    end, 300)
    print(refused)
  ]], "1000\n", 4)

  it_does("works for many tasks and threads", [[
    local items, count = {}, 0
    for i = 1, 500 do
      items[i] = i
    end
    halo.map(items, function(i)
      for _ = 1, 40 do
        assert(answer(i) == i)
        count = count + 1
      end
    end, 500)
    print(count)
  ]], "20000\n", 4)

  it_does("loses nothing when it is cancelled at any time", [[
    for i = 1, 300 do
      halo.timeout(i % 7 / 20000, function()
        while true do
          assert(answer(i) == i)
        end
      end)
    end
    print "done"
  ]], "done\n", 4)

  it_does("may be answered after the end", [[
    halo.spawn(later, 0.2)
    halo.yield()
    error("over", 0)
  ]], "failed: over\n")
end)
