local halo = require "halo"
local fs = halo.fs
local core = require "halo.core"
local command = require "spec.support.command"
local denial = require "spec.support.denial"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
require "spec.support.assertions"

---What a walk yields, each path below the root with its type's first letter.
local function walked(root, options)
  local items = {}
  for path, entry in fs.walk(root, options) do
    assert.equal(path, entry.path)
    assert.equal(root .. "/", path:sub(1, #root + 1))
    local rest = path:sub(#root + 2)
    assert.equal(entry.name, rest:match "[^/]*$")
    assert.equal(select(2, rest:gsub("/", "")) + 1, entry.depth)
    table.insert(items, rest .. " " .. entry.type)
  end
  return items
end

local function sorted(items)
  table.sort(items)
  return items
end

describe("fs.walk", function()
  local dir = temp.dir()

  it("yields all that is in a tree, with types", function()
    tree.make(dir.root, { "a/b/c", "a/.hidden", "pipe|", "link -> a", "dangling -> x", "empty/" })
    posix.mksocket(dir:path "socket")
    assert.same({ "a dir", "a/.hidden file", "a/b dir", "a/b/c file", "dangling symlink",
      "empty dir", "link symlink", "pipe fifo", "socket socket" }, sorted(walked(dir.root)))
  end)

  it("sees what find sees", function()
    local found, stdout = {}, command.run "find /usr/include /usr/share/doc -mindepth 1"
    for line in stdout:gmatch "[^\n]+" do
      table.insert(found, line)
    end
    local paths = {}
    for _, root in ipairs { "/usr/include", "/usr/share/doc" } do
      for path in fs.walk(root) do
        table.insert(paths, path)
      end
    end
    assert.same(sorted(found), sorted(paths))
  end)

  it("yields a directory right before what is in it, sorted where that is asked for", function()
    tree.make(dir.root, { "b/2/y", "b/2/x", "b/1/z", "b.txt", "a", "c/d/e/f" })
    local items = walked(dir.root, { order = true })
    assert.same({ "a file", "b dir", "b/1 dir", "b/1/z file", "b/2 dir", "b/2/x file",
      "b/2/y file", "b.txt file", "c dir", "c/d dir", "c/d/e dir", "c/d/e/f file" }, items)
    local open = { "" }
    for _, item in ipairs(walked(dir.root)) do
      local path, kind = item:match "^(.*) (%a+)$"
      local holder = path:match "^(.*/)" or ""
      while open[#open] ~= holder do
        assert(table.remove(open), path .. " came before its directory")
      end
      if kind == "dir" then
        table.insert(open, path .. "/")
      end
    end
  end)

  it("goes as deep as it is told", function()
    tree.make(dir.root, { "a/b/c/d" })
    assert.same({ "a dir" }, walked(dir.root, { depth = 1 }))
    assert.same({ "a dir", "a/b dir" }, walked(dir.root, { depth = 2 }))
    assert.same({ "a dir", "a/b dir", "a/b/c dir", "a/b/c/d file" },
      walked(dir.root, { depth = 9 }))
  end)

  it("does not enter what is pruned, and yields what passes the filter", function()
    tree.make(dir.root, { "a/x.lua", "a/y.c", ".git/z.lua", "b/.git/w.lua", "b/v.lua" })
    local asked = {}
    local options = {
      order = true,
      prune = function(path, entry)
        asked[#asked + 1] = path:sub(#dir.root + 2)
        return entry.name == ".git"
      end,
    }
    assert.same({ ".git dir", "a dir", "a/x.lua file", "a/y.c file", "b dir", "b/.git dir",
      "b/v.lua file" }, walked(dir.root, options))
    assert.same({ ".git", "a", "b", "b/.git" }, asked)
    options.filter = function(path, entry)
      assert.equal(path, entry.path)
      return entry.name:match "%.lua$"
    end
    assert.same({ "a/x.lua file", "b/v.lua file" }, walked(dir.root, options))
  end)

  describe("with follow", function()
    it("enters directories through links and tells what a link leads to", function()
      tree.make(dir.root, { "real/dir/file", "there/link -> ../real/dir", "there/file -> ../real",
        "there/none -> nowhere", "there/device -> /dev/null" })
      assert.same({ "device char", "file dir", "file/dir dir", "file/dir/file file", "link dir",
        "link/file file", "none symlink" },
        walked(dir:path "there", { follow = true, order = true }))
    end)

    it("does not enter a directory inside of itself", function()
      tree.make(dir.root, { "a/b/up -> ../..", "a/b/self -> .", "a/round -> round" })
      assert.same({ "a dir", "a/b dir", "a/b/self dir", "a/b/up dir", "a/round symlink" },
        walked(dir.root, { follow = true, order = true }))
    end)
  end)

  describe("with stat", function()
    local stat_fields = { "size", "mode", "type", "is_file", "is_dir", "is_symlink", "uid", "gid",
      "id", "perm", "nlink", "ino", "dev", "rdev", "blocks", "blksize", "mtime", "mtime_nsec",
      "ctime", "ctime_nsec", "btime", "btime_nsec" }

    ---To read a directory changes when it was read.
    local function without_atime(stat)
      if type(stat) ~= "cdata" then
        return stat
      end
      local fields = stat:table()
      fields.atime, fields.atime_nsec = nil, nil
      return fields
    end

    local function check(options, call)
      local count = 0
      for path, entry in fs.walk(dir.root, options) do
        local field = options.stat ~= true and options.stat or nil
        local value = entry[field or "stat"]
        assert.same(without_atime(call(path, field)), without_atime(value))
        assert.is_true(field == nil or entry.stat == nil)
        assert.equal(call(path, "type"), entry.type)
        count = count + 1
      end
      return count
    end

    before_each(function()
      tree.make(dir.root, { "a/b/c", "a/empty/", "pipe|", "link -> a/b/c", "up -> a" })
      dir:file("big", ("x"):rep(5000))
    end)

    it("gives what lstat says of each entry", function()
      assert.equal(8, check({ stat = true }, fs.lstat))
      for _, field in ipairs(stat_fields) do
        assert.equal(8, check({ stat = field, order = true }, fs.lstat), field)
      end
      assert.is_number(select(2, fs.walk("/dev", { stat = "atime_nsec" })()).atime_nsec)
    end)

    it("gives those of many directories, in a loop that is compiled", function()
      local count, rounds, seen = 300, 3, 0
      for i = 1, count do
        assert(fs.mkdir(dir:path("many" .. i)))
      end
      for _ = 1, rounds do
        for path, entry in fs.walk(dir.root, { stat = true }) do
          if path:find "/many%d+$" then
            assert(entry.stat.is_dir)
            seen = seen + 1
          end
        end
      end
      assert.equal(rounds * count, seen)
    end)

    it("gives what stat says with follow", function()
      assert.equal(11, check({ stat = true, follow = true }, fs.stat))
      assert.equal(11, check({ stat = "ino", follow = true }, fs.stat))
    end)

    it("gives several fields, each by its name", function()
      for _, order in ipairs { false, true } do
        local count = 0
        for path, entry in fs.walk(dir.root, { stat = stat_fields, order = order }) do
          local expected = fs.lstat(path)
          for _, field in ipairs(stat_fields) do
            assert.equal(expected[field], entry[field], field)
          end
          assert.is_nil(entry.stat)
          count = count + 1
        end
        assert.equal(8, count)
      end
      for _, entry in fs.walk(dir.root, { stat = { "mtime", "size" } }) do
        assert.is_number(entry.size + entry.mtime)
        assert.is_nil(entry.blocks)
      end
    end)

    it("gives what a link itself is with follow, where it leads nowhere", function()
      dir:symlink("none", "nowhere")
      for path, entry in fs.walk(dir.root, { stat = true, follow = true }) do
        if entry.name == "none" then
          assert.equal("symlink", entry.type)
          assert.same(fs.lstat(path), entry.stat)
          return
        end
      end
      error "the link was not met"
    end)

    it("has it for prune and filter", function()
      local items = {}
      local function wants(_, entry)
        return entry.stat.size == 5000
      end
      local function is_a(_, entry)
        return entry.stat.is_dir and entry.name == "a"
      end
      for path in fs.walk(dir.root, { stat = true, filter = wants, prune = is_a }) do
        items[#items + 1] = path:sub(#dir.root + 2)
      end
      assert.same({ "big" }, items)
    end)

    it("has none without", function()
      for _, options in ipairs { {}, { stat = false } } do
        for _, entry in fs.walk(dir.root, options) do
          assert.is_nil(entry.stat)
        end
      end
    end)

    it("leaves out nothing of a directory that is big, while other tasks run", function()
      for i = 1, 1500 do
        assert(fs.writefile(dir:path("a/" .. i), ("x"):rep(i % 7)))
      end
      local going, size = true, 0
      local other = halo.spawn(function()
        while going do halo.yield() end
      end)
      local names = {}
      for _, entry in fs.walk(dir:path "a", { stat = "size", order = true }) do
        size = size + (entry.type == "file" and entry.size or 0)
        names[#names + 1] = entry.depth == 1 and entry.name or nil
      end
      going = false
      other:join()
      assert.equal(1502, #names)
      assert.same(sorted({ unpack(names) }), names)
      local expected = 0
      for i = 1, 1500 do
        expected = expected + i % 7
      end
      assert.equal(expected, size)
    end)

    it("gives none of what may be seen in its directory alone", function()
      if not command.exists "setpriv" then
        pending "there is no setpriv"
      end
      command.run(("cd '%s' && chmod 755 . && chmod 744 a"):format(dir.root))
      local stdout = command.run("setpriv --reuid=65534 --regid=65534 --clear-groups "
        .. command.halo("-e", ([[
          local function walk(stat)
            local options = { stat = stat, order = true, on_error = function() end }
            for _, entry in require("halo").fs.walk("%s/a", options) do
              print(entry.name, entry.type, entry.stat, entry.size, entry.is_dir, entry.id)
            end
          end
          walk(true) walk "size" walk { "is_dir", "id" }]]):format(dir.root)))
      assert.equal(("b\tdir\tnil\tnil\tnil\tnil\nempty\tdir\tnil\tnil\tnil\tnil\n"):rep(3),
        stdout)
    end)
  end)

  it("follows the root", function()
    tree.make(dir.root, { "target/file" })
    dir:symlink("link", "target")
    assert.same({ "file file" }, walked(dir:path "link"))
  end)

  it("writes the root as it was given", function()
    tree.make(dir.root, { "a/b" })
    for _, root in ipairs { "", "/", "//" } do
      local paths = {}
      for path in fs.walk(dir.root .. root, { order = true }) do
        table.insert(paths, path)
      end
      local prefix = dir.root .. (root == "" and "/" or root)
      assert.same({ prefix .. "a", prefix .. "a/b" }, paths)
    end
    assert.truthy(fs.walk "."():match "^%./")
  end)

  it("goes deeper than a path can say", function()
    local some = ("directory/"):rep(50)
    command.run(("cd '%s' && i=0; while [ $i -lt 20 ]; do mkdir -p %s; cd -P %s; "
      .. "i=$((i + 1)); done; : >file"):format(dir.root, some, some))
    for _, options in ipairs { {}, { follow = true }, { stat = "size" } } do
      local count, last, files_open = 0, nil, halo.stats().files_open
      for _, entry in fs.walk(dir.root, options) do
        count, last = count + 1, entry
        assert.is_true(halo.stats().files_open <= files_open + 1)
      end
      assert.equal(1001, count)
      assert.equal("file", last.name)
      assert.equal(1001, last.depth)
      assert.equal(options.stat and 0, last.size)
    end
  end)

  for _, code in ipairs { "ENOSYS", "EPERM" } do
    it("works where openat2 is denied by " .. code, function()
      local deny_call, why_not = denial.program()
      if not deny_call then
        pending(why_not)
      end
      tree.make(dir.root, { "tree/a/b/c", "tree/link -> a", "tree/d/" })
      dir:symlink("tree/outside", dir:path "tree/a")
      local script = dir:file("script.lua", [[
        local halo = require "halo"
        local going, count = true, 0
        local other = halo.spawn(function() while going do halo.yield() end end)
        for path, entry in halo.fs.walk(arg[1], { order = true }) do
          count = count + 1
          if entry.name == "a" and arg[2] then -- a link takes the place of the directory inside
            assert(halo.fs.rename(path .. "/b", path .. "/e"))
            assert(halo.fs.symlink("e", path .. "/b"))
          end
          print(path:sub(#arg[1] + 2), entry.type)
        end
        going = false
        other:join()]])
      local deny = command.quote(deny_call, "openat2", code) .. " "
      assert.equal("a\tdir\na/b\tdir\na/b/c\tfile\nd\tdir\nlink\tsymlink\noutside\tsymlink\n",
        command.run(deny .. command.halo(script, dir:path "tree")))
      assert.equal("a\tdir\na/b\tsymlink\na/e\tdir\na/e/c\tfile\nd\tdir\nlink\tsymlink\n"
        .. "outside\tsymlink\n", command.run(deny .. command.halo(script, dir:path "tree", "swap")))
    end)
  end

  it("lets go of what it has gone through", function()
    for i = 1, 60 do
      tree.make(dir.root, { ("d%d/x/"):format(i) })
    end
    local seen = setmetatable({}, { __mode = "k" })
    for _, entry in fs.walk(dir.root) do
      if entry.depth == 2 then
        seen[entry] = true
        collectgarbage()
        local count = 0
        for _ in pairs(seen) do
          count = count + 1
        end
        assert.is_true(count <= 2, count)
      end
    end
  end)

  it("leaves out what vanishes meanwhile", function()
    tree.make(dir.root, { "a/1/x", "b/2/y", "c/3/z" })
    local items = {}
    for path, entry in fs.walk(dir.root, { order = true }) do
      items[#items + 1] = path:sub(#dir.root + 2)
      if entry.name == "a" then
        command.run(("rm -r '%s/b'; mv '%s/c' '%s/d'; : >'%s/c'"):gsub("%%s", dir.root))
      end
    end
    assert.same({ "a", "a/1", "a/1/x", "b", "c" }, items)
  end)

  describe("of what cannot be read", function()
    it("raises", function()
      local file = dir:file "file"
      assert.misuse("ENOENT: no such file or directory: " .. dir:path "none",
        function() for _ in fs.walk(dir:path "none") do end end) -- luacheck: ignore
      assert.misuse("ENOTDIR: not a directory: " .. file,
        function() for _ in fs.walk(file) do end end) -- luacheck: ignore
    end)

    local code = [[
      local fs, root = require("halo").fs, ...
      local function count(options)
        local n = 0
        for _ in fs.walk(root, options) do n = n + 1 end
        return n
      end
      print(pcall(count))
      print(count { on_error = print })]]

    it("raises, or goes on where there is an on_error", function()
      tree.make(dir:path "tree", { "a/x", "locked/y", "z" })
      command.run(("cd '%s' && chown -R 65534 . && chmod 0 tree/locked"):format(dir.root))
      local script = dir:file("script.lua", code)
      local user = "setpriv --reuid=65534 --regid=65534 --clear-groups "
      if not command.exists "setpriv" then
        pending "there is no setpriv"
      end
      local stdout = command.run(user .. command.halo(script, dir:path "tree"))
      local locked = dir:path "tree/locked"
      local message = "EACCES: permission denied: " .. locked
      assert.equal(("false\t%s:4: %s\n%s\t%s\tEACCES\n4\n")
        :format(script, message, locked, message), stdout)
    end)
  end)

  it("can be left and closed", function()
    tree.make(dir.root, { "a/b/c", "d/e/f" })
    for _ in fs.walk(dir.root) do -- luacheck: ignore 512
      break
    end
    local walk, handle = fs.walk(dir.root)
    assert.truthy(walk())
    assert.truthy(walk())
    handle:close()
    assert.is_nil(walk())
    assert.is_nil(walk())
  end)

  it("is an iterator for halo.map", function()
    tree.make(dir.root, { "a/b/c", "d/e/f" })
    local items = halo.map(fs.walk(dir.root, { order = true }), function(path)
      return path:sub(#dir.root + 2)
    end, 2)
    assert.same({ "a", "a/b", "a/b/c", "d", "d/e", "d/e/f" }, items)
  end)

  it("works where no task can wait", function()
    tree.make(dir.root, { "a/b/c" })
    local items
    table.sort({ 1, 2 }, function(a, b)
      items = items or walked(dir.root)
      return a < b
    end)
    assert.same({ "a dir", "a/b dir", "a/b/c file" }, items)
  end)

  it("leaves nothing of sorted listings on the scheduler's stack", function()
    tree.make(dir.root, { "sorted/a/", "sorted/b/", "sorted/c/" })
    for _ = 1, 2500 do -- some 10,000 listings: more than a stack holds values
      for _ in fs.walk(dir:path "sorted", { order = true }) do
      end
    end
    assert.equal(1, halo.spawn(function()
      return 1
    end):join())
  end)

  it("can be cancelled", function()
    local seen = 0
    local task = halo.spawn(function()
      for _ in fs.walk "/usr" do
        seen = seen + 1
        halo.yield()
      end
    end)
    while seen < 100 do
      halo.yield()
    end
    task:cancel()
    assert.is_false(pcall(task.join, task))
    assert.equal("cancelled", task:status())
  end)

  it("takes a path and options", function()
    assert.misuse("bad argument #1 to 'walk' (path (a string) expected, got nil)",
      function() fs.walk() end)
    assert.misuse("bad argument #1 to 'walk' (the path contains a NUL byte)",
      function() fs.walk "a\0b" end)
    assert.misuse("bad argument #2 to 'walk' (table of options expected, got number)",
      function() fs.walk("a", 1) end)
    assert.misuse("bad argument #2 to 'walk' (prune: function expected, got string)",
      function() fs.walk("a", { prune = "x" }) end)
    assert.misuse("bad argument #2 to 'walk' (stat: true, a field or a list of fields "
      .. "expected, got number)", function() fs.walk("a", { stat = 1 }) end)
    assert.misuse("bad argument #2 to 'walk' (stat: no field 'block')",
      function() fs.walk("a", { stat = "block" }) end)
    assert.misuse("bad argument #2 to 'walk' (stat: no field 'sice')",
      function() fs.walk("a", { stat = { "blocks", "sice" } }) end)
    assert.misuse("bad argument #2 to 'walk' (stat: a list of fields expected, got size =)",
      function() fs.walk("a", { stat = { size = true } }) end)
    for _, depth in ipairs { 0, 0 / 0, "1" } do
      assert.misuse("bad argument #2 to 'walk' (depth: a number of at least 1 expected)",
        function() fs.walk("a", { depth = depth }) end)
    end
  end)

  describe("by a path from an open directory", function()
    local by_path = require "halo.fs.by_path"

    it("goes through what is there", function()
      tree.make(dir.root, { "top/a/b", "top/link -> ../other", "other/c" })
      local file = assert(fs.open(dir.root, core.flags.PATH + core.flags.DIRECTORY))
      local base = core.as_base(file)
      for root, follow in pairs { top = false, ["top/"] = true } do
        local items = {}
        for path, entry in by_path.walk(base, root, { follow = follow, order = true }) do
          items[#items + 1] = path .. " " .. entry.name
        end
        assert.same({ "top/a a", "top/a/b b", "top/link link", follow and "top/link/c c" or nil },
          items)
      end
      file:close()
    end)

    it("raises and names the root where that is refused", function()
      local base = core.as_base(assert(fs.open(dir.root, core.flags.PATH + core.flags.DIRECTORY)))
      assert.error_matches(function()
        for _ in by_path.walk(base, "none") do
        end
      end, "ENOENT: no such file or directory: none$")
      core.close(base)
    end)
  end)
end)
