-- Somebody swaps directories for symbolic links while halo works in a tree: nothing that these lead
-- to may be touched, or even seen. HALO_ATTACK_S says how many seconds each attack takes.

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"

local SECONDS = tonumber(os.getenv "HALO_ATTACK_S") or 2
local DIRS = 12

---Where directories of the tree come from and go to: names that the swapper exchanges.
local function swapped_paths(victim)
  local paths = {}
  for i = 1, DIRS do
    table.insert(paths, ("%s/d%d"):format(victim, i))
    table.insert(paths, ("%s/d%d/sub"):format(victim, i))
  end
  return paths
end

---Files with these names, in each directory of the victim.
local function victim_items()
  local items = {}
  for i = 1, DIRS do
    for j = 1, 4 do
      table.insert(items, ("d%d/file%d"):format(i, j))
      table.insert(items, ("d%d/sub/file%d"):format(i, j))
      table.insert(items, ("d%d/sub/deep/file%d"):format(i, j))
    end
  end
  return items
end

---What the links lead to: the same names, but nothing that the swapper itself would take out.
local outside_items = { "file1", "file2", "file3", "file4", "canary", "deep/file1", "deep/file2",
  "deep/file3", "deep/file4", "deep/canary" }

describe("while directories are swapped for symbolic links, #slow", function()
  local dir, outside, swapper

  after_each(function()
    swapper:signal "KILL"
    swapper:finish()
  end)

  dir = temp.dir()

  ---A new victim and new links beside it.
  local function set_up()
    for _, name in ipairs { "victim", "side" } do
      assert(fs.rmtree(dir:path(name), { force = true }))
      assert(fs.copytree(dir:path("new " .. name), dir:path(name)))
    end
  end

  before_each(function()
    outside = dir:path "outside"
    tree.make(outside, outside_items)
    local paths, links = swapped_paths(dir:path "victim"), {}
    for i = 1, #paths do
      links[i] = ("%d -> %s"):format(i, outside)
    end
    tree.make(dir:path "new side", links)
    tree.make(dir:path "new victim", victim_items())
    set_up()
    swapper = command.start(command.halo("spec/support/swapper.lua", dir:path "side",
      unpack(paths)))
    swapper:await "swapping\n"
  end)

  it("fs.rmtree removes nothing outside", function()
    local before = tree.list(outside)
    local deadline, rounds = halo.now() + SECONDS, 0
    while halo.now() < deadline do
      swapper:signal "STOP"
      set_up()
      swapper:signal "CONT"
      fs.rmtree(dir:path "victim")
      rounds = rounds + 1
    end
    assert.same(before, tree.list(outside))
    assert.is_true(rounds > 3, rounds)
  end)

  it("fs.walk sees nothing outside", function()
    local before = tree.list(outside)
    local deadline, seen, links = halo.now() + SECONDS, 0, 0
    while halo.now() < deadline do
      for path, entry in fs.walk(dir:path "victim") do
        seen = seen + 1
        links = links + (entry.type == "symlink" and 1 or 0)
        assert.is_nil(path:find("canary", 1, true), path)
      end
    end
    assert.is_true(seen > 1000, seen)
    assert.is_true(links > 0, "no link was met")
    assert.same(before, tree.list(outside))
  end)
end)
