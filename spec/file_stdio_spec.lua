local halo = require "halo"
local command = require "spec.support.command"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local PRELUDE = 'local halo = require "halo" local fs = halo.fs '

---A line that runs code which has halo and fs.
local function line_of(code, ...)
  return command.halo("-e", PRELUDE .. code, ...)
end

local function run(format, code)
  return { command.run(format:format(line_of(code))) }
end

describe("standard files", function()
  local dir = temp.dir()

  it("are made when they are first asked for, and once", function()
    assert.same({ "nil\ttrue\n", "", 0 }, run("%s", [[
      local before = rawget(halo, "stdout")
      print(before, halo.stdout == halo.stdout)]]))
  end)

  it("are the only names that come about in this way", function()
    assert.is_nil(halo.stdlog)
    assert.is_nil(rawget(halo, "stdin"))
  end)

  it("are read and written", function()
    local code = "halo.stdout:write((halo.stdin:read(100) or ''):upper()) halo.stderr:write 'done'"
    assert.same({ "HELLO", "done", 0 }, run("printf hello | %s", code))
    assert.same({ "", "done", 0 }, run("%s", code))
    dir:file("input", "from a file")
    assert.same({ "FROM A FILE", "done", 0 }, run("%s <" .. dir:path("input"), code))
  end)

  it("are gone through line by line", function()
    local code = "for line in halo.stdin:lines() do halo.stdout:write('<' .. line .. '>') end"
    assert.same({ "<a><><b>", "", 0 }, run("printf 'a\\n\\nb' | %s", code))
    dir:file("input", "a\n\nb\n")
    assert.same({ "<a><><b>", "", 0 }, run("%s <" .. dir:path("input"), code))
  end)

  it("let other tasks run while they wait", function()
    local process = command.start(line_of [[
      local reading = halo.spawn(function() return halo.stdin:read(100) end)
      halo.stdout:write "waiting\n"
      halo.stdout:setvbuf "no"
      local rounds = 0
      repeat
        halo.sleep(0.001)
        rounds = rounds + 1
        if rounds == 5 then halo.stdout:write "rounds\n" end
      until reading:status() ~= "waiting"
      print(reading:join())]])
    process:await "rounds\n"
    process:type "input"
    process:await "input\n"
    local _, stderr, status = process:finish()
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("can be waited for in vain", function()
    local process = command.start(line_of [[
      io.stdout:setvbuf "no"
      print(halo.timeout(0.01, halo.stdin.read, halo.stdin, 10))
      print(halo.stdin:read(10))]])
    process:await "ETIMEDOUT"
    process:type "late"
    process:await "late"
    process:finish()
  end)

  it("go on where print and other programs have written, and they where these have", function()
    local code = [[
      print "one"
      io.stdout:flush()
      halo.stdout:write "two\n"
      os.execute "echo three"
      halo.stdout:write "four\n"
      print "five"]]
    local all = "one\ntwo\nthree\nfour\nfive\n"
    assert.same({ all, "", 0 }, run("%s", code))
    run("%s >" .. dir:path("output"), code)
    assert.equal(all, dir:read("output"))
    run("%s >>" .. dir:path("output"), code)
    assert.equal(all .. all, dir:read("output"))
  end)

  it("leave to other programs what they have not read", function()
    dir:file("input", "one two")
    local code = "assert(halo.stdin:read(4) == 'one ') os.execute 'cat'"
    assert.same({ "two", "", 0 }, run("%s <" .. dir:path("input"), code))
  end)

  it("write all of what a pipe takes piece by piece", function()
    local code = "halo.stdout:write(('x'):rep(1e6))"
    assert.same({ "1000000\n", "", 0 }, run("%s | wc -c", code))
  end)

  it("are left open when they are closed", function()
    assert.same({ "still\n", "", 0 }, run("%s", [[
      assert(halo.stdout:close())
      assert(select(3, halo.stdout:write "not") == "EBADF")
      print "still"]]))
  end)

  it("end the command where nobody reads any more", function()
    assert.same({ "", "cancelled", 0 }, run("%s | true", [[
      local ok, err
      repeat ok, err = pcall(halo.stdout.write, halo.stdout, ("x"):rep(65536)) until not ok
      io.stderr:write(halo.is_cancelled(err) and "cancelled" or tostring(err))]]))
  end)
end)
