-- fs.watch: many watches, which share one instance of inotify.

local halo = require "halo"
local fs = halo.fs
local core = require "halo.core"
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
local watching = require "spec.support.watching"

local NAMES_ONLY = { "create", "delete", "move" }

---The events up to the one of a name, in lines.
local function events_until(watch, root, name)
  local events = {}
  while true do
    local event = assert(halo.timeout(5, watch.next, watch))
    if event.name == name then
      return events
    end
    events[#events + 1] = watching.describe(event, root)
  end
end

describe("many watches", function()
  local dir = temp.dir()
  local watches

  before_each(function()
    watches = {}
  end)

  after_each(function()
    for _, watch in ipairs(watches) do
      watch:close()
    end
  end)

  local function add(...)
    local watch = fs.watch(...)
    table.insert(watches, watch)
    return watch
  end

  it("are more than the system allows instances", function()
    local limit = tonumber(fs.readfile("/proc/sys/fs/inotify/max_user_instances"))
    local count = math.min(limit + 72, 2000)
    local files = halo.stats().files_open
    local seen = 0
    for i = 1, count do
      fs.mkdir(dir:path("dir" .. i))
      add(dir:path("dir" .. i), { events = { "create" } })
    end
    assert.equal(files + 2, halo.stats().files_open)
    local waiting = {}
    for i, watch in ipairs(watches) do
      waiting[i] = halo.spawn(function()
        local event = watch:next()
        assert.equal(dir:path(("dir%d/file"):format(i)), event.path)
        seen = seen + 1
      end)
    end
    halo.yield()
    for i = 1, count do
      dir:file(("dir%d/file"):format(i))
    end
    for _, task in ipairs(waiting) do
      task:join()
    end
    assert.equal(count, seen)
    for _, watch in ipairs(watches) do
      watch:close()
    end
    assert.equal(files, halo.stats().files_open)
  end)

  it("of one directory each get what they asked for", function()
    dir:file("old")
    local names = add(dir.root, { events = { "create", "delete" } })
    local writes = add(dir.root, { events = { "close_write" } })
    local all = add(dir.root, { recursive = true })
    os.execute(("cd %s && echo >> old; touch new; mv new new2; rm new2; touch end; rm end"):format(
      dir.root))
    assert.same({ "create new", "delete new2" }, events_until(names, dir.root, "end"))
    assert.same({ "close_write old", "close_write new" }, events_until(writes, dir.root, "end"))
    assert.same({ "modify old", "close_write old", "create new", "attrib new", "close_write new",
      "move new -> new2", "delete new2" }, events_until(all, dir.root, "end"))
  end)

  it("of one directory go on when others end", function()
    tree.make(dir.root, { "sub/" })
    local first = add(dir.root, { recursive = true, events = NAMES_ONLY })
    local second = add(dir:path("sub"), { events = NAMES_ONLY })
    local third = add(dir.root, { recursive = true, events = NAMES_ONLY })
    second:close()
    dir:file("sub/one")
    first:close()
    dir:file("sub/two")
    assert.equal("one", third:next().name)
    assert.equal("two", third:next().name)
    assert.is_nil(first:next())
    local again = add(dir:path("sub"), { events = NAMES_ONLY })
    third:close()
    dir:file("sub/three")
    assert.equal("three", again:next().name)
  end)

  it("see moves from one to the other", function()
    tree.make(dir.root, { "a/file", "a/dir/sub/", "b/" })
    local from = add(dir:path("a"), { recursive = true, events = NAMES_ONLY })
    local to = add(dir:path("b"), { recursive = true, events = NAMES_ONLY })
    local both = add(dir.root, { recursive = true, events = NAMES_ONLY })
    os.execute(("cd %s && mv a/file b; mv a/dir b/dir2; touch a/end b/end"):format(dir.root))
    assert.same({ "delete file (moved)", "delete dir/ (moved)" },
      events_until(from, dir:path "a", "end"))
    assert.same({ "create file (moved)", "create dir2/ (moved)", "create dir2/sub/" },
      events_until(to, dir:path "b", "end"))
    assert.same({ "move a/file -> b/file", "move a/dir/ -> b/dir2/" },
      events_until(both, dir.root, "end"))
    dir:file("b/dir2/sub/late")
    assert.equal(dir:path "b/dir2/sub/late", to:next().path)
    assert.equal("create", from:close() and both:next().type) -- b/end
    assert.equal(dir:path "b/dir2/sub/late", both:next().path)
  end)

  it("lose nothing where waits for some are cancelled", function()
    local count, seen = tasks.rounds(300), { {}, {}, {} }
    for i = 1, 3 do
      fs.mkdir(dir:path(tostring(i)))
      add(dir:path(tostring(i)), { events = { "create" } })
    end
    local making = halo.spawn(function()
      for i = 1, count do
        for j = 1, 3 do
          fs.writefile(dir:path(("%d/%d"):format(j, i)), "")
        end
        halo.sleep(math.random() / 5000)
      end
      for j = 1, 3 do
        fs.writefile(dir:path(j .. "/end"), "")
      end
    end)
    local takers = {}
    for j, watch in ipairs(watches) do
      takers[j] = halo.spawn(function()
        repeat
          local event = halo.timeout(math.random() / 2000, watch.next, watch)
          if event then
            table.insert(seen[j], event.name)
          end
        until event and event.name == "end"
      end)
    end
    for _, task in ipairs(takers) do
      task:join()
    end
    making:join()
    for j = 1, 3 do
      assert.equal(count + 1, #seen[j])
      for i = 1, count do
        assert.equal(tostring(i), seen[j][i])
      end
    end
  end)

  it("are told alike where the kernel has lost events", function()
    tree.make(dir.root, { "a/1", "b/", "c/" })
    local limit = tonumber(fs.readfile("/proc/sys/fs/inotify/max_queued_events"))
    add(dir:path "a", { events = NAMES_ONLY })
    add(dir:path "b", { events = NAMES_ONLY, recursive = true })
    add(dir:path "c", { events = { "attrib" } })
    local from, to = dir:path "a/1", dir:path "a/2"
    for _ = 1, limit / 4 + 10 do
      os.rename(from, to)
      os.rename(to, from)
    end
    for i = #watches, 1, -1 do
      local event
      repeat
        event = assert(halo.timeout(5, watches[i].next, watches[i]))
      until event.type ~= "move"
      assert.equal("overflow", event.type)
    end
    dir:file "b/new"
    assert.equal("new", watches[2]:next().name)
  end)

  it("do not hold up each other, and keep only so much for one that takes nothing", function()
    local idle = add(dir.root, { events = { "attrib" } })
    local busy = add(dir.root, { events = { "attrib" } })
    local path, rounds = dir:file "file", 20000
    local other = dir:file "other"
    local seen = 0
    for i = 1, rounds, 1000 do
      for _ = i, i + 999, 2 do
        fs.chmod(path, 384)
        fs.chmod(other, 384) -- two alike in a row would be one
      end
      for _ = 1, 1000 do
        seen = seen + (busy:next().type == "attrib" and 1 or 0)
      end
    end
    assert.equal(rounds, seen)
    local count, event = 0
    repeat
      event = idle:next()
      count = count + 1
    until event.type == "overflow"
    assert.equal(16385, count)
    dir:file "more"
    fs.chmod(path, 420)
    repeat
      event = assert(halo.timeout(5, idle.next, idle))
    until event.name == "file"
  end)

  it("are ended by the collector, while others go on", function()
    tree.make(dir.root, { "a/b/", "c/" })
    local kept = add(dir:path "c", { events = { "create" } })
    local inotify = kept.inotify.inotify.file:fd()
    local function count()
      return select(2, fs.readfile(("/proc/self/fdinfo/%d"):format(inotify)):gsub("inotify wd", ""))
    end
    local before = count()
    for i = 1, 20 do
      fs.watch(dir:path "a", { recursive = i % 2 == 0 })
    end
    assert.is_true(count() > before)
    eventually("they are gone", function()
      collectgarbage()
      halo.timeout(0.001, kept.next, kept)
      return count() == before
    end)
    dir:file "c/file"
    assert.equal("file", kept:next().name)
  end)

  it("may be closed while somebody waits for them and others as well", function()
    fs.mkdir(dir:path "other")
    for _ = 1, 3 do
      for _, path in ipairs { dir.root, dir.root, dir:path "other" } do
        add(path, { events = { "create" } })
      end
      local waiting = {}
      for i, watch in ipairs(watches) do
        waiting[i] = tasks.start(watch.next, watch)
      end
      for i = 1, #watches - 1 do -- the first one is the reader
        watches[i]:close()
        assert.is_nil(waiting[i]:join())
      end
      dir:file "other/file"
      assert.equal("file", waiting[#watches]:join().name)
      os.remove(dir:path "other/file")
      watches[#watches]:close()
      watches = {}
    end
  end)

  it("tell a task that cannot yield", function()
    local watch, other = add(dir.root, { events = { "create" } }), add("/proc/self")
    local waiting = tasks.start(other.next, other)
    dir:file "file"
    local name
    table.sort({ 1, 2 }, function(a, b)
      name = name or watch:next().name
      return a < b
    end)
    assert.equal("file", name)
    other:close()
    assert.is_nil(waiting:join())
  end)

  it("end with the program, however it ends", function()
    local scripts = {
      ["the end\n"] = "print 'the end'",
      ["stopped\n"] = "halo.spawn(function() print(pcall(w[1].next, w[1])) end); halo.yield()"
        .. " print 'stopped' os.exit(0)",
    }
    for expected, script in pairs(scripts) do
      local stdout, stderr, status = command.run(command.halo("-e", ([[
        local halo = require "halo"
        local w = {}
        for i = 1, 200 do w[i] = halo.fs.watch(%q, { recursive = i %% 2 == 0 }) end
        %s]]):format(dir.root, script)))
      assert.equal("", stderr)
      assert.equal(expected, stdout)
      assert.equal(0, status)
    end
  end)

  it("end by an interrupt", function()
    local process = command.start(command.halo("-e", ([[
      local halo = require "halo"
      for i = 1, 100 do
        halo.spawn(function()
          for _ in halo.fs.watch(%q, { recursive = i %% 2 == 0 }) do end
        end)
      end
      halo.sleep(0.05)
      print "waiting" io.flush()
      halo.sleep(%d)]]):format(dir.root, tasks.forever)))
    process:await "waiting"
    process:signal "INT"
    local _, _, status = process:finish()
    assert.equal(130, status)
  end)

  it("end with a scope that is cancelled", function()
    for i = 1, 50 do
      add(dir.root, { events = { "create" }, recursive = i % 2 == 0 })
    end
    local ok, err = pcall(halo.scope, function(scope)
      for _, watch in ipairs(watches) do
        scope:spawn(watch.next, watch)
      end
      halo.yield()
      error("enough", 0)
    end)
    assert.is_false(ok)
    assert.equal("enough", err)
    dir:file "file"
    for _, watch in ipairs(watches) do
      assert.equal("file", watch:next().name)
    end
  end)

  it("all tell all of a tree that changes as fast as it can #slow", function()
    local seed = tonumber(os.getenv "HALO_SEED") or os.time()
    local count = tonumber(os.getenv "HALO_WATCH") or 3000
    print(("fs.watch: HALO_SEED=%d"):format(seed))
    tree.make(dir.root, { "in/", "out/" })
    local root = dir:path "in"
    for _ = 1, 3 do
      add(root, { recursive = true, events = NAMES_ONLY })
    end
    local process = command.start(command.quote("luajit", "spec/support/churn.lua", root,
      dir:path "out", tostring(count), tostring(seed)))
    local pictures = {}
    halo.map(watches, function(watch)
      local picture = watching.picture(root)
      table.insert(pictures, picture)
      repeat
        local patience = picture.entries[root .. "/done"] == nil and 30 or 1
        local event = halo.timeout(patience, watch.next, watch)
        if event then
          picture:add(event)
        end
      until not event
    end)
    process:finish()
    for _, picture in ipairs(pictures) do
      assert.same({}, picture.faults)
      assert.same(tree.list(root), picture:list())
    end
  end)
end)

describe("a runtime without watches", function()
  it("has no instance of inotify", function()
    eventually("it is closed", function()
      collectgarbage()
      for _, path in ipairs(core.open_files()) do
        if path:match "inotify" then
          return false
        end
      end
      return true
    end)
  end)
end)
