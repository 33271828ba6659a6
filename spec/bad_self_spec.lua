-- Methods that are called with a dot, or for a thing of another kind: they blame the caller's line
-- and never a line inside of halo, whatever is passed.

local halo = require "halo"
local temp = require "spec.support.temp"

local fs = halo.fs

describe("a method of another thing", function()
  local dir = temp.dir()

  local function things()
    local all = {
      Buffer = halo.buffer(1),
      Channel = halo.channel(),
      Dir = assert(fs.at(dir.root)),
      File = assert(fs.open(dir:file "file")),
      Semaphore = halo.semaphore(1),
      Stat = assert(fs.stat(dir.root)),
      Task = halo.spawn(function() end),
      Walk = select(2, fs.walk(dir.root)),
      Watch = assert(fs.watch(dir.root)),
    }
    halo.scope(function(scope)
      all.Scope = scope
    end)
    return all
  end

  ---Their names; those of a Dir are made when they are asked for.
  local function methods_of(kind, thing)
    local found = {}
    if kind == "Stat" then
      return { table = thing.table }
    end
    for name, fn in pairs(debug.getmetatable(thing).__index) do
      if type(fn) == "function" and name:sub(1, 2) ~= "__" then
        found[name] = fn
      end
    end
    for name in pairs(kind == "Dir" and fs or {}) do
      found[name] = type(thing[name]) == "function" and thing[name] or nil
    end
    return found
  end

  it("is refused at the caller's line", function()
    local all, count = things(), 0
    local strange = setmetatable({}, { __index = function()
      error("the strange one was asked", 0)
    end })
    for kind, thing in pairs(all) do
      for name, method in pairs(methods_of(kind, thing)) do
        local wrong = { none = false, number = 1, table = {}, strange = strange }
        for other, value in pairs(all) do
          wrong[other] = other ~= kind and value or nil
        end
        for what, value in pairs(wrong) do
          local ok, err = pcall(method, value or nil)
          local case = ("%s of %s with %s: %s"):format(name, kind, what, tostring(err))
          assert.is_false(ok, case)
          assert.matches("^spec/bad_self_spec%.lua:%d+: ", err, case)
          assert.not_matches("attempt to", err, case)
          count = count + 1
        end
      end
    end
    assert.is_true(count > 800, count)
    for _, kind in ipairs { "Dir", "File", "Walk", "Watch" } do
      all[kind]:close()
    end
    all.Task:join()
  end)
end)
