local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
require "spec.support.assertions"

---Runs Lua code as a user without privileges.
local function run_as_user(code)
  return command.run(command.as_user(command.halo("-e", code)))
end

---Names for that many directories, each in the one before.
local function make_deep(root, levels)
  command.run(([[
    mkdir -p '%s' && cd '%s' && i=0
    while [ $i -lt %d ]; do : >file; mkdir directory; cd -P directory; i=$((i + 1)); done]])
    :format(root, root, levels))
end

describe("fs.rmtree", function()
  local dir = temp.dir()

  it("removes a directory with all that is in it", function()
    tree.make(dir:path "victim", { "a/b/c/", "a/file", ".hidden", "a/.x/y", "pipe|",
      "link -> ../keep", "dangling -> nowhere", "a/dir-link -> .." })
    posix.mksocket(dir:path "victim/a/socket")
    tree.make(dir:path "keep", { "file", "dir/file" })
    assert.is_true(fs.rmtree(dir:path "victim"))
    assert.same({ "keep/", "keep/dir/", "keep/dir/file", "keep/file" }, tree.list(dir.root))
  end)

  it("removes an empty one, and one whose name ends in slashes", function()
    tree.make(dir.root, { "a/", "b/c" })
    assert.is_true(fs.rmtree(dir:path "a"))
    assert.is_true(fs.rmtree(dir:path "b//"))
    assert.same({}, tree.list(dir.root))
  end)

  it("removes many names and many directories", function()
    command.run(("mkdir '%s' && cd '%s' && seq 5000 | xargs touch && seq -f d%%g 500 | xargs mkdir")
      :format(dir:path "many", dir:path "many"))
    assert.is_true(fs.rmtree(dir:path "many"))
    assert.same({}, tree.list(dir.root))
  end)

  it("takes relative paths", function()
    local name = "halo-rmtree-" .. tostring(dir.root:match "[^-]*$")
    tree.make(name, { "a/b", "c" })
    assert.is_true(fs.rmtree(name))
    assert.is_false(posix.exists(name))
  end)

  it("goes deeper than a path can say, with few descriptors", function()
    make_deep(dir:path "deep", 1000)
    local most, done = 0, false
    local watcher = halo.spawn(function()
      while not done do
        most = math.max(most, halo.stats().files_open)
        halo.yield()
      end
    end)
    local ok, message = fs.rmtree(dir:path "deep")
    done = true
    watcher:join()
    assert.is_true(ok, message)
    assert.is_true(most > 0 and most < 300, most)
    assert.same({}, tree.list(dir.root))
  end)

  it("does not follow the root where it is a symbolic link", function()
    tree.make(dir.root, { "target/file" })
    local link = dir:symlink("link", "target")
    assert.refused("ENOTDIR: not a directory: " .. link, fs.rmtree(link))
    assert.refused("ENOTDIR: not a directory: " .. link, fs.rmtree(link .. "/"))
    assert.same({ "link -> target", "target/", "target/file" }, tree.list(dir.root))
  end)

  it("refuses a file, the root of all and dots", function()
    local file = dir:file "file"
    assert.refused("ENOTDIR: not a directory: " .. file, fs.rmtree(file))
    for _, path in ipairs { "/", "//", ".", "..", dir:path ".", dir:path "..", dir:path "./" } do
      assert.refused("EINVAL: invalid argument: " .. path, fs.rmtree(path))
    end
    assert.same({ "file" }, tree.list(dir.root))
  end)

  it("refuses what is not there, unless with force", function()
    for _, path in ipairs { dir:path "none", dir:path "none/none", "" } do
      assert.refused("ENOENT: no such file or directory: " .. path, fs.rmtree(path))
      assert.is_true(fs.rmtree(path, { force = true }))
    end
    local file = dir:file "file"
    assert.refused("ENOTDIR: not a directory: " .. file .. "/a",
      fs.rmtree(file .. "/a", { force = true }))
  end)

  it("tells the first failure and removes the rest", function()
    tree.make(dir:path "victim", { "a/file", "locked/file", "locked/sub/file", "z/file" })
    command.run(("chmod -R a+rwX '%s' && cd '%s' && chown -R 65534 . && chmod 555 locked")
      :format(dir.root, dir:path "victim"))
    local stdout, stderr = run_as_user(("print(require 'halo'.fs.rmtree '%s')")
      :format(dir:path "victim"))
    assert.equal("", stderr)
    assert.truthy(stdout:match "^nil\tEACCES: permission denied: .*/victim/locked/%w+\tEACCES\n$")
    assert.same({ "victim/", "victim/locked/", "victim/locked/file", "victim/locked/sub/" },
      tree.list(dir.root))
  end)

  it("removes an empty directory that it may not read", function()
    tree.make(dir:path "victim", { "closed/", "full/file" })
    command.run(("cd '%s' && chown -R 65534 . && chmod 0 victim/closed victim/full")
      :format(dir.root))
    local stdout = run_as_user(("print(require 'halo'.fs.rmtree '%s')")
      :format(dir:path "victim"))
    assert.equal(("nil\tEACCES: permission denied: %s\tEACCES\n"):format(dir:path "victim/full"),
      stdout)
    assert.same({ "victim/", "victim/full/", "victim/full/file" }, tree.list(dir.root))
  end)

  it("works where no task can wait", function()
    tree.make(dir:path "victim", { "a/b/c", "d/e" })
    local removed
    table.sort({ 1, 2 }, function(a, b)
      removed = removed or fs.rmtree(dir:path "victim")
      return a < b
    end)
    assert.is_true(removed)
    tree.make(dir:path "victim", { "a/b/c", "d/e" })
    local stdout = command.run(command.luajit .. " -e " .. command.quote(
      ("print(require 'halo'.fs.rmtree('%s'))"):format(dir:path "victim")))
    assert.equal("true\n", stdout:gsub("\t.*\n", "\n"))
    assert.same({}, tree.list(dir.root))
  end)

  it("can be cancelled", function()
    command.run(("mkdir '%s' && cd '%s' && seq 3000 | xargs touch && seq -f d%%g 300 | xargs mkdir")
      :format(dir:path "many", dir:path "many"))
    local reached
    local task = halo.spawn(function()
      local ok, err = pcall(fs.rmtree, dir:path "many")
      reached = not ok and halo.is_cancelled(err)
      error(err, 0)
    end)
    for _ = 1, 5 do
      halo.yield()
    end
    task:cancel()
    assert.is_false(pcall(task.join, task))
    assert.is_true(reached)
    assert.is_true(fs.rmtree(dir:path "many"))
  end)

  it("takes a path and options", function()
    assert.misuse("bad argument #1 to 'rmtree' (path (a string) expected, got nil)",
      function() fs.rmtree() end)
    assert.misuse("bad argument #1 to 'rmtree' (the path contains a NUL byte)",
      function() fs.rmtree "a\0b" end)
    assert.misuse("bad argument #2 to 'rmtree' (table of options expected, got boolean)",
      function() fs.rmtree("a", true) end)
  end)
end)
