-- Two attackers swap directories for symbolic links while halo works in a tree: nothing that they
-- lead to may be touched, or even seen. HALO_ATTACK_SECONDS says how long each attack takes, and
-- has the rounds told.

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local survived = require "spec.support.survived"
local swappers = require "spec.support.swappers"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"

local SECONDS, TREE_SECONDS = swappers.seconds(2), swappers.seconds(1)
local DIRS = 12

---Where directories and files of the tree come from and go to: names that the swapper exchanges,
---and what the links lead to that take their place.
local function swapped_paths(victim, outside)
  local paths, targets = {}, {}
  local function add(target, form, ...)
    table.insert(paths, victim .. "/" .. form:format(...))
    table.insert(targets, target)
  end
  for i = 1, DIRS do
    add(outside, "d%d", i)
    add(outside, "d%d/sub", i)
    add(outside .. "/file1", "d%d/own", i)
  end
  return paths, targets
end

---Files with these names, in each directory of the victim.
local function victim_items()
  local items = {}
  for i = 1, DIRS do
    table.insert(items, ("d%d/own"):format(i))
    for j = 1, 4 do
      table.insert(items, ("d%d/file%d"):format(i, j))
      table.insert(items, ("d%d/sub/file%d"):format(i, j))
      table.insert(items, ("d%d/sub/deep/file%d"):format(i, j))
    end
  end
  return items
end

---What the links lead to: the same names, but nothing that the swapper itself would take out.
local outside_items = { "file1=outside", "file2=outside", "file3=outside", "file4=outside",
  "canary", "deep/file1=outside", "deep/file2=outside", "deep/file3=outside", "deep/file4=outside",
  "deep/canary" }

---What there is outside, with what the files say and who may read them.
local function seen_outside(outside)
  return (command.run(("cd '%s' && find . -printf '%%P %%y %%m %%U %%T@\\n' | sort; grep -r . ."
    .. " | sort"):format(outside)))
end

---What came from outside into a copy: names, or files that say so.
local function found_outside(copy)
  return (command.run(("cd '%s' && find . -name canary; grep -rl --no-messages outside ."):format(
    copy)))
end

local rounds_told = 0

---What an attack came to; shown where that was asked for.
local function tell(rounds, what, ...)
  rounds_told = rounds_told + rounds
  survived.tell { name = "attack", tried = rounds_told, unit = "rounds", lost = 0,
    kind = "directories swapped for links, in trees that are worked on",
    command = "make test SPEC=spec/fs_attack_spec.lua" }
  if os.getenv "HALO_ATTACK_SECONDS" then
    print(("attack: " .. what):format(...))
  end
end

