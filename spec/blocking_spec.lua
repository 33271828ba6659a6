-- Who holds the loop is told where that was asked for: the task, from where to where, and each call
-- that waits on the spot.

local command = require "spec.support.command"
local fuse = require "spec.support.fuse"
local temp = require "spec.support.temp"

local quote, run = command.quote, command.run

local COMPUTE = [[
  local function compute()
    local start = os.clock()
    while os.clock() - start < 0.04 do end
  end
]]

describe("--warn-blocking", function()
  local dir = temp.dir()

  ---What a script that is called s.lua tells on standard error, with this option.
  local function told(code, option, line)
    local path = dir:file("s.lua", code)
    local _, stderr, status = run(quote("cd", dir.root) .. " && "
      .. (line or command.halo(option)) .. " s.lua")
    assert.equal(0, status, stderr)
    assert(path)
    return stderr
  end

  it("tells of a task that computes: its number, where it was spawned, what it was at", function()
    local text = told([[
      local halo = require "halo"
      ]] .. COMPUTE:gsub("\n%s*", " ") .. [[

      halo.spawn(function()
        halo.sleep(0.001)
        compute()
        halo.yield()
      end)
      halo.sleep(0.1)
    ]], "--warn-blocking=20")
    local held, computed = text:match(
      "halo: task 2 %(spawned at s%.lua:3%) held the loop for (%d+) ms, computing for (%d+), "
      .. "from s%.lua:4 to s%.lua:6\n")
    assert(held, text)
    assert.is_true(tonumber(held) >= 40)
    assert.is_true(tonumber(computed) >= 30)
  end)

  it("tells of one that is held up by a call that is not halo's", function()
    local text = told([[
      local ffi = require "ffi"
      ffi.cdef "int usleep(unsigned);"
      ffi.C.usleep(60000)
      require("halo").yield()
      ffi.C.usleep(60000)
    ]], "--warn-blocking=20")
    local held, computed = text:match(
      "halo: task 1 held the loop for (%d+) ms, computing for (%d+), from its start to s%.lua:4\n")
    assert(held, text)
    assert.is_true(tonumber(held) >= 60)
    assert.is_true(tonumber(computed) < 60)
    assert.matches("halo: task 1 held the loop for %d+ ms, computing for %d+, "
      .. "from s%.lua:4 to its end\n", text)
  end)

  it("tells of a place once, and at the end how often it was there", function()
    local text = told([[
      local halo = require "halo"
      ]] .. COMPUTE:gsub("\n%s*", " ") .. [[

      for _ = 1, 4 do
        halo.yield()
        compute()
      end
    ]], "--warn-blocking=20")
    local _, count = text:gsub("computing for %d+, from s.lua:4 to s.lua:4", "%0")
    assert.equal(1, count)
    assert.matches("halo: the loop was held from s%.lua:4 to s%.lua:4 2 times more, "
      .. "for %d+ ms at most\n", text)
  end)

  it("tells of calls that wait on the spot, and what they are called from", function()
    local text = told([[
      local halo = require "halo"
      local fs = halo.fs
      table.sort({ 1, 2, 3 }, function(a, b)
        fs.readdir "/"
        return a < b
      end)
      local _ = ("x"):gsub("x", function() halo.sleep(0.001) end)
      setmetatable({}, { __index = function() fs.readdir "/" end }).x = nil
      local _ = setmetatable({}, { __index = function() return fs.readdir "/" end }).x
      pcall(fs.readdir, "/")
      table.sort({ 1, 2 }, function(a, b) return fs.stat("/", "size") and a < b end)
    ]], "--warn-blocking")
    assert.matches("halo: readdir waited on the spot at s%.lua:4, for %d+%.%d ms: "
      .. "nothing can be suspended inside of sort\n", text)
    assert.matches("halo: stat waited on the spot at s%.lua:11, for %d+%.%d ms: "
      .. "nothing can be suspended inside of sort\n", text)
    assert.matches("halo: sleep waited on the spot at s%.lua:7, for %d+%.%d ms: "
      .. "nothing can be suspended inside of gsub\n", text)
    assert.matches("halo: readdir waited on the spot at s%.lua:4 %w+ t?i?m?e?s? ?more, "
      .. "for %d+%.%d ms at most\n", text)
    assert.is_nil(text:find "s%.lua:[89]:")
    assert.is_nil(text:find "s%.lua:9,")
    assert.is_nil(text:find "s%.lua:10,")
  end)

  it("can be asked for by halo.configure, in plain luajit too", function()
    local code = [[
      local halo = require "halo"
      halo.configure { warn_blocking_ms = 20 }
      ]] .. COMPUTE:gsub("\n%s*", " ") .. [[

      halo.spawn(function() compute() end)
      halo.fs.readdir "/"
      halo.run(halo.sleep, 0.001)
      os.exit(0, true)
    ]]
    local text = told(code, nil, command.luajit)
    assert.matches("halo: readdir waited on the spot at s%.lua:5, for %d+%.%d ms: "
      .. "nothing can be suspended outside of a task\n", text)
    assert.matches("halo: task 1 %(spawned at s%.lua:4%) held the loop for %d+ ms, "
      .. "computing for %d+, from its start to its end\n", text)
    assert.matches("held the loop", told(code:gsub("os.exit.-\n", ""), nil, command.halo()))
  end)

  it("tells nothing where it was not asked for", function()
    assert.equal("", told("local halo = require 'halo' " .. COMPUTE .. [[
      compute()
      halo.yield()
      table.sort({ 1, 2, 3 }, function(a, b) halo.fs.readdir "/" return a < b end)
    ]], "-E"))
  end)

  it("takes a whole number of milliseconds", function()
    for _, option in ipairs { "=0", "=x", "=", "=-1", "=1.5", "=99999999", "s" } do
      local _, stderr, status = run(command.halo("--warn-blocking" .. option, "-e", ""))
      assert.equal(2, status)
      assert.matches("^halo: %-%-warn%-blocking" .. option:gsub("%p", "%%%0"), stderr)
    end
    local code = "require('halo').configure { warn_blocking_ms = 0 }"
    local _, stderr, status = run(command.halo("-e", code))
    assert.equal(1, status)
    assert.matches("warn_blocking_ms must be a whole number from 1", stderr)
  end)
end)

describe("--warn-blocking in a slow place", function()
  local mount, reason = fuse.mount(150)
  if not mount then
    it("does not mind what halo's own calls take", function()
      pending(reason)
    end)
    return
  end

  it("does not mind what halo's own calls take", function()
    local code = ("local fs = require('halo').fs; fs.stat(%q); fs.readdir(%q)"):format(mount.path,
      mount.path)
    local _, stderr, status = run(command.halo("--warn-blocking=140", "-e", code))
    assert.same({ "", 0 }, { stderr, status })
  end)
end)
