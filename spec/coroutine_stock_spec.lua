-- What users' own coroutines do under halo is what they do in plain LuaJIT: each case of
-- spec/support/coroutine_cases.lua is run by both.

local command = require "spec.support.command"
local halo = require "halo"

local CASES = "spec/support/coroutine_cases.lua"

---Writes values so that a reader, and a comparison, can tell them apart. This source is run by
---plain LuaJIT as well.
local SHOW = [[
  local function show(value)
    if type(value) == "string" then
      return (("%q"):format(value):gsub("\n", "n"))
    elseif type(value) == "table" then
      local shown = {}
      for i = 1, table.maxn(value) do
        shown[i] = show(value[i])
      end
      return "{" .. table.concat(shown, ", ") .. "}"
    elseif type(value) == "function" or type(value) == "thread" then
      return type(value)
    end
    return tostring(value)
  end

  return function(fn)
    return show { pcall(fn) }
  end
]]

local PROGRAM = ([[
  local outcome_of = (function() %s end)()
  for _, case in ipairs(dofile "%s") do
    io.write(outcome_of(case.fn), "\n")
  end
]]):format(SHOW, CASES)

describe("the coroutine library", function()
  local outcome_of = loadstring(SHOW)()
  local cases = dofile(CASES) -- by the name under which luajit knows it
  local expected = {}

  setup(function()
    local output, trouble, status = command.run("luajit -e " .. command.quote(PROGRAM))
    assert.equal("", trouble)
    assert.equal(0, status)
    for line in output:gmatch("[^\n]+") do
      table.insert(expected, line)
    end
    assert.equal(#cases, #expected)
  end)

  for i, case in ipairs(cases) do
    it("is as in plain LuaJIT: " .. case.name, function()
      assert.equal(expected[i], outcome_of(case.fn))
    end)
  end

  it("is as in plain LuaJIT in several tasks at once", function()
    local outcomes = halo.map(cases, function(case)
      halo.yield()
      return outcome_of(case.fn)
    end)
    assert.same(expected, outcomes)
  end)

  it("is as in plain LuaJIT inside of another coroutine", function()
    for i, case in ipairs(cases) do
      if not case.name:find("outside", 1, true) then
        assert.equal(expected[i], coroutine.wrap(outcome_of)(case.fn))
      end
    end
  end)

  it("is as in plain LuaJIT inside of a callback from C", function()
    for i, case in ipairs(cases) do
      local got
      table.sort({ 1, 2 }, function() got = got or outcome_of(case.fn) end)
      assert.equal(expected[i], got)
    end
  end)

  it("is as in plain LuaJIT in finalizers and hooks", function()
    local program = [[
      local function generate(where)
        local generator = coroutine.wrap(function(...)
          for i = 1, 3 do
            print(where, i, coroutine.yield(i, ...))
          end
          return "end"
        end)
        print(generator("a", "b"))
        print(generator("c"), generator("d"), generator("e"), pcall(generator))
      end
      for _ = 1, 3 do
        getmetatable(newproxy(true)).__gc = function() generate "finalizer" end
        collectgarbage()
        debug.sethook(function()
          debug.sethook()
          generate "hook"
        end, "", 1)
        collectgarbage()
      end
    ]]
    local plain = { command.run("luajit -e " .. command.quote(program)) }
    local under_halo = { command.run(command.halo("-e", program)) }
    assert.matches("finalizer.*hook", plain[1])
    assert.same(plain, under_halo)
  end)
end)
