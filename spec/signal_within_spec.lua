-- SIGTERM, SIGINT and SIGHUP in the midst of calls that take long: trees that are copied, removed,
-- moved to another file system, walked, matched, summed up, watched. The command ends by the signal
-- when its scopes have been unwound, and leaves what the calls promise: files of a copy are whole
-- or not there, a tree that is moved is whole in one place, and nothing is left that halo has
-- named. SIGNALS=1000 in the environment says how often for each kind of call.

local build = require "spec.support.build"
local command = require "spec.support.command"
local survived = require "spec.support.survived"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local SIGNALS = tonumber(os.getenv "SIGNALS") or 8
local MOMENT_US = 30000 -- about as long as the shorter ones of the calls take
local PATIENCE_S = 600 -- for many; one that hangs does so for ever
local endings = { { 15, 2 }, { 2, 4 }, { 1, 4 } } -- signals, and one of how many is it

-- Looks at what the one before it has left, and goes on until the signal comes. Each call has
-- `work`, which a task does again and again on things of its own, and `check` for afterwards.
local script = [[
  local halo, fs = require "halo", require "halo.fs"
  local kind, tasks, area, other = arg[1], tonumber(arg[2]), arg[3], arg[4]
  local original = area .. "/original"

  local function fail(...)
    print("lost", ...)
    io.stdout:flush()
    os.exit(3)
  end

  -- The sizes of all that is in a tree, by its names; "" for what has none.
  local function look(root)
    local found = {}
    for path, entry in fs.walk(root, { stat = "size" }) do
      found[path:sub(#root + 2)] = entry.type == "file" and entry.size or ""
    end
    return found
  end

  local function fits(found, whole, in_part)
    for name, size in pairs(found) do
      if whole[name] ~= size then
        return false
      end
    end
    for name in pairs(in_part and {} or whole) do
      if not found[name] then
        return false
      end
    end
    return true
  end

  local whole = look(original)

  local function copy_of(i)
    return area .. "/copy" .. i
  end

  local function check_copy(i)
    if fs.exists(copy_of(i)) then
      if not fits(look(copy_of(i)), whole, true) then
        fail("a part of a file, or a stranger", copy_of(i))
      end
      assert(fs.rmtree(copy_of(i)))
    end
  end

  local function copies(options)
    return {
      work = function(i)
        assert(fs.copytree(original, copy_of(i), options))
        assert(fs.rmtree(copy_of(i)))
      end,
      check = check_copy,
    }
  end

  local function nothing() end

  local calls = {
    copytree = copies {},
    ["copytree with all"] = copies { mode = true, times = true, owner = true, xattrs = true },
    rmtree = {
      work = function(i)
        for name in fs.dir(original) do
          local from = original .. "/" .. name
          assert(fs.copytree(from, copy_of(i) .. name))
        end
        for name in fs.dir(original) do
          assert(fs.rmtree(copy_of(i) .. name))
        end
      end,
      check = function()
        for name in fs.dir(area) do
          if name:find "^copy" then
            assert(fs.rmtree(area .. "/" .. name))
          end
        end
      end,
    },
    move = {
      work = function(i)
        local here, there = area .. "/tree" .. i, other .. "/tree" .. i
        assert(fs.move(here, there))
        assert(fs.move(there, here))
      end,
      check = function(i)
        local here, there = area .. "/tree" .. i, other .. "/tree" .. i
        local is_here = fs.exists(here) and fits(look(here), whole)
        local is_there = fs.exists(there) and fits(look(there), whole)
        for at, is in pairs { [here] = is_here, [there] = is_there } do
          if fs.exists(at) and not is and not fits(look(at), whole, true) then
            fail("a part of a file", at)
          end
        end
        if not (is_here or is_there) and (fs.exists(here) or fs.exists(there)) then
          fail("a tree is whole nowhere", i)
        elseif not is_here and is_there then
          assert(fs.rmtree(here, { force = true }))
          assert(fs.move(there, here))
        elseif not is_here then
          assert(fs.copytree(original, here))
        end
        assert(fs.rmtree(there, { force = true }))
      end,
    },
    ["move of a file"] = {
      work = function(i)
        assert(fs.move(area .. "/big" .. i, other .. "/big" .. i))
        assert(fs.move(other .. "/big" .. i, area .. "/big" .. i))
      end,
      check = function(i)
        local here, there = area .. "/big" .. i, other .. "/big" .. i
        local size = fs.stat(here, "size") or fs.stat(there, "size")
        if size and size ~= 3e6 then
          fail("a part of a file", i, size)
        elseif fs.exists(there) then
          fs.remove(here)
          assert(fs.move(there, here))
        elseif not size then
          assert(fs.writefile(here, ("x"):rep(3e6)))
        end
      end,
    },
    copy = {
      work = function(i)
        assert(fs.copy(area .. "/big", area .. "/new" .. i, { reflink = false }))
        assert(fs.remove(area .. "/new" .. i))
      end,
      check = function(i)
        if fs.exists(area .. "/new" .. i) and fs.stat(area .. "/new" .. i, "size") ~= 3e6 then
          fail("a part of a file", i)
        end
        fs.remove(area .. "/new" .. i)
      end,
    },
    ["atomic write"] = {
      work = function(i)
        assert(fs.writefile(area .. "/whole" .. i, ("x"):rep(1e6), { atomic = true, sync = i > 1 }))
        assert(fs.remove(area .. "/whole" .. i))
        assert(fs.symlink("whole" .. i, area .. "/link" .. i))
        assert(fs.writefile(area .. "/link" .. i, ("x"):rep(1e6), { atomic = true, sync = false }))
        assert(fs.remove(area .. "/link" .. i))
        assert(fs.remove(area .. "/whole" .. i))
      end,
      check = function(i)
        local size = fs.stat(area .. "/whole" .. i, "size")
        if size and size ~= 1e6 then
          fail("a part of a file", i, size)
        end
        fs.remove(area .. "/whole" .. i)
        fs.remove(area .. "/link" .. i)
      end,
    },
    walk = {
      work = function()
        for _ in fs.walk(original, { order = true, stat = { "size", "mtime" } }) do end
      end,
      check = nothing,
    },
    glob = {
      work = function()
        assert(#fs.glob(original .. "/**/*") > 0)
        assert(#fs.glob(original .. "/{d1,d2,d3}*/[a-f]*") > 0)
      end,
      check = nothing,
    },
    du = {
      work = function()
        local paths, total = {}, 0
        for path in fs.walk(original) do
          paths[#paths + 1] = path
        end
        halo.map(paths, function(path)
          local size = assert(fs.lstat(path, "size"))
          total = total + size
        end)
        halo.map(paths, function(path)
          if fs.lstat(path, "type") == "file" then
            assert(#fs.readfile(path) > 0)
          end
        end)
      end,
      check = nothing,
    },
    watch = {
      work = function(i)
        assert(fs.mkdir(copy_of(i)))
        local watch = fs.watch(copy_of(i), { recursive = true })
        halo.scope(function(scope)
          scope:defer(function() watch:close() end)
          scope:spawn(function()
            for n = 1, 30 do
              assert(fs.mkdir(("%s/%d/a/b"):format(copy_of(i), n), { parents = true }))
            end
            assert(fs.rmtree(copy_of(i)))
          end)
          for _ in watch do end
        end)
      end,
      check = function(i)
        assert(fs.rmtree(copy_of(i), { force = true }))
      end,
    },
  }

  for _, root in ipairs { area, other } do
    for path, entry in fs.walk(root) do
      if entry.name:find "^%.halo" then
        fail("left over", path)
      end
    end
  end
  if fs.exists(area .. "/started") then
    if not fs.exists(area .. "/unwound") then
      fail "was not unwound"
    end
    fs.remove(area .. "/unwound")
  end
  local call = calls[kind]
  local numbers = {}
  for i = 1, tasks do
    numbers[i] = i
    call.check(i)
  end
  assert(fs.writefile(area .. "/started", ""))

  halo.scope(function(scope)
    scope:defer(function()
      assert(fs.writefile(area .. "/unwound", ""))
    end)
    print "ready"
    io.stdout:flush()
    halo.map(numbers, function(i)
      while true do
        call.work(i)
      end
    end)
  end)
]]

describe("a signal to end, in the midst of #slow", function()
  local dir = temp.dir()
  local killer, why_not = build.program "kill_within"
  local tried = 0
  local other -- a directory on another file system, if there is one

  before_each(function()
    other = temp.elsewhere()
  end)

  after_each(function()
    os.execute(quote("rm", "-rf", other))
  end)

  for _, kind in ipairs { "copytree", "copytree with all", "rmtree", "move", "move of a file",
    "copy", "atomic write", "walk", "glob", "du", "watch" } do
    it(kind .. " unwinds it, and leaves what is promised", function()
      if not killer then
        pending(why_not)
      end
      assert.same({ "", "", 0 }, { run(([[cd %s && mkdir area area/original && cd area/original &&
        for d in 1 2 3 4 5 6 7 8 9 10 11 12; do
          mkdir -p d$d/x/y && for f in a b c d e f g h; do
            head -c $((d * 777)) /dev/zero | tee d$d/$f d$d/x/$f >d$d/x/y/$f
          done; ln -s ../nowhere d$d/link
        done; head -c 3000000 /dev/zero >../big]]):format(quote(dir.root))) })
      local path = dir:file("script.lua", script)
      for tasks = 1, 3, 2 do
        for _, ending in ipairs(endings) do
          local count = math.ceil(SIGNALS / 2 / ending[2])
          local stdout, stderr, status = run(quote(killer, tostring(ending[1]), tostring(count),
            tostring(MOMENT_US), command.halo_bin, path, kind, tostring(tasks), dir:path "area",
            other), PATIENCE_S)
          assert.same({ "", "", 0 }, { stdout, stderr, status })
          tried = tried + count
        end
      end
    end)
  end

  teardown(function()
    survived.tell_of_file { name = "signal_within",
      kind = "SIGTERM, SIGINT, SIGHUP within calls that work on trees", tried = tried,
      unit = "signals", command = "make test SPEC=spec/signal_within_spec.lua" }
  end)
end)
