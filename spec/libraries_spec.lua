-- Libraries that people use do in halo what they do in luajit: those that are installed. Their own
-- suites are run by `make libraries`.

local command = require "spec.support.command"
local halo = require "halo"
local temp = require "spec.support.temp"

local fs = halo.fs
local quote, run = command.quote, command.run

local CASES = "spec/libraries/cases.lua"
local TASKS = 4

local modules = {
  penlight = "pl", luafilesystem = "lfs", inspect = "inspect", argparse = "argparse",
  lpeg = "lpeg", cjson = "cjson", serpent = "serpent",
}

local SPEC = [[
describe("a spec", function()
  local count = 0
  before_each(function() count = count + 1 end)
  it("passes", function() assert.equal(1, count) end)
  it("fails", function() assert.same({ 1, { 2 } }, { 1, { 3 } }) end)
  it("raises", function() error { code = 3 } end)
  it("waits", function() pending "for something" end)
  it("spies", function()
    local s = spy.new(function() end)
    s(1)
    assert.spy(s).was.called_with(1)
  end)
end)
]]

---What a line prints, without addresses, and its status.
local function outcome_of(line, ...)
  local stdout, stderr, status = run(line .. " " .. quote(...), 60)
  return { (stdout:gsub("0x%x+", "0x")), stderr, status }
end

describe("a library does in halo what it does in luajit: #slow", function()
  local dir = temp.dir()

  for name, module in pairs(modules) do
    it(name, function()
      if select(3, run("luajit -e " .. quote("require '" .. module .. "'"))) ~= 0 then
        return pending(("luajit finds no module '%s'"):format(module))
      end
      for _, place in ipairs { "a", "b", "c", "d", "e" } do
        assert(fs.mkdir(dir:path(place)))
      end
      local expected = outcome_of("luajit", CASES, name, dir:path "a")
      assert.equal(0, expected[3], expected[2])
      assert.same(expected, outcome_of(command.halo(), CASES, name, dir:path "b"))
      assert.same(expected, outcome_of(command.halo(), CASES, name, dir:path "c", TASKS))
      assert.same(expected, outcome_of(command.halo "--lfs", CASES, name, dir:path "d", TASKS))
    end)
  end

  it("luacheck", function()
    local found = run("command -v luacheck"):gsub("\n", "")
    if not (fs.readfile(found) or ""):find "^#![^\n]*lua" then
      return pending "luacheck is not installed, or no Lua script"
    end
    local file = dir:file("some.lua", "local unused = 1\nx = nothing + y.z\nreturn function(a) end")
    local words = { found, "--no-color", "--codes", "--no-config", file, CASES }
    local expected = outcome_of("luajit", unpack(words))
    assert.matches("W211", expected[1])
    assert.same(expected, outcome_of(command.halo(), unpack(words)))
    assert.same(expected, outcome_of(command.halo "--lfs", unpack(words)))
  end)

  it("busted", function()
    local found = run("command -v busted"):gsub("\n", "")
    if not (fs.readfile(found) or ""):find "^#![^\n]*lua" then
      return pending "busted is not installed as a Lua script"
    end
    local words = { found, "--ignore-lua", "-o", "TAP", dir:file("some_spec.lua", SPEC) }
    local there = "cd " .. quote(dir.root) .. " && " -- where no .busted is
    local expected = outcome_of(there .. "luajit", unpack(words))
    assert.matches("\n1%.%.5\n", expected[1])
    assert.same(expected, outcome_of(there .. command.halo(), unpack(words)))
    assert.same(expected, outcome_of(there .. command.halo "--lfs", unpack(words)))
  end)
end)

describe("a standard function that is halo's own", function()
  it("cannot be dumped, as one of C", function()
    local code = [[
      for _, fn in ipairs {
        print, require, dofile, loadfile, io.write, io.flush, io.popen, io.stdout.write, os.exit,
        os.execute, coroutine.wrap, coroutine.resume, coroutine.yield, coroutine.status,
        string.dump,
      } do
        print(pcall(string.dump, fn))
      end
      print(pcall(string.dump))
      print(pcall(function() local text = string.dump(1) return text end))
      print(#string.dump(function() return 1 end) > #string.dump(function() return 1 end, true))]]
    local expected = outcome_of("luajit", "-e", code)
    assert.matches("unable to dump given function", expected[1])
    assert.same(expected, outcome_of(command.halo(), "-e", code))
  end)
end)