describe("while directories are swapped for symbolic links, #slow", function()
  local dir, outside, swapper

  after_each(function()
    swapper:finish()
  end)

  dir = temp.dir()

  ---A new victim and new links beside it.
  local function set_up()
    assert(fs.rmtree(dir:path "victim", { force = true }))
    assert(fs.copytree(dir:path "new victim", dir:path "victim"))
    for _, side in ipairs(swappers.sides(dir.root)) do
      assert(fs.rmtree(side, { force = true }))
      assert(fs.copytree(dir:path "new side", side))
    end
  end

  before_each(function()
    outside = dir:path "outside"
    tree.make(outside, outside_items)
    local paths, links = swapped_paths(dir:path "victim", outside)
    for i = 1, #paths do
      links[i] = ("%d -> %s"):format(i, links[i])
    end
    tree.make(dir:path "new side", links)
    tree.make(dir:path "new victim", victim_items())
    set_up()
    swapper = swappers.start(swappers.sides(dir.root), paths)
  end)

  it("fs.rmtree removes nothing outside", function()
    local before = tree.list(outside)
    local deadline, rounds = halo.now() + SECONDS, 0
    while halo.now() < deadline or rounds < 4 do
      swapper:signal "STOP"
      set_up()
      swapper:signal "CONT"
      fs.rmtree(dir:path "victim")
      rounds = rounds + 1
    end
    assert.same(before, tree.list(outside))
    tell(rounds, "rmtree, %d rounds", rounds)
  end)

  it("fs.walk sees nothing outside", function()
    local before = tree.list(outside)
    local deadline, seen, links, rounds = halo.now() + SECONDS, 0, 0, 0
    while halo.now() < deadline do
      rounds = rounds + 1
      for path, entry in fs.walk(dir:path "victim") do
        seen = seen + 1
        links = links + (entry.type == "symlink" and 1 or 0)
        assert.is_nil(path:find("canary", 1, true), path)
      end
    end
    tell(rounds, "walk, %d rounds, %d entries, %d links", rounds, seen, links)
    assert.is_true(seen > 1000, seen)
    assert.is_true(links > 0, "no link was met")
    assert.same(before, tree.list(outside))
  end)

  it("fs.glob sees nothing outside with two stars", function()
    local deadline, seen, rounds = halo.now() + SECONDS, 0, 0
    while halo.now() < deadline do
      rounds = rounds + 1
      for _, path in ipairs(assert(fs.glob(dir:path "victim/**"))) do
        seen = seen + 1
        assert.is_nil(path:find("canary", 1, true), path)
      end
      assert.same({}, fs.glob(dir:path "victim/**/canary"))
      assert.same({}, fs.glob(dir:path "victim/**/deep/can*"))
    end
    tell(rounds, "glob, %d rounds, %d paths", rounds, seen)
    assert.is_true(seen > 1000, seen)
  end)

  ---What a Dir that confines does at a name; each is refused, or happens inside.
  local attempts = {
    function(at, name) return at:readfile(name) end,
    function(at, name) return at:writefile(name, "inside") end,
    function(at, name) return at:writefile(name, "inside", { atomic = true, sync = false }) end,
    function(at, name) return at:chmod(name, tonumber("600", 8)) end,
    function(at, name) return at:utime(name, 1, 1) end,
    function(at, name) return at:truncate(name, 0) end,
    function(at, name) return at:rename(name, name .. "x") end,
    function(at, name) return at:rename(name .. "x", name) end,
    function(at, name) return at:link(name, name .. "y") end,
    function(at, name) return at:remove(name .. "y") end,
    function(at, name) return at:copy(name, name .. "z") end,
    function(at, name) return at:remove(name .. "z") end,
    function(at, name) return at:mkdir(name .. "d") end,
    function(at, name) return at:rmdir(name .. "d") end,
    function(at, name) return at:symlink("x", name .. "s") end,
    function(at, name) return at:remove(name .. "s") end,
    function(at, name) return at:stat(name, "size") end,
    function(at, name) return at:setxattr(name, "user.x", "x") end,
  }

  it("a Dir that confines reads and changes nothing outside", function()
    tree.make(outside, { "file1=outside", "file2=outside", "deep/file1=outside" })
    local list = command.quote("find", outside, "-printf", "%p %y %m %n %s %T@ %C@\n")
    local before = command.run(list)
    local at = assert(fs.at(dir:path "victim", { beneath = true }))
    local deadline, done, refused = halo.now() + SECONDS, 0, 0
    local function attack(names)
      local i = 0
      while halo.now() < deadline do
        i = i + 1
        local result, _, code = attempts[i % #attempts + 1](at, names[i % #names + 1])
        assert.are_not.equal("outside", result)
        done, refused = done + (result and 1 or 0), refused + (code == "EXDEV" and 1 or 0)
      end
    end
    halo.scope(function(scope)
      for d = 1, 3 do
        scope:spawn(attack, { ("d%d/file1"):format(d), ("d%d/sub/file2"):format(d),
          ("d%d/sub/deep/file1"):format(d), ("d%d/sub/../file2"):format(d) })
      end
    end)
    at:close()
    assert.equal(before, command.run(list))
    tell(done + refused, "Dir, %d calls done, %d refused", done, refused)
    assert.is_true(done > 100, done)
    assert.is_true(refused > 0, "no link was met")
  end)

  it("an atomic write through a Dir that confines replaces nothing outside", function()
    local before = seen_outside(outside)
    local at = assert(fs.at(dir:path "victim", { beneath = true }))
    local deadline, done, refused = halo.now() + SECONDS, 0, 0
    local function write(name)
      local options = { atomic = true, sync = false }
      while halo.now() < deadline do
        local ok, message, code = at:writefile(name, "inside", options)
        local value = at:readfile(name)
        assert.is_true(value == nil or value == "inside" or value == "", value)
        assert(ok or code == "EXDEV" or code == "ENOENT" or code == "EINVAL", message)
        done, refused = done + (ok and 1 or 0), refused + (code == "EXDEV" and 1 or 0)
      end
    end
    halo.scope(function(scope)
      for d = 1, 3 do
        scope:spawn(write, ("d%d/own"):format(d))
        scope:spawn(write, ("d%d/sub/file2"):format(d))
      end
    end)
    at:close()
    swapper:signal "STOP"
    assert.equal(before, seen_outside(outside))
    for _, path in ipairs(fs.glob(dir:path "**/.halo-*")) do
      assert.is_nil(path)
    end
    swapper:signal "CONT"
    tell(done + refused, "atomic writes, %d done, %d refused", done, refused)
    assert.is_true(done > 10 and refused > 0, done .. " done, " .. refused)
  end)

  ---Calls attempt(copy) again and again, with a victim as new, and looks at what it made.
  local function attack(what, attempt)
    local before, copy = seen_outside(outside), dir:path "copy"
    local deadline, rounds = halo.now() + TREE_SECONDS, 0
    while halo.now() < deadline or rounds == 0 do
      swapper:signal "STOP"
      set_up()
      swapper:signal "CONT"
      attempt(copy)
      swapper:signal "STOP"
      assert.equal("", fs.exists(copy) and found_outside(copy) or "")
      assert(fs.remove(copy, { recursive = true, force = true }))
      rounds = rounds + 1
    end
    assert.equal(before, seen_outside(outside))
    swapper:signal "CONT"
    tell(rounds, "%s, %d rounds", what, rounds)
  end

  local kept = { mode = true, owner = true, xattrs = true }
  for name, options in pairs { plain = {}, keeping = kept } do
    it("fs.copytree reads nothing outside, " .. name, function()
      attack("copytree from, " .. name, function(copy)
        fs.copytree(dir:path "victim", copy, options)
      end)
    end)

    it("fs.copytree writes nothing outside, " .. name, function()
      options.merge = true
      attack("copytree to, " .. name, function()
        fs.copytree(dir:path "new victim", dir:path "victim", options)
      end)
    end)
  end

  it("fs.move reads and removes nothing outside", function()
    local there = fs.mkdtemp "/dev/shm/halo-spec-XXXXXX"
    if not there or fs.stat(there, "dev") == fs.stat(dir.root, "dev") then
      pending "/dev/shm is no file system of its own"
    end
    attack("move", function()
      fs.move(dir:path "victim", there .. "/moved")
      assert.equal("", found_outside(there))
      assert(fs.remove(there .. "/moved", { recursive = true, force = true }))
    end)
    assert(fs.rmtree(there))
  end)

  it("fs.remove removes nothing outside", function()
    attack("remove", function() fs.remove(dir:path "victim", { recursive = true }) end)
  end)
end)
