-- What copytree, move, rmtree, remove and mkdir have in common: they work below open directories,
-- together if need be, and leave nothing half done. How each of them is
-- called is in the specs that are named for them.

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local posix = require "spec.support.posix"
local random = require "spec.support.random"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
require "spec.support.assertions"

local KEEP = { mode = true, times = true, owner = true, xattrs = true }
local SECONDS = tonumber(os.getenv "HALO_ATTACK_SECONDS") or 1
local LONG = ("n"):rep(255)

local function octal(digits)
  return tonumber(digits, 8)
end

local function is_root()
  return command.run "id -u" == "0\n"
end

---What stat(2), the content and getfattr(1) say of all that is in a directory.
local function describe_tree(root)
  return (command.run(([[cd '%s'
    find . ! -type d -printf '%%P %%y %%m %%U %%G %%s %%T@ %%n %%l\n' -o -printf \
      '%%P %%y %%m %%U %%G %%T@\n' | LC_ALL=C sort
    find . -type f -exec md5sum {} + | LC_ALL=C sort -k 2
    getfattr -Rhd -m - . 2>/dev/null | LC_ALL=C sort]]):format(root)))
end

-- ---- beside cp -a and rm -rf --------------------------------------------------------------------

---A tree at random: odd names, links, names of one file, FIFOs, holes, permissions.
local function make_random(root, seed)
  local number = random.new(seed)
  local odd = { "plain", "with space", "new\nline", "-dash", "quote'", "\\back", "\200\255", "*?[",
    ".hidden", ("l"):rep(200) }
  local dirs, files = { root }, {}
  assert(fs.mkdir(root))
  for i = 1, 150 do
    local holder = dirs[number(#dirs)]
    local path = holder .. "/" .. odd[number(#odd)] .. i
    local kind = number(8)
    if kind <= 2 then
      assert(fs.mkdir(path))
      dirs[#dirs + 1] = path
    elseif kind == 3 then
      assert(fs.symlink(number(2) == 1 and "nowhere" or "..", path))
    elseif kind == 4 and #files > 0 then
      assert(fs.link(files[number(#files)], path))
    elseif kind == 5 then
      assert(fs.mkfifo(path))
    else
      local file = assert(fs.create(path))
      assert(file:ftruncate(number(3) == 1 and number(2000000) or 0))
      file:close()
      command.run(("head -c %d /dev/urandom >>%s"):format(number(100000), command.quote(path)))
      fs.setxattr(path, "user.number", tostring(i))
      files[#files + 1] = path
    end
  end
  local modes = { "644", "600", "755", "4711", "2770", "1777", "400", "500" }
  for _, list in ipairs { files, dirs } do
    for _, path in ipairs(list) do
      fs.chown(path, 65530 + number(3), 65530 + number(3))
      assert(fs.chmod(path, octal(modes[number(#modes)])))
      assert(fs.utime(path, number(1e9), { number(1e9), 123456789 }))
    end
  end
end

describe("a tree at random", function()
  local dir = temp.dir()

  for i = 1, 3 do
    it("is copied as by cp -a, and removed as by rm -rf, #" .. i, function()
      if not is_root() then
        pending "only root may read it all"
      end
      local seed = random.seed "trees" + i
      make_random(dir:path "from", seed)
      command.run(command.quote("cp", "-a", dir:path "from", dir:path "cp"))
      assert.is_true(fs.copytree(dir:path "from", dir:path "halo", KEEP))
      assert.equal(describe_tree(dir:path "cp"), describe_tree(dir:path "halo"))
      assert.is_true(fs.rmtree(dir:path "halo"))
      assert.is_false(fs.exists(dir:path "halo"))
    end)
  end
end)

-- ---- depth --------------------------------------------------------------------------------------

describe("a tree that is deeper than a path can say", function()
  local dir = temp.dir()

  local away

  before_each(function()
    away = fs.mkdtemp "/dev/shm/halo-spec-XXXXXX" -- where a tree is quick to make
  end)

  after_each(function()
    command.run(command.quote("rm", "-rf", away or ""))
  end)

  local function count(root)
    return #command.run(command.quote("find", root, "-printf", "x"))
  end

  it("is made, copied and removed", function()
    local root, depth = away or dir.root, 1500
    local path = root .. "/deep/" .. (LONG .. "/"):rep(depth)
    assert.is_true(fs.mkdir(path, { parents = true }))
    assert.is_true(fs.mkdir(path, { parents = true }))
    assert.is_true(fs.copytree(root .. "/deep", root .. "/copy", KEEP))
    assert.equal(depth + 1, count(root .. "/copy"))
    assert.is_true(fs.rmtree(root .. "/deep"))
    assert.is_true(fs.remove(root .. "/copy", { recursive = true }))
    assert.same({}, tree.list(root))
  end)

  it("is moved to another file system", function()
    local root, depth = away or dir.root, 200
    assert.is_true(fs.mkdir(dir:path "from/" .. (LONG .. "/"):rep(depth), { parents = true }))
    assert.is_true(fs.move(dir:path "from", root .. "/to"))
    assert.equal(depth + 1, count(root .. "/to"))
    assert.same({}, tree.list(dir.root))
  end)
end)

-- ---- attributes ---------------------------------------------------------------------------------

describe("what a copy keeps", function()
  local dir = temp.dir()

  ---What the kernel would call an ACL: user 65533 may read, the group itself may nothing.
  local ACL = "\2\0\0\0" .. "\1\0\7\0\255\255\255\255" .. "\2\0\4\0\253\255\0\0"
    .. "\4\0\0\0\255\255\255\255" .. "\16\0\4\0\255\255\255\255" .. "\32\0\0\0\255\255\255\255"
  local CAPABILITY = "\1\0\0\2" .. "\0\4\0\0" .. ("\0"):rep(12)

  it("is ACLs too, and none that a directory would give", function()
    tree.make(dir:path "from", { "sub/file=secret", "plain=x" })
    if not fs.setxattr(dir:path "from/sub/file", "system.posix_acl_access", ACL) then
      pending "there are no ACLs here"
    end
    assert(fs.setxattr(dir:path "from/sub", "system.posix_acl_default", ACL))
    tree.make(dir.root, { "holder/" })
    assert(fs.setxattr(dir:path "holder", "system.posix_acl_default", ACL))
    assert.is_true(fs.copytree(dir:path "from", dir:path "holder/to", KEEP))
    local to = dir:path "holder/to"
    assert.equal(ACL, fs.getxattr(to .. "/sub/file", "system.posix_acl_access"))
    assert.equal(ACL, fs.getxattr(to .. "/sub", "system.posix_acl_default"))
    assert.same({}, fs.listxattr(to .. "/plain"))
    assert.same({}, fs.listxattr(to))
    assert.equal(describe_tree(dir:path "from"), describe_tree(to))
  end)

  it("is no ACL that a directory would give to what is no file", function()
    tree.make(dir.root, { "from/", "holder/" })
    if not fs.setxattr(dir:path "holder", "system.posix_acl_default", ACL) then
      pending "there are no ACLs here"
    end
    assert(fs.mkfifo(dir:path "from/fifo", "640"))
    assert(fs.mknod(dir:path "from/socket", "socket", "640"))
    assert(fs.symlink("fifo", dir:path "from/link"))
    assert.is_true(fs.copytree(dir:path "from", dir:path "holder/to", KEEP))
    for _, name in ipairs { "fifo", "socket", "link" } do
      local copy = dir:path("holder/to/" .. name)
      assert.same({}, fs.llistxattr(copy), name)
      local mode = fs.lstat(dir:path("from/" .. name), "mode")
      assert.equal(mode, fs.lstat(copy, "mode"), name)
    end
  end)

  it("is capabilities, and attributes of files that may not be written to", function()
    tree.make(dir:path "from", { "tool=x", "fixed=y" })
    fs.chown(dir:path "from/tool", 65533, 65533)
    if not fs.setxattr(dir:path "from/tool", "security.capability", CAPABILITY) then
      pending "nobody may give capabilities here"
    end
    assert(fs.setxattr(dir:path "from/fixed", "user.note", "kept"))
    assert(fs.chmod(dir:path "from/fixed", octal "400"))
    assert.is_true(fs.copytree(dir:path "from", dir:path "to", KEEP))
    assert.equal(CAPABILITY, fs.getxattr(dir:path "to/tool", "security.capability"))
    assert.equal("kept", fs.getxattr(dir:path "to/fixed", "user.note"))
    assert.equal(7, (assert(fs.copy(dir:file("alone", "content"), dir:path "copy", KEEP))))
    assert.equal(1, (assert(fs.copy(dir:path "from/tool", dir:path "copied", KEEP))))
    assert.equal(CAPABILITY, fs.getxattr(dir:path "copied", "security.capability"))
  end)

  it("is the owner of links and pipes, and attributes of links", function()
    tree.make(dir:path "from", { "link -> nowhere", "pipe|" })
    if not fs.lchown(dir:path "from/link", 65533, 65532) then
      pending "only root gives files away"
    end
    assert(fs.lchown(dir:path "from/pipe", 65533, 65532))
    assert(fs.chmod(dir:path "from/pipe", octal "664"))
    local has_trusted = fs.lsetxattr(dir:path "from/link", "trusted.note", "x")
    assert.is_true(fs.copytree(dir:path "from", dir:path "to", KEEP))
    assert.equal(describe_tree(dir:path "from"), describe_tree(dir:path "to"))
    if has_trusted then
      assert.equal("x", fs.lgetxattr(dir:path "to/link", "trusted.note"))
    end
  end)

  ---Looks at paths until the task has ended: the modes and owners that each had meanwhile.
  local function seen_while(task, paths)
    local seen = {}
    while task:status() ~= "ended" and task:status() ~= "failed" do
      for _, path in ipairs(paths) do
        local mode, uid = fs.lstat(path, "mode", "uid")
        if mode then
          seen[path] = seen[path] or {}
          table.insert(seen[path], ("%o %d"):format(mode % octal "1000", uid))
        end
      end
      halo.yield()
    end
    assert.is_true(task:join())
    return seen
  end

  it("is for nobody else before it is whole", function()
    tree.make(dir:path "from", { "sub/small=x" })
    command.run(("head -c 50M /dev/zero | tr '\\0' x >'%s'"):format(dir:path "from/sub/big"))
    command.run(("chmod -R a+rwX '%s'"):format(dir:path "from"))
    local own = fs.stat(dir.root, "uid")
    if is_root() then
      command.run(("chown -R 65533:65532 '%s'"):format(dir:path "from"))
    end
    local uid = fs.stat(dir:path "from", "uid")
    local to = dir:path "to"
    local task = halo.spawn(fs.copytree, dir:path "from", to,
      { mode = true, owner = true, reflink = false })
    local seen = seen_while(task, { to, to .. "/sub", to .. "/sub/big" })
    for path, list in pairs(seen) do
      local is_file = path:match "/big$"
      local whole = (is_file and "666 %d" or "777 %d"):format(uid)
      local first, given = (is_file and "600 %d" or "700 %d"), nil
      for _, state in ipairs(list) do
        given = given or state == whole
        local private = state == first:format(own) or state == first:format(uid)
        assert.is_true(state == whole or private and not given, path .. " " .. state)
      end
    end
    assert.equal("600 " .. own, seen[to .. "/sub/big"][1])
    assert.equal("700 " .. own, seen[to][1])
  end)
end)

-- ---- half results -------------------------------------------------------------------------------

describe("what fails half-way", function()
  local dir, full

  after_each(function() -- before the directory around it is removed
    if full then
      command.run(command.quote("umount", full))
      full = nil
    end
  end)

  dir = temp.dir()

  local function mount_full()
    local path = dir:path "full"
    assert(fs.mkdir(path))
    local mount = command.quote("mount", "-t", "tmpfs", "-o", "size=1m", "none", path)
    if select(3, command.run(mount)) ~= 0 then
      pending "nothing can be mounted here"
    end
    full = path
  end

  it("takes a file away that it has made, and no other", function()
    mount_full()
    local big = dir:file("big", ("x"):rep(3000000))
    for _, options in ipairs { {}, { exclusive = true }, { mode = true, times = true } } do
      local ok, _, code = fs.copy(big, full .. "/to", options)
      assert.is_nil(ok)
      assert.equal("ENOSPC", code)
      assert.same({}, tree.list(full))
    end
    command.run(command.quote("touch", full .. "/to"))
    assert.equal("ENOSPC", select(3, fs.copy(big, full .. "/to")))
    assert.same({ "to" }, tree.list(full))
    assert.is_true(fs.remove(full .. "/to"))
    assert.equal(5, fs.copy(dir:file("small", "small"), full .. "/to", { exclusive = true }))
  end)

  it("leaves of a tree what is whole", function()
    mount_full()
    tree.make(dir:path "from", { "a/small", "b/other" }) -- there is room for these
    dir:file("from/big", ("x"):rep(3000000))
    local ok, message, code = fs.copytree(dir:path "from", full .. "/to")
    assert.is_nil(ok)
    assert.equal("ENOSPC", code)
    assert.equal(("ENOSPC: no space left on device: %s -> %s"):format(dir:path "from/big",
      full .. "/to/big"), message)
    assert.same({ "to/", "to/a/", "to/a/small", "to/b/", "to/b/other" }, tree.list(full))
  end)

  it("leaves the original of a move whole, though directories of the copy are closed", function()
    mount_full()
    command.run(("cd '%s' && mkdir -p from/a/b && touch from/a/b/c && chmod 555 from/a/b from/a")
      :format(dir.root))
    dir:file("from/big", ("x"):rep(3000000))
    local before = describe_tree(dir:path "from")
    assert.equal("ENOSPC", select(3, fs.move(dir:path "from", full .. "/to")))
    assert.equal(before, describe_tree(dir:path "from"))
    assert.same({}, tree.list(full))
  end)
end)

describe("a copy that is cancelled", function()
  local dir = temp.dir()

  it("leaves no part of a file", function()
    command.run(("head -c 200M /dev/zero | tr '\\0' x >'%s'"):format(dir:path "big"))
    local to = dir:path "to"
    local task = halo.spawn(fs.copy, dir:path "big", to, { reflink = false })
    eventually("it has begun", function() return posix.exists(to) end)
    task:cancel()
    assert.is_false(pcall(task.join, task))
    eventually("it is taken away", function() return not posix.exists(to) end)
  end)
end)

-- ---- two at once --------------------------------------------------------------------------------

describe("what others do meanwhile", function()
  local dir = temp.dir()

  local function make_many(name)
    assert(fs.mkdir(dir:path(name)))
    for i = 1, 20 do
      local sub = dir:path(("%s/d%d"):format(name, i))
      assert(fs.mkdir(sub .. "/x/y/z", { parents = true }))
      for j = 1, 10 do
        dir:file(("%s/d%d/f%d"):format(name, i, j))
      end
    end
  end

  it("is no failure of several rmtree of one tree", function()
    for _ = 1, 5 do
      make_many "many"
      local results = halo.map({ 1, 2, 3, 4 }, function()
        return { fs.rmtree(dir:path "many", { force = true }) }
      end)
      for _, result in ipairs(results) do
        assert.same({ true }, result)
      end
      assert.is_false(fs.exists(dir:path "many"))
    end
  end)

  it("is no failure of an rmtree beside rm -rf", function()
    for _ = 1, 5 do
      make_many "many"
      local other = command.start(command.quote("rm", "-rf", dir:path "many"))
      assert.is_true(fs.rmtree(dir:path "many", { force = true }))
      other:finish()
      assert.is_false(fs.exists(dir:path "many"))
    end
  end)

  it("is no failure of a copytree whose original is removed", function()
    for _ = 1, 5 do
      make_many "many"
      local other = command.start(command.quote("rm", "-rf", dir:path "many"))
      local ok, message, code = fs.copytree(dir:path "many", dir:path "to", KEEP)
      other:finish()
      assert.is_true(ok or code == "ENOENT" and not fs.exists(dir:path "to"), message)
      assert.is_true(fs.rmtree(dir:path "to", { force = true }))
    end
  end)

  it("is no reason for mkdir to say that what is missing exists", function()
    local path = dir:path "a/b/c/d/e"
    local script = ("while :; do rm -rf '%s'; done"):format(dir:path "a")
    local other = command.start(command.quote("sh", "-c", script))
    local deadline, made = halo.now() + SECONDS, 0
    while halo.now() < deadline do
      local ok, message, code = fs.mkdir(path, { parents = true })
      assert.is_true(ok or code == "ENOENT", message)
      made = made + (ok and 1 or 0)
    end
    other:signal "KILL"
    other:finish()
    assert.is_true(made > 0)
  end)
end)

-- ---- options ------------------------------------------------------------------------------------

describe("fs.copytree's filter", function()
  local dir = temp.dir()

  it("says what is to be copied, and is asked as in a walk", function()
    tree.make(dir:path "from", { "a/x.o", "a/x.c", "skip/deep/y", "z.c", "l -> z.c" })
    local asked, walked = {}, {}
    assert.is_true(fs.copytree(dir:path "from", dir:path "to", { filter = function(path, entry)
      asked[path] = ("%s %s %d"):format(entry.name, entry.type, entry.depth)
      assert.equal(path, entry.path)
      return entry.name ~= "skip" and not path:match "%.o$"
    end }))
    assert.same({ "a/", "a/x.c", "l -> z.c", "z.c" }, tree.list(dir:path "to"))
    local prune = function(_, entry) return entry.name == "skip" end
    for path, entry in fs.walk(dir:path "from", { prune = prune }) do
      walked[path] = ("%s %s %d"):format(entry.name, entry.type, entry.depth)
    end
    assert.same(walked, asked)
  end)

  it("may wait, work on trees itself, and fail", function()
    tree.make(dir:path "from", { "a/x", "b/y", "c/z" })
    assert.is_true(fs.copytree(dir:path "from", dir:path "to", { filter = function(path, entry)
      if entry.type == "dir" then
        assert(fs.copytree(path, dir:path("own-" .. entry.name)))
        assert(fs.rmtree(dir:path("own-" .. entry.name)))
      end
      return true
    end }))
    assert.same({ "a/", "a/x", "b/", "b/y", "c/", "c/z" }, tree.list(dir:path "to"))
    local ok, err = pcall(fs.copytree, dir:path "from", dir:path "other", { filter = function()
      error "no"
    end })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("no", 1, true))
    assert.misuse("bad argument #3 to 'copytree' (filter is a function)",
      function() fs.copytree("a", "b", { filter = true }) end)
  end)
end)

describe("fs.copytree's follow", function()
  local dir = temp.dir()

  it("copies what links lead to", function()
    tree.make(dir.root, { "out/file=outside", "out/sub/deep=deep" })
    tree.make(dir:path "from", { "file -> ../out/file", "dir -> ../out", "gone -> nowhere",
      "own -> plain", "plain=x", "self -> self" })
    assert.is_true(fs.copytree(dir:path "from", dir:path "to", { follow = true }))
    assert.same({ "dir/", "dir/file", "dir/sub/", "dir/sub/deep", "file", "gone -> nowhere", "own",
      "plain", "self -> self" }, tree.list(dir:path "to"))
    assert.equal("outside", dir:read "to/file")
    assert.equal("deep", dir:read "to/dir/sub/deep")
  end)

  it("ends where a link leads back", function()
    tree.make(dir:path "from", { "a/b/up -> ..", "a/file", "z" })
    assert.refused("ELOOP: too many levels of symbolic links: " .. dir:path "from/a/b/up",
      fs.copytree(dir:path "from", dir:path "to", { follow = true }))
    assert.same({ "a/", "a/b/", "a/file", "z" }, tree.list(dir:path "to"))
  end)

  it("keeps to a Dir that it begins in", function()
    tree.make(dir.root, { "from/link -> ../there", "there/x" })
    local at = assert(fs.at(dir.root))
    assert.is_true(at:copytree("from", "to", { follow = true }))
    at:close()
    assert.same({ "link/", "link/x" }, tree.list(dir:path "to"))
  end)
end)

describe("fs.remove", function()
  local dir = temp.dir()

  it("removes whatever there is where it may", function()
    tree.make(dir.root, { "full/a/b", "file", "link -> full", "pipe|", "empty/" })
    assert.refused("EISDIR: is a directory: " .. dir:path "full", fs.remove(dir:path "full"))
    assert.refused("EISDIR: is a directory: " .. dir:path "full",
      fs.remove(dir:path "full", { force = true }))
    for _, name in ipairs { "link", "file", "pipe", "empty", "full" } do
      assert.is_true(fs.remove(dir:path(name), { recursive = true }))
      assert.refused("ENOENT: no such file or directory: " .. dir:path(name),
        fs.remove(dir:path(name), { recursive = true }))
      assert.is_true(fs.remove(dir:path(name), { recursive = true, force = true }))
    end
    assert.same({}, tree.list(dir.root))
    assert.misuse("bad argument #2 to 'remove' (no option 'recurse', but force, recursive)",
      function() fs.remove("a", { recurse = true }) end)
  end)
end)

describe("a Dir", function()
  local dir = temp.dir()

  it("works on trees wherever its own name is", function()
    tree.make(dir:path "here", { "from/a/x=1", "from/l -> a" })
    local at = assert(fs.at(dir:path "here"))
    assert(fs.rename(dir:path "here", dir:path "now"))
    assert.is_true(at:copytree("from", "to"))
    assert.is_true(at:move("to", "moved"))
    assert.is_true(at:mkdir("p/q/r", { parents = true }))
    assert.is_true(at:rmtree "from")
    assert.is_true(at:remove("p", { recursive = true }))
    assert.same({ "moved/", "moved/a/", "moved/a/x", "moved/l -> a" }, tree.list(dir:path "now"))
    local ok, message = at:copytree("none", "to")
    assert.is_nil(ok)
    assert.equal("ENOENT: no such file or directory: none", message)
    at:close()
  end)

  it("that confines copies no directory into itself, and makes what lies behind ..", function()
    tree.make(dir:path "here", { "a/b/x", "link -> a/b" })
    local before = tree.list(dir.root)
    for _, confined in ipairs { false, true } do
      local at = assert(fs.at(dir:path "here", { beneath = confined }))
      for _, to in ipairs { "a/c", "a/b/c", "./a//b/c", "link/c", "a/b/../c", "a/b/" } do
        assert.refused("EINVAL: a directory cannot be copied into itself: a -> " .. to,
          at:copytree("a", to))
      end
      assert.same(before, tree.list(dir.root))
      for _, path in ipairs { "p/../q/r", "p/./s/../t/../u", "q/../v/" } do
        assert.is_true(at:mkdir(path, { parents = true }))
        assert.is_true(at:stat(path, "is_dir"))
      end
      for _, path in ipairs { "p", "q", "v" } do
        assert.is_true(at:rmtree(path))
      end
      local ok, _, code = at:mkdir("p/../../w/x", { parents = true })
      assert.same({ confined and "EXDEV" }, { not ok and code })
      assert.is_true(at:rmtree "p")
      fs.remove(dir:path "w", { recursive = true, force = true })
      at:close()
    end
  end)
end)
