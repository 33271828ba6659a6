-- fs.watch below an open root: names that change, links in the way, and paths without an end.

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local slowness = require "spec.support.slowness"
local tasks = require "spec.support.tasks"
local swappers = require "spec.support.swappers"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
local watching = require "spec.support.watching"
require "spec.support.assertions"

local SECONDS = swappers.seconds(2)
local PATIENCE_S = 10 * slowness
local NAMES_ONLY = { "create", "delete", "move" }
local RECURSIVE = { recursive = true, events = NAMES_ONLY }

local function line_of(event, root)
  return event and watching.describe(event, root)
end

describe("the root of a watch", function()
  local dir = temp.dir()
  local watch

  after_each(function()
    if watch then
      watch:close()
      watch = nil
    end
  end)

  local function next_line(root)
    return line_of(halo.timeout(PATIENCE_S, watch.next, watch), root)
  end

  local function shell(line)
    assert.equal(0, os.execute(("cd %s && { %s; }"):format(dir.root, line)))
  end

  for _, recursive in ipairs { false, true } do
    it(("is followed under another name%s"):format(recursive and ", recursively" or ""), function()
      local root = dir:path "root"
      tree.make(root, { "a/b/" })
      watch = fs.watch(root, { recursive = recursive, events = NAMES_ONLY })
      shell "mv root other; mkdir -p root/a; touch root/wrong root/a/wrong; touch other/file"
      assert.equal("move ./ -> ?", next_line(root))
      assert.equal("create file", next_line(root))
      if recursive then
        shell "touch other/a/b/x; mkdir -p other/a/new; touch other/a/new/y"
        assert.equal("create a/b/x", next_line(root))
        assert.equal("create a/new/", next_line(root))
        assert.equal("create a/new/y", next_line(root))
      end
      shell "rm -r other"
      local last, ended
      repeat
        local event = halo.timeout(PATIENCE_S, watch.next, watch)
        last, ended = event and line_of(event, root) or last, event == nil
      until ended
      assert.equal("delete ./", last)
    end)
  end

  it("is followed when it changes places with another directory", function()
    local root = dir:path "root"
    tree.make(dir.root, { "root/a/", "side/a/" })
    watch = fs.watch(root, RECURSIVE)
    assert(fs.rename(root, dir:path "side", { exchange = true }))
    shell "touch root/a/wrong; mkdir side/new; touch side/a/right side/new/right"
    assert.equal("move ./ -> ?", next_line(root))
    local lines = { next_line(root), next_line(root), next_line(root) }
    table.sort(lines)
    assert.same({ "create a/right", "create new/", "create new/right" }, lines)
  end)

  it("ends the watch when it is removed, wherever it is by then", function()
    tree.make(dir.root, { "root/", "deep/er/" })
    for _, line in ipairs {
      "rmdir root", "mv root deep/er/x && rmdir deep/er/x", "mkdir new && mv -T new root",
    } do
      tree.make(dir.root, { "root/" })
      watch = fs.watch(dir:path "root", RECURSIVE)
      shell(line)
      local last
      for event in watch do
        last = event
      end
      assert.equal("delete", last.type)
      assert.equal(dir:path "root", last.path)
      assert.is_nil(last.name)
    end
  end)

  it("ends the watch when it is removed while somebody waits", function()
    tree.make(dir.root, { "root/a/b", "above/" })
    watch = fs.watch(dir:path "root", RECURSIVE)
    local told = {}
    local task = tasks.start(function()
      for event in watch do
        table.insert(told, watching.describe(event, dir:path "root"))
      end
    end)
    for i, line in ipairs { "rm -r root/a", "mv root above", "rmdir above/root" } do
      shell(line)
      eventually("it is told", function() return #told > i end)
    end
    task:join()
    assert.same({ "delete a/b", "delete a/", "move ./ -> ?", "delete ./" }, told)
  end)

  it("has the directory above watched while it is empty, and no longer", function()
    tree.make(dir.root, { "root/a" })
    watch = fs.watch(dir:path "root", RECURSIVE)
    local waiting = tasks.start(function() for _ in watch do end end)
    local info = ("/proc/self/fdinfo/%d"):format(watch.inotify.inotify.file:fd())
    local above = ("ino:%x "):format(fs.stat(dir.root, "ino"))
    local function is_watched()
      return fs.readfile(info):find(above, 1, true) ~= nil
    end
    for _ = 1, 3 do
      assert.is_false(is_watched())
      shell "rm root/a"
      eventually("it is watched", is_watched)
      shell "touch root/a"
      eventually("it is watched no more", function() return not is_watched() end)
    end
    watch:close()
    waiting:join()
  end)

  it("ends the watch even where the events of its removal were lost", function()
    tree.make(dir.root, { "root/a", "other/" })
    watch = fs.watch(dir:path "root", RECURSIVE)
    local limit = tonumber(fs.readfile("/proc/sys/fs/inotify/max_queued_events"))
    local from, to = dir:path "root/a", dir:path "root/b"
    for _ = 1, limit / 4 + 10 do
      os.rename(from, to)
      os.rename(to, from)
    end
    shell "mv root other; rm -r other/root"
    local told = {}
    for event in watch do
      told[event.type] = true
    end
    assert.same({ move = true, overflow = true, delete = true }, told)
  end)

  it("may be relative, and the working directory change", function()
    tree.make(dir.root, { "root/a/", "elsewhere/root/a/" })
    local before = fs.cwd()
    finally(function() assert(fs.chdir(before)) end)
    assert(fs.chdir(dir.root))
    watch = fs.watch("root", RECURSIVE)
    assert(fs.chdir("elsewhere"))
    shell "touch elsewhere/root/a/wrong; mkdir root/b; touch root/b/file"
    assert.equal("root/b", watch:next().path)
    assert.equal("root/b/file", watch:next().path)
  end)

  it("may be a link, which is followed once", function()
    tree.make(dir.root, { "one/", "two/", "link -> one" })
    watch = fs.watch(dir:path "link", RECURSIVE)
    shell "ln -sfn two link; touch two/wrong; mkdir one/sub; touch one/sub/file"
    assert.equal(dir:path "link/sub", watch:next().path)
    assert.equal(dir:path "link/sub/file", watch:next().path)
  end)

  it("may lie below a Dir", function()
    tree.make(dir.root, { "top/root/a/" })
    local at = assert(fs.at(dir:path "top"))
    watch = at:watch("root", RECURSIVE)
    shell "mv top top2; mkdir top2/root/a/b; touch top2/root/a/b/file"
    assert.equal("root/a/b", watch:next().path)
    assert.equal("root/a/b/file", watch:next().path)
    assert.is_false(pcall(at.watch, at, "missing"))
    local changes = at:poll("root/file", 0.001)
    shell "touch top2/root/file"
    assert.is_true(changes().is_file)
    at:close()
  end)
end)

describe("paths without an end", function()
  local dir = temp.dir()

  ---Directories of that name, each in the former one. Returns a Dir of the last one.
  local function go_down(name, depth)
    local at = assert(fs.at(dir.root))
    for _ = 1, depth do
      assert(at:mkdir(name))
      local below = assert(at:at(name))
      at:close()
      at = below
    end
    return at
  end

  for name, depth in pairs { [("n"):rep(200)] = 40, d = 1500 } do
    it(("are watched, with %d names"):format(depth), function()
      local at = go_down(name, depth)
      local root, files = dir.root .. ("/" .. name):rep(depth), halo.stats().files_open
      local watch = fs.watch(dir.root, RECURSIVE)
      assert.is_true(halo.stats().files_open - files < 10)
      at:create("file"):close()
      assert.equal(root .. "/file", watch:next().path)
      assert(at:mkdir("new"))
      assert.equal(root .. "/new", watch:next().path)
      at:create("new/file"):close()
      assert.equal(root .. "/new/file", watch:next().path)
      at:close()
      watch:close()
    end)
  end
end)

describe("while a recursive watch goes down, #slow", function()
  local dir, process, attackers

  after_each(function()
    if process then
      process:signal "KILL"
      process:finish()
      process = nil
    end
    if attackers then
      attackers:finish()
      attackers = nil
    end
  end)

  dir = temp.dir()

  ---What the kernel watches for an instance, by the numbers of the files. That of the bell is
  ---another file system's.
  local function watched_by(watch)
    local inotify = watch.inotify.inotify
    local info = fs.readfile(("/proc/self/fdinfo/%d"):format(inotify.file:fd()))
    local inodes = {}
    for number, inode in info:gmatch "wd:(%x+) ino:(%x+)" do
      if tonumber(number, 16) ~= inotify.bell_number then
        inodes[tonumber(inode, 16)] = true
      end
    end
    return inodes
  end

  it("nobody leads it out by links that change places with directories", function()
    local items, swapped, links = {}, {}, {}
    for i = 1, 12 do
      table.insert(items, ("d%d/sub/deep/"):format(i))
      for _, name in ipairs { "d%d", "d%d/sub" } do
        table.insert(swapped, dir:path("victim/" .. name:format(i)))
        table.insert(links, ("%d -> %s"):format(#swapped, dir:path "outside"))
      end
    end
    tree.make(dir:path "victim", items)
    local sides = swappers.sides(dir.root)
    for _, side in ipairs(sides) do
      tree.make(side, links)
    end
    -- Without the names that the swapper itself would take out.
    tree.make(dir:path "outside", { "canary", "deep/canary" })
    local outside = {}
    for _, name in ipairs { "", "/deep" } do
      outside[fs.stat(dir:path "outside" .. name, "ino")] = true
    end
    attackers = swappers.start(sides, swapped)
    local deadline, rounds, events = halo.now() + SECONDS, 0, 0
    while halo.now() < deadline or rounds < 4 do
      local watch = fs.watch(dir:path "victim", RECURSIVE)
      for _ = 1, 50 do
        local event = halo.timeout(0.01, watch.next, watch)
        events = events + (event and 1 or 0)
        assert.is_nil(event and event.path:find("canary", 1, true))
        assert.is_true(not event or event.type ~= "error", event and event.message)
      end
      for inode in pairs(watched_by(watch)) do
        assert.is_nil(outside[inode])
      end
      watch:close()
      rounds = rounds + 1
    end
    if os.getenv "HALO_ATTACK_SECONDS" then
      print(("attack: watch, %d rounds, %d events"):format(rounds, events))
    end
    assert.is_true(events > 100, rounds .. " rounds, " .. events)
  end)

  it("it knows each directory by its place in the end, though it began in a storm", function()
    local seed = tonumber(os.getenv "HALO_SEED") or os.time()
    print(("fs.watch: HALO_SEED=%d"):format(seed))
    for round = 1, 3 do
      local root, out = dir:path("in" .. round), dir:path("out" .. round)
      tree.make(root, { "a/b/c/", "b/c/a/", "c/a/b/" })
      fs.mkdir(out)
      process = command.start(command.quote("luajit", "spec/support/churn.lua", root, out, "2000",
        tostring(seed + round)))
      local watch = fs.watch(root, RECURSIVE)
      repeat
        local event = assert(halo.timeout(PATIENCE_S, watch.next, watch))
      until event.name == "done"
      process:finish()
      process = nil
      watching.drain(watch, root, function() end)
      for _, item in ipairs(tree.list(root)) do
        if item:sub(-1) == "/" then
          local marker = root .. "/" .. item .. "marker"
          assert(fs.writefile(marker, ""))
          local event = assert(halo.timeout(PATIENCE_S, watch.next, watch), item)
          assert.equal("create " .. marker, event.type .. " " .. event.path)
        end
      end
      watch:close()
    end
  end)
end)
