local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
local watching = require "spec.support.watching"
require "spec.support.assertions"

local core = require "halo.core"

local NAMES_ONLY = { "create", "delete", "move" }

---The next event within a moment, in a line.
local function next_event(watch, root)
  local event = halo.timeout(5, watch.next, watch)
  return event and watching.describe(event, root)
end

---How many files its instance of inotify watches.
local function numbers_of(watch)
  local count = 0
  local info = fs.readfile(("/proc/self/fdinfo/%d"):format(watch.inotify.inotify.file:fd()))
  for _ in info:gmatch "inotify wd" do
    count = count + 1
  end
  return count
end

describe("fs.watch", function()
  local dir = temp.dir()
  local watch

  after_each(function()
    if watch then
      watch:close()
      watch = nil
    end
  end)

  ---The events of what the shell does in the directory.
  local function events_of(line)
    return watching.events_of(watch, dir.root, line)
  end

  it("tells what happens in a directory", function()
    dir:file("there")
    watch = fs.watch(dir.root)
    assert.same({ "create new", "attrib new", "close_write new" }, events_of "touch new")
    assert.same({ "modify new", "close_write new" }, events_of "echo text >> new")
    assert.same({ "attrib new" }, events_of "chmod 600 new")
    assert.same({ "move new -> other" }, events_of "mv new other")
    assert.same({ "delete other" }, events_of "rm other")
    assert.same({ "create dir/", "move dir/ -> dir2/", "delete dir2/" },
      events_of "mkdir dir; mv dir dir2; rmdir dir2")
  end)

  it("gives an event as a table", function()
    watch = fs.watch(dir.root, { events = NAMES_ONLY })
    dir:file("a")
    os.rename(dir:path("a"), dir:path("b"))
    assert.same({ type = "create", path = dir:path("a"), name = "a", is_dir = false }, watch())
    assert.same({ type = "move", path = dir:path("b"), name = "b", is_dir = false,
      from = dir:path("a"), to = dir:path("b") }, watch:next())
  end)

  it("tells what happened before anybody asked", function()
    watch = fs.watch(dir.root, { events = { "create" } })
    dir:file("one")
    dir:file("two")
    assert.equal("create one", next_event(watch, dir.root))
    assert.equal("create two", next_event(watch, dir.root))
  end)

  it("makes paths that begin as the one it was given", function()
    dir:file("file")
    local expectations = { ["."] = "./new", ["./"] = "./new", [dir.root .. "/"] = dir:path("new") }
    for path, expected in pairs(expectations) do
      local script = ([[
        local fs = require("halo").fs
        local watch = fs.watch(%q)
        io.open("new", "w"):close()
        print(watch().path)
        os.remove "new"]]):format(path)
      local line = command.quote("cd", dir.root) .. ";" .. command.halo("-e", script)
      assert.equal(expected .. "\n", (command.run(line)))
    end
  end)

  it("tells what comes from outside and what goes there", function()
    tree.make(dir.root, { "in/", "out/file" })
    watch = fs.watch(dir:path("in"), { events = NAMES_ONLY })
    assert.same({ "create file (moved)" },
      watching.events_of(watch, dir:path("in"), "mv ../out/file ."))
    assert.same({ "delete file (moved)" },
      watching.events_of(watch, dir:path("in"), "mv file ../out"))
  end)

  it("finds the halves of moves that others come between", function()
    tree.make(dir.root, { "a", "b", "c/", "out/" })
    watch = fs.watch(dir.root, { events = NAMES_ONLY })
    local read = core.read_events
    core.read_events = function(inotify)
      local events, more = read(inotify)
      if #events >= 4 then -- as if two had been moved at the same time
        events[2], events[3] = events[3], events[2]
      end
      return events, more
    end
    local events = events_of "mv a a2; mv b b2"
    core.read_events = read
    assert.same({ "move a -> a2", "move b -> b2" }, events)
  end)

  it("waits a moment for the second half of a move", function()
    dir:file("a")
    watch = fs.watch(dir.root, { events = NAMES_ONLY })
    local read, held = core.read_events, nil
    core.read_events = function(inotify)
      local events, more = read(inotify)
      if not held then
        held = table.remove(events, 2)
      elseif events[1] then
        table.insert(events, 1, held)
      end
      return events, more
    end
    os.rename(dir:path("a"), dir:path("b"))
    local task = halo.spawn(watch.next, watch)
    eventually("the first half is there", function() return held end)
    dir:file("c")
    local event = watching.describe(task:join(), dir.root)
    core.read_events = read
    assert.equal("move a -> b", event)
  end)

  it("tells of the events that are asked for alone", function()
    dir:file("file", "text")
    watch = fs.watch(dir.root, { events = { "create", "delete", "open", "access", "close" } })
    assert.same({ "open file", "access file", "close file" }, events_of "cat file >/dev/null")
    watch:close()
    watch = fs.watch(dir.root, { events = { "close_write", "create", "delete" } })
    assert.same({ "close_write file" }, events_of "cat file >/dev/null; echo >> file; mv file f2")
  end)

  it("watches a file, until it is gone", function()
    local path = dir:file("file")
    watch = fs.watch(path)
    os.execute(("chmod 600 %s; echo text >> %s; rm %s"):format(path, path, path))
    local events = {}
    for event in watch do
      assert.equal(path, event.path)
      assert.is_nil(event.name)
      events[#events + 1] = event.type
    end
    assert.same({ "attrib", "modify", "close_write", "attrib", "delete" }, events)
  end)

  it("ends with the directory, and tells if it is moved", function()
    local path = dir:path("dir")
    fs.mkdir(path)
    watch = fs.watch(path, { events = NAMES_ONLY })
    os.execute(("cd %s; mv dir dir2; rmdir dir2"):format(dir.root))
    assert.equal("move ./ -> ?", next_event(watch, path))
    assert.equal("delete ./", next_event(watch, path))
    assert.is_nil(watch())
    assert.is_nil(watch())
  end)

  it("lets other tasks run while it waits", function()
    watch = fs.watch(dir.root, { events = { "create" } })
    local task = tasks.start(watch.next, watch)
    halo.sleep(0.01)
    assert.equal("waiting", task:status())
    dir:file("file")
    assert.equal("file", task:join().name)
  end)

  it("ends the wait of whoever waits when it is closed", function()
    watch = fs.watch(dir.root)
    local waiting = { tasks.start(watch.next, watch), tasks.start(watch.next, watch) }
    assert.is_true(watch:close())
    assert.is_nil(waiting[1]:join())
    assert.is_nil(waiting[2]:join())
    assert.is_true(watch:close())
  end)

  it("is closed by the collector where it was forgotten", function()
    local before = halo.stats().files_open
    fs.watch(dir.root, { recursive = true })
    eventually("it is closed", function()
      collectgarbage()
      return halo.stats().files_open == before
    end)
  end)

  it("loses nothing where a wait is cancelled", function()
    watch = fs.watch(dir.root, { events = { "create" }, recursive = true })
    local count, seen = tasks.rounds(300), {}
    local making = halo.spawn(function()
      for i = 1, count do
        if i % 10 == 0 then
          fs.mkdir(dir:path("dir" .. i))
        end
        fs.writefile(dir:path(i % 10 == 0 and ("dir%d/file"):format(i) or tostring(i)), "")
      end
    end)
    local function take(event)
      assert.is_nil(seen[event.path])
      seen[event.path] = true
    end
    while making:status() ~= "ended" do
      local event = halo.timeout(math.random() / 2000, watch.next, watch)
      if event then
        take(event)
      end
    end
    watching.drain(watch, dir.root, take)
    for i = 1, count do
      local name = i % 10 == 0 and ("dir%d/file"):format(i) or tostring(i)
      assert.is_true(seen[dir:path(name)])
    end
  end)

  it("gives each event to one of the tasks that wait", function()
    watch = fs.watch(dir.root, { events = { "create" } })
    local seen = {}
    local function take()
      for event in watch do
        assert.is_nil(seen[event.name])
        seen[event.name] = true
      end
    end
    local takers = { tasks.start(take), tasks.start(take), tasks.start(take) }
    for i = 1, 50 do
      fs.writefile(dir:path(tostring(i)), "")
    end
    eventually("all are seen", function()
      for i = 1, 50 do
        if not seen[tostring(i)] then
          return false
        end
      end
      return true
    end)
    watch:close()
    for _, task in ipairs(takers) do
      task:join()
    end
  end)

  it("tells where events were lost", function()
    tree.make(dir.root, { "a", "b/" })
    watch = fs.watch(dir.root, { events = NAMES_ONLY, recursive = true })
    local limit = tonumber(fs.readfile("/proc/sys/fs/inotify/max_queued_events"))
    local from, to = dir:path("a"), dir:path("a2")
    for _ = 1, limit / 4 + 10 do
      os.rename(from, to)
      os.rename(to, from)
    end
    os.execute(("cd %s; mv b c; mkdir d"):format(dir.root)) -- which nobody is told of
    local count = 0
    for event in watch do
      if event.type == "overflow" then
        break
      end
      count = count + 1
    end
    assert.is_true(count >= limit / 2 - 1)
    assert.same({ "create c/file", "create d/file" }, events_of "touch c/file d/file")
  end)

  it("is refused with the path", function()
    local missing = dir:path("missing")
    for _, recursive in ipairs { false, true } do
      local ok, message = pcall(fs.watch, missing, { recursive = recursive })
      assert.is_false(ok)
      assert.matches("ENOENT: no such file or directory: " .. missing, message, 1, true)
    end
  end)

  it("raises misuse", function()
    assert.misuse("bad argument #1 to 'watch' (path (a string) expected, got nil)",
      function() fs.watch() end)
    assert.misuse("bad argument #1 to 'watch' (the path contains a NUL byte)",
      function() fs.watch("\0") end)
    assert.misuse("bad argument #2 to 'watch' (table of options expected, got boolean)",
      function() fs.watch(dir.root, true) end)
    assert.misuse("bad argument #2 to 'watch' (no event 'remove', but access, attrib, "
      .. "close, close_write, create, delete, modify, move, open)",
      function() fs.watch(dir.root, { events = { "remove" } }) end)
  end)
end)

describe("fs.watch with recursive", function()
  local dir = temp.dir()
  local watch

  after_each(function()
    if watch then
      watch:close()
      watch = nil
    end
  end)

  local function events_of(line)
    return watching.events_of(watch, dir.root, line)
  end

  local function start()
    watch = fs.watch(dir.root, { recursive = true, events = NAMES_ONLY })
  end

  it("tells what happens at any depth, and of each thing once", function()
    tree.make(dir.root, { "a/b/c/", "a/file" })
    watch = fs.watch(dir.root, { recursive = true })
    assert.same({ "create a/b/c/file", "attrib a/b/c/file", "close_write a/b/c/file" },
      events_of "touch a/b/c/file")
    assert.same({ "attrib a/b/" }, events_of "chmod 700 a/b")
    assert.same({ "delete a/b/c/file", "delete a/b/c/", "delete a/b/", "delete a/file",
      "delete a/" }, events_of "rm a/b/c/file; rmdir a/b/c a/b; rm a/file; rmdir a")
  end)

  it("takes in directories that come, with what they have already", function()
    start()
    local events = events_of "mkdir -p a/b/c; touch a/file a/b/c/file"
    table.sort(events)
    assert.same({ "create a/", "create a/b/", "create a/b/c/", "create a/b/c/file",
      "create a/file" }, events)
    assert.same({ "create a/b/c/more" }, events_of "touch a/b/c/more")
  end)

  it("tells of a directory that comes from outside as of one that is made", function()
    tree.make(dir.root, { "in/", "out/dir/sub/file" })
    watch = fs.watch(dir:path("in"), { recursive = true, events = NAMES_ONLY })
    local function inside(line)
      return watching.events_of(watch, dir:path("in"), line)
    end
    assert.same({ "create dir/ (moved)", "create dir/sub/", "create dir/sub/file" },
      inside "mv ../out/dir .")
    assert.same({ "delete dir/sub/file" }, inside "rm dir/sub/file")
    assert.same({ "delete dir/ (moved)" }, inside "mv dir ../out")
    assert.same({}, inside "touch ../out/dir/sub/other")
  end)

  it("follows directories that are moved", function()
    tree.make(dir.root, { "a/sub/", "b/" })
    start()
    assert.same({ "move a/ -> b/c/" }, events_of "mv a b/c")
    assert.same({ "create b/c/sub/file" }, events_of "touch b/c/sub/file")
    assert.same({ "move b/ -> x/", "create x/c/sub/more" }, events_of "mv b x; touch x/c/sub/more")
  end)

  it("follows one that is moved before it is looked at", function()
    tree.make(dir.root, { "b/" })
    start()
    local events = events_of "mkdir -p a/sub; mv a b/c; touch b/c/sub/file; mkdir a; touch a/file"
    assert.equal("create a/", events[1])
    assert.same({ "create b/c/sub/late" }, events_of "touch b/c/sub/late")
    assert.same({ "create a/late" }, events_of "touch a/late")
  end)

  it("keeps apart directories that change places", function()
    tree.make(dir.root, { "a/inner/", "b/" })
    start()
    assert(fs.rename(dir:path("a"), dir:path("b"), { exchange = true }))
    assert.same({ "move a/ -> b/", "move b/ -> a/", "create b/inner/x", "create a/y" },
      events_of "touch b/inner/x; touch a/y")
  end)

  it("forgets directories that are gone", function()
    dir:file("file")
    start()
    local count = numbers_of(watch)
    for _ = 1, 5 do
      events_of "mkdir -p a/b/c; rm -r a"
    end
    assert.equal(count, numbers_of(watch))
  end)

  it("does not follow symbolic links", function()
    tree.make(dir.root, { "in/link -> ../out", "out/" })
    watch = fs.watch(dir:path("in"), { recursive = true, events = NAMES_ONLY })
    assert.same({ "create link2" },
      watching.events_of(watch, dir:path("in"), "touch link/file; ln -s ../out link2"))
  end)

  it("tells of directories that cannot be watched, and goes on", function()
    tree.make(dir.root, { "a/", "closed/" })
    local original = core.watch
    core.watch = function(file, ...)
      if core.path(file) == "closed" then
        return nil, "EACCES: permission denied: closed", "EACCES"
      end
      return original(file, ...)
    end
    start()
    core.watch = original
    local event = watch()
    assert.equal("error", event.type)
    assert.equal("EACCES: permission denied: " .. dir:path("closed"), event.message)
    assert.equal("EACCES", event.code)
    assert.same({ "create a/file" }, events_of "touch a/file closed/file")
  end)

  it("tells of directories that cannot be reached, and goes on", function()
    tree.make(dir.root, { "a/b/" })
    start()
    local original = core.open
    core.open = function(base, name, ...)
      if name == "a" then
        return nil, "EMFILE: too many open files: a", "EMFILE"
      end
      return original(base, name, ...)
    end
    os.execute(command.quote("mkdir", dir:path "a/b/c"))
    local ok, events = pcall(function()
      return { watch(), halo.timeout(10, watch.next, watch) }
    end)
    core.open = original
    assert.is_true(ok, events)
    assert.equal("create a/b/c/", watching.describe(events[1], dir.root))
    assert.equal("EMFILE: too many open files: " .. dir:path "a/b/c", events[2].message)
    assert.equal("error", events[2].type)
    assert.same({ "create a/b/d" }, events_of "touch a/b/d a/b/c/unseen")
  end)

  it("is refused where the system allows no more watches", function()
    tree.make(dir.root, { "a/b/" })
    local original = core.watch
    core.watch = function(file, ...)
      if core.path(file) == "b" then
        return nil, "ENOSPC: no space left on device: b", "ENOSPC"
      end
      return original(file, ...)
    end
    local ok, message = pcall(fs.watch, dir.root, { recursive = true })
    core.watch = original
    assert.is_false(ok)
    assert.equal("ENOSPC: no more watches are allowed: raise "
      .. "/proc/sys/fs/inotify/max_user_watches: " .. dir.root, (message:gsub("^.-: ", "", 1)))
  end)

  it("can be cancelled while it finds the directories", function()
    for i = 1, 50 do
      tree.make(dir.root, { ("dir%d/sub/"):format(i) })
    end
    local task
    task = halo.spawn(function()
      task:cancel()
      fs.watch(dir.root, { recursive = true })
    end)
    assert.is_true(tasks.ends_cancelled(task))
    task = tasks.start(fs.watch, dir.root, { recursive = true })
    task:cancel()
    pcall(task.join, task)
  end)

  it("tells all, and all in order, of a tree that changes as fast as it can #slow", function()
    local seed = tonumber(os.getenv "HALO_SEED") or os.time()
    local count = tonumber(os.getenv "HALO_WATCH") or 5000
    print(("fs.watch: HALO_SEED=%d"):format(seed))
    tree.make(dir.root, { "in/", "out/" })
    local root = dir:path("in")
    watch = fs.watch(root, { recursive = true, events = NAMES_ONLY })
    local process = command.start(command.quote("luajit", "spec/support/churn.lua", root,
      dir:path("out"), tostring(count), tostring(seed)))
    local picture = watching.picture(root)
    local done = dir:path("in/done")
    while picture.entries[done] == nil do
      picture:add(assert(halo.timeout(30, watch.next, watch)))
    end
    process:finish()
    watching.drain(watch, root, function(event) picture:add(event) end)
    assert.same({}, picture.faults)
    assert.same(tree.list(root), picture:list())
  end)
end)
