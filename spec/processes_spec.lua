-- Several processes at the same files, each with several tasks: nothing that is appended is lost or
-- torn, a lock has one holder, a name is made by one, moved by one, and never gone meanwhile.

local command = require "spec.support.command"
local halo = require "halo"
local survived = require "spec.support.survived"
local temp = require "spec.support.temp"

local fs = halo.fs

local PROCESSES, TASKS, ROUNDS = 3, 4, 40

local prelude = [[
  local halo, fs = require "halo", require "halo.fs"
  local root, me, tasks, rounds = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
  local function each(fn)
    local numbers = {}
    for i = 1, tasks do numbers[i] = i end
    halo.map(numbers, fn)
  end
  io.stdout:write "ready\n"
  io.stdout:flush()
  io.read()
]]

describe("several processes", function()
  local dir = temp.dir()

  ---Runs a script in all of them at once; what each has printed.
  local function compete(script)
    local path, started, outputs = dir:file("script.lua", prelude .. script), {}, {}
    assert(fs.mkdir(dir:path "area"))
    for i = 1, PROCESSES do
      started[i] = command.start(command.halo(path, dir:path "area", tostring(i), tostring(TASKS),
        tostring(ROUNDS)))
      started[i]:await "ready\n"
    end
    for _, process in ipairs(started) do
      process:type "go\n"
    end
    for i, process in ipairs(started) do
      local stdout, stderr, status = process:finish()
      assert.same({ "", 0 }, { stderr, status })
      outputs[i] = stdout:gsub("^ready\n", "")
    end
    return outputs
  end

  local function tell(name, kind, tried, unit)
    survived.tell { name = "processes_" .. name, kind = kind, tried = tried, unit = unit, lost = 0,
      command = "make test SPEC=spec/processes_spec.lua" }
  end

  for how, append in pairs {
    ["fs.writefile"] = [[assert(fs.writefile(path, line, { append = true }))]],
    ["an open file"] = [[
      file = file or assert(fs.open(path, "a"))
      assert(file:write(line) == #line)]],
    ["a buffer"] = [[
      file = file or assert(fs.open(path, "a", { buffer = true }))
      assert(file:write(line) == #line and file:flush())]],
    ["an array"] = [[
      file = file or assert(fs.open(path, "a"))
      local pieces = {}
      for c in line:gmatch "[^ ]+%s*" do pieces[#pieces + 1] = c end
      assert(file:write(pieces) == #line)]],
  } do
    it("append whole lines by " .. how, function()
      compete(([[
        local path = root .. "/log"
        each(function(task)
          local file
          for i = 1, rounds do
            local line = ("%%s %%d %%d %%s end\n"):format(me, task, i, ("x"):rep(i * 97 %% 3000))
            %s
          end
          if file then assert(file:close()) end
        end)]]):format(append))
      local next_of, count = {}, 0
      for line in io.lines(dir:path "area/log") do
        local process, task, i, filling = line:match "^(%d) (%d) (%d+) (x*) end$"
        assert.is_truthy(process, "a torn line: " .. line)
        local who = process .. " " .. task
        next_of[who] = (next_of[who] or 0) + 1
        assert.equal(next_of[who], tonumber(i))
        assert.equal(i * 97 % 3000, #filling)
        count = count + 1
      end
      assert.equal(PROCESSES * TASKS * ROUNDS, count)
      tell("append", "processes that append to one file", 4 * count, "lines")
    end)
  end

  it("count under a lock", function()
    dir:file("count", "0")
    compete [[
      local path = root .. "/../count"
      each(function()
        for _ = 1, rounds do
          local file = assert(fs.open(path, "r+"))
          assert(file:lock "exclusive")
          local count = tonumber(file:read "a")
          halo.yield()
          assert(file:pwrite(("%d"):format(count + 1), 0))
          assert(file:close())
        end
      end)]]
    assert.equal(PROCESSES * TASKS * ROUNDS, tonumber(dir:read "count"))
    tell("lock", "processes that count under a lock", PROCESSES * TASKS * ROUNDS, "locks")
  end)

  it("give up on a lock in time, and hold it alone", function()
    dir:file("count", "0")
    local outputs = compete [[
      local path, got = root .. "/../count", 0
      each(function()
        local file = assert(fs.open(path, "r+"))
        for i = 1, rounds do
          local ok, _, code = file:lock("exclusive", i % 2 * 0.001)
          if ok then
            local count = tonumber(file:pread(100, 0))
            halo.yield()
            assert(file:pwrite(("%d"):format(count + 1), 0))
            assert(file:unlock())
            got = got + 1
          else
            assert(code == "EAGAIN" or code == "ETIMEDOUT", code)
          end
        end
        file:close()
      end)
      print(got)]]
    local got = 0
    for _, output in ipairs(outputs) do
      got = got + tonumber(output)
    end
    assert.is_true(got > 0)
    assert.equal(got, tonumber(dir:read "count"))
  end)

  it("make, claim and remove a name once", function()
    local outputs = compete [[
      local made, claimed, removed = 0, 0, 0
      for i = 1, rounds do
        each(function(task)
          local name = ("%s/new%d"):format(root, i)
          local file, _, code = fs.open(name, "wx")
          if file then
            made = made + 1
            file:close()
          else
            assert(code == "EEXIST" or code == "ENOENT", code)
          end
          -- Renamed by one, whoever comes first; the others find it gone, or the new name taken.
          local ok
          ok, _, code = fs.rename(name, ("%s/claim%d"):format(root, i), { noreplace = true })
          claimed = claimed + (ok and 1 or 0)
          assert(ok or code == "ENOENT" or code == "EEXIST", code)
        end)
      end
      print(made, claimed)]]
    local made, claimed = 0, 0
    for _, output in ipairs(outputs) do
      local m, c = output:match "(%d+)\t(%d+)"
      made, claimed = made + m, claimed + c
    end
    local names = fs.readdir(dir:path "area")
    local left = 0
    for _, entry in ipairs(names) do
      left = left + (entry.name:match "^new" and 1 or 0)
    end
    assert.equal(ROUNDS, claimed)
    assert.equal(made, claimed + left)
    assert.equal(made, #names)
    tell("claim", "processes that make and rename the same names", made, "names")
  end)

  it("replace a file as a whole, which is always there and whole", function()
    dir:file("config", ("0"):rep(100))
    compete [[
      local path = root .. "/../config"
      each(function(task)
        for i = 1, rounds do
          if task % 2 == 0 then
            local text = tostring((me * task + i) % 10):rep(100 + i * 613 % 20000)
            assert(fs.writefile(path, text, { atomic = true, sync = false }))
          end
          local text = assert(fs.readfile(path))
          assert(#text >= 100 and text == text:sub(1, 1):rep(#text), "a part")
        end
      end)]]
    assert.same({}, fs.readdir(dir:path "area"))
    assert.same({ "area", "config", "script.lua" }, (function()
      local names = {}
      for name in fs.dir(dir.root) do
        names[#names + 1] = name
      end
      table.sort(names)
      return names
    end)())
    tell("replace", "processes that replace one file as a whole", PROCESSES * TASKS * ROUNDS,
      "reads and writes")
  end)
end)
