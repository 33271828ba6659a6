-- What goes to standard output comes out in the order of the calls, whoever writes, and whoever
-- reads slowly holds up only those who write.

local command = require "spec.support.command"
local halo = require "halo"
local temp = require "spec.support.temp"

local quote = command.quote

describe("standard output", function()
  local dir = temp.dir()

  -- Writers in an order that a seed gives, each piece with its number.
  local MIXED = [[
    local halo = require "halo"
    local seed, count = 7, 0
    local function random(n)
      seed = (seed * 1103515245 + 12345) %% 2 ^ 31
      return math.floor(seed / 65536) %% n + 1
    end
    local ffi = require "ffi"
    ffi.cdef "int fputs(const char *, void *);"
    local writers = {
      print, print,
      function(text) io.write(text, "\n") end,
      function(text) io.stdout:write(text .. "\n") end,
      function(text) halo.stdout:write(text, "\n") end,
      function(text) -- while others wait for what they write, C does not know of that
        if %s then print(text) else ffi.C.fputs(text .. "\n", io.stdout) end
      end,
      function(text) print(text) io.stdout:flush() end,
    }
    if %s then
      halo.spawn(function() while count < 5000 do halo.sleep(0.001) end end)
    end
    while count < 5000 do
      count = count + 1
      writers[random(#writers)](count .. ("."):rep(random(200)))
      if random(20) == 1 then
        halo.yield()
      end
    end]]

  local function assert_in_order(output)
    local expected = 1
    for number in output:gmatch "(%d+)%.*\n" do
      assert.equal(expected, tonumber(number))
      expected = expected + 1
    end
    assert.equal(5001, expected)
  end

  for _, where in ipairs { "alone", "beside a task" } do
    local script = MIXED:format(where ~= "alone", where ~= "alone")

    it("is in order in a file, " .. where, function()
      local _, stderr, status = command.run(command.halo("-e", script) .. " >" .. dir:path "out")
      assert.same({ "", 0 }, { stderr, status })
      assert_in_order(dir:read "out")
    end)

    it("is in order in a pipe, " .. where, function()
      local output, stderr = command.run(command.halo("-e", script) .. " | cat")
      assert.equal("", stderr)
      assert_in_order(output)
    end)

    it("is in order where nobody reads for a while, " .. where, function()
      local output, stderr = command.run(command.halo("-e", script) .. " | { sleep 0.3; cat; }")
      assert.equal("", stderr)
      assert_in_order(output)
    end)
  end

  for _, writer in ipairs { "print", "io.write", "io.stdout:write", "halo.stdout:write" } do
    it("holds up only who writes: " .. writer, function()
      local call = writer:find ":" and writer .. "(text, '\\n')" or writer .. "(text)"
      local code = ([[
        local ticks, done = 0
        local ticker = halo.spawn(function()
          while not done do
            halo.sleep(0.001)
            ticks = ticks + 1
            if ticks == 10 then halo.fs.writefile(%q, "") end
          end
        end)
        local text = ("x"):rep(1000)
        for _ = 1, 300 do %s end
        io.stdout:flush()
        local ticked = ticks
        done = true
        ticker:join()
        io.stderr:write(ticked >= 10 and "others went on" or "only " .. ticked)]])
        :format(dir:path "ticked", call)
      -- It is read once the others have gone on.
      local output, stderr = command.run(command.halo("-e", code)
        .. (" | { until [ -e %s ]; do sleep 0.01; done; wc -c; }"):format(dir:path "ticked"))
      assert(halo.fs.remove(dir:path "ticked"))
      assert.equal("others went on", stderr)
      assert.is_true(tonumber(output) >= 300000)
    end)
  end

  it("is luajit's, byte for byte", function()
    local code = [[
      print() print(nil) print(1, nil, true, 2.5, "a\0b") print(("x"):rep(9000), ("y"):rep(5000))
      print(setmetatable({}, { __tostring = function() return "told" end }), 1 / 0, -0)
      print(pcall(print, setmetatable({}, { __tostring = function() return {} end })))
      local stock = tostring
      function tostring(value) return "<" .. stock(value) .. ">" end
      print(1, "a", nil)
      tostring = function() return {} end
      local _, message = pcall(function() print(1) end)
      io.write(message, "\n")
      tostring = nil
      _, message = pcall(print, 1)
      io.write(message, "\n")]]
    dir:file("print.lua", code)
    local expected = { command.run(quote("luajit", dir:path "print.lua")) }
    assert.same(expected, { command.run(command.halo(dir:path "print.lua")) })
  end)
end)
