-- What copytree, move, rmtree and glob do with few descriptors.

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"

describe("few descriptors", function()
  local dir = temp.dir()

  local script = [[
    local halo = require "halo"
    local fs, dir, count = halo.fs, arg[1], tonumber(arg[2])
    local list = {}
    for i = 1, count do list[i] = i end
    halo.map(list, function(i)
      assert(fs.copytree(dir .. "/from", dir .. "/to" .. i, { times = true, mode = true }))
    end, count)
    halo.map(list, function(i)
      assert(fs.move(dir .. "/to" .. i, dir .. "/moved" .. i))
      assert(fs.copytree(dir .. "/from", dir .. "/moved" .. i, { merge = true }))
      assert(fs.rmtree(dir .. "/moved" .. i))
      assert(fs.mkdir(dir .. "/made" .. i .. "/a/b/c", { parents = true }))
    end, count)
    print "done"]]

  for _, case in ipairs { { 64, 1 }, { 64, 12 }, { 1024, 50 } } do
    it(("are enough: %d for %d trees at once"):format(case[1], case[2]), function()
      command.run(("mkdir -p '%s' && cd '%s' && for d in 1 2 3 4; do mkdir -p $d/a/b/c $d/d;" ..
        "touch $d/a/b/f $d/a/b/c/g; ln $d/a/b/f $d/d/f; seq -f $d/d/%%g 9 | xargs touch; done")
        :format(dir:path "from", dir:path "from"))
      dir:file("script.lua", script)
      local stdout, stderr = command.run(("ulimit -n %d; "):format(case[1])
        .. command.halo(dir:path "script.lua", dir.root, tostring(case[2])))
      assert.equal("done\n", stdout, stderr)
    end)
  end

  it("are enough for directories of many names", function()
    local root = fs.mkdtemp "/dev/shm/halo-spec-XXXXXX" or dir.root
    command.run(("mkdir '%s' && cd '%s' && seq 9000 | xargs touch"):format(root .. "/from",
      root .. "/from"))
    dir:file("script.lua", script)
    local stdout, stderr = command.run("ulimit -n 40; "
      .. command.halo(dir:path "script.lua", root, "2"))
    command.run(command.quote("rm", "-rf", root))
    assert.equal("done\n", stdout, stderr)
  end)

  it("are told of where none is left, and nothing hangs", function()
    tree.make(dir:path "from", { "a/b/c", "d/e" })
    dir:file("script.lua", [[
      local halo = require "halo"
      local fs, dir, held = halo.fs, arg[1], {}
      local file = fs.open "/dev/null"
      while file do
        held[#held + 1] = file
        file = fs.open "/dev/null"
      end
      print(select(3, fs.copytree(dir .. "/from", dir .. "/to")))
      print(select(3, fs.rmtree(dir .. "/from")))
      for _ = 1, 8 do table.remove(held):close() end
      print(fs.rmtree(dir .. "/from"))
      print(#halo.map({ 1, 2, 3, 4 }, function(i) return { fs.copytree(dir, dir .. i) } end))]])
    local stdout, stderr = command.run("ulimit -n 40; "
      .. command.halo(dir:path "script.lua", dir.root))
    command.run(("rm -rf '%s'?"):format(dir.root))
    assert.equal("EMFILE\nEMFILE\ntrue\n4\n", stdout, stderr)
  end)

  it("are told of, by paths that the user knows, however few there are", function()
    local items, count = {}, 12
    for i = 1, count do
      table.insert(items, ("from/d%d/s/q/f"):format(i))
      table.insert(items, ("from/d%d/f"):format(i))
      table.insert(items, ("from/l%d -> d%d"):format(i, i))
    end
    tree.make(dir.root, items)
    dir:file("script.lua", [[
      local halo = require "halo"
      local fs, dir = halo.fs, arg[1]
      local away = fs.mkdtemp "/dev/shm/halo-spec-XXXXXX" or dir
      local calls = {
        function() return fs.copytree(dir .. "/from", dir .. "/to", { mode = true }) end,
        function() return fs.move(dir .. "/to", away .. "/to") end,
        function() return fs.rmtree(dir .. "/to") end,
        function()
          local found, message = fs.glob(dir .. "/from/**/")
          return found and #found == 4 * tonumber(arg[2]) or nil, message
        end,
        function()
          local found, message = fs.glob(dir .. "/from/l*/")
          return found and #found == tonumber(arg[2]) or nil, message
        end,
      }
      for spare = 0, 12 do
        for i, call in ipairs(calls) do
          fs.rmtree(away .. "/to", { force = true })
          fs.rmtree(dir .. "/to", { force = true })
          if i == 2 or i == 3 then assert(fs.copytree(dir .. "/from", dir .. "/to")) end
          local held = {}
          local file = fs.open "/dev/null"
          while file do
            held[#held + 1], file = file, fs.open "/dev/null"
          end
          for _ = 1, spare do table.remove(held):close() end
          local done, message = halo.timeout(20, function()
            local value, problem = call()
            return value or false, problem
          end)
          while #held > 0 do table.remove(held):close() end
          local path = tostring(message):match "^EMFILE: too many open files: ([^:]*)$"
          if not done and (not path or path:sub(1, #dir) ~= dir and path:sub(1, #away) ~= away
              and path ~= "/") then
            print(i, spare, message)
          end
        end
      end
      fs.rmtree(away .. "/to", { force = true })
      if away ~= dir then fs.rmdir(away) end
      print "done"]])
    local stdout, stderr = command.run("ulimit -n 40; "
      .. command.halo(dir:path "script.lua", dir.root, tostring(count)))
    assert.equal("done\n", stdout, stderr)
  end)
end)
