-- Memory that runs out at each allocation in turn (spec/support/out_of_memory.c): the run ends with
-- an error that says so, nothing is lost, and the same state goes on working.

local command = require "spec.support.command"
local host_program = require "spec.support.host_program"
local temp = require "spec.support.temp"

local quote, run = command.quote, command.run

local WRAPPED = "-Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc"

-- What is to be done, a little of everything that waits.
local SCRIPT = [[
local halo, fs = require "halo", require "halo.fs"
local first, second = halo.spawn(function(a) halo.yield() return a, 2 end, 1):join()
assert(first == 1 and second == 2)

fifo = assert(fs.open("fifo", "r+"))
got = ""
local reader = halo.spawn(function()
  local data, message = fifo:read(100)
  got = got .. (data or error(message, 0))
end)
halo.yield()
sent = fifo:write("bytes") and "bytes"
reader:join()

local channel = halo.channel(1)
halo.scope(function(scope)
  scope:spawn(function()
    for i = 1, 5 do channel:send(i) end
    channel:close()
  end)
  scope:defer(function() halo.sleep(0) end)
  for value in channel do assert(value) end
end)
halo.timeout(0, halo.sleep, 1)
halo.map({ 1, 2, 3 }, halo.yield)
for value in coroutine.wrap(function()
  for i = 1, 3 do
    halo.yield()
    coroutine.yield(i)
  end
end) do
  assert(value)
end
assert(fs.stat("fifo"))
fifo:close()
]]

local CHECK = [[
local halo = require "halo"
assert(halo.stats().tasks == 1, "tasks are left")
if fifo and fifo:is_open() then
  if sent and got == "" then
    got = halo.timeout(5, fifo.read, fifo, 100)
  end
  assert(got == (sent or ""), "bytes are lost")
  fifo:close()
end
local start = halo.now()
while halo.stats().in_flight > 0 do
  halo.yield()
  assert(halo.now() - start < 5, "an operation is left")
end
assert(halo.spawn(function() return "works" end):join() == "works")
]]

local program, why_not = host_program.build("out_of_memory", WRAPPED)

describe("memory that runs out #slow", function()
  local dir = temp.dir()

  before_each(function()
    dir:fifo("fifo")
    dir:file("script.lua", SCRIPT)
    dir:file("check.lua", CHECK)
  end)

  for _, whose in ipairs { "lua", "core" } do
    for _, how in ipairs { "once", "ever" } do
      it(("is an error and no more: %s, %s"):format(whose, how), function()
        if not program then
          return pending(why_not)
        end
        local stdout, stderr, status = run(("cd %s && %s"):format(quote(dir.root),
          quote(program, whose, how, "script.lua", "check.lua")))
        assert.matches("^%d+ runs, 0 went wrong\n$", stdout .. (status ~= 0 and stderr or ""))
        assert.equal(0, status)
      end)
    end
  end
end)

describe("a read for whose string there is no memory", function()
  local dir = temp.dir()

  it("gives back the memory that it had", function()
    if (os.getenv "SANITIZE" or "") ~= "" then
      return pending "a sanitizer's own memory is beyond any limit"
    end
    local script = dir:file("script.lua", [[
      local halo, fs = require "halo", require "halo.fs"
      local file = assert(fs.open(arg[1], "w+"))
      file:truncate(4e8)
      local failed = 0
      for _ = 1, 6 do
        local ok, message = pcall(file.pread, file, 4e8, 0)
        failed = failed + (not ok and message:find "not enough memory" and 1 or 0)
      end
      halo.yield()
      fs.stat "/"
      collectgarbage()
      for line in io.lines "/proc/self/status" do
        local kilobytes = line:match "^VmSize:%s*(%d+)"
        if kilobytes then
          print(failed > 0, tonumber(kilobytes) < 300000)
        end
      end
    ]])
    local stdout = run(("ulimit -v 600000; %s"):format(command.halo(script, dir:path "file")))
    assert.equal("true\ttrue\n", stdout)
  end)
end)
