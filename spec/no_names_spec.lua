-- A disk, or a quota, that has no room for one more name, in each call that makes one: the refusal
-- is told, what there was stays as it was, and nothing is left behind. Where room is counted in
-- small steps, as a quota of btrfs is, each call is also tried with ever more of it, so that each
-- of its steps is refused in turn.

local command = require "spec.support.command"
local disk = require "spec.support.disk"
local halo = require "halo"
local survived = require "spec.support.survived"
local tree = require "spec.support.tree"

local fs = halo.fs
local quote = command.quote

local DATA = ("some bytes, "):rep(3000)
local STEP = 8192 -- less than any change of btrfs takes
local STEPS = { 1, 2, 3, 4, 6, 8, 11, 14, 17, 20, 24, 32 }

-- Called with the directory that is full, and one outside of it. Where it says so, parts of what is
-- made may stay.
local calls = {
  { "fs.open", function(at) return fs.open(at .. "/new", "wx") end },
  { "fs.create", function(at) return fs.create(at .. "/new") end },
  { "fs.mkdir", function(at) return fs.mkdir(at .. "/new") end },
  { "fs.mkdir of parents", function(at) return fs.mkdir(at .. "/new/a/b", { parents = true }) end,
    parts = true },
  { "fs.symlink", function(at) return fs.symlink("nowhere", at .. "/new") end },
  { "fs.mkdtemp", function(at) return fs.mkdtemp(at .. "/newXXXXXX") end },
  { "fs.mkstemp", function(at) return fs.mkstemp(at .. "/newXXXXXX") end },
  { "fs.tempfile", function(at) return fs.tempfile(at) end },
  { "fs.writefile", function(at) return fs.writefile(at .. "/new", "x") end, parts = true },
  { "fs.writefile that appends", function(at)
    return fs.writefile(at .. "/new", "x", { append = true })
  end, parts = true },
  { "an atomic write", function(at)
    return fs.writefile(at .. "/new", DATA, { atomic = true })
  end },
  { "an atomic write over a file", function(at)
    return fs.writefile(at .. "/file", DATA, { atomic = true, xattrs = true })
  end },
  { "an atomic write that is not synced", function(at)
    return fs.writefile(at .. "/file", DATA, { atomic = true, sync = false })
  end },
  { "an atomic write of a new file alone", function(at)
    return fs.writefile(at .. "/new", DATA, { atomic = true, exclusive = true })
  end },
  { "an atomic write through a link", function(at)
    return fs.writefile(at .. "/link", DATA, { atomic = true })
  end },
  { "fs.copy", function(at, outside) return fs.copy(outside .. "/file", at .. "/new") end },
  { "fs.copy of all there is", function(at, outside)
    return fs.copy(outside .. "/file", at .. "/new",
      { mode = true, times = true, owner = true, xattrs = true })
  end },
  { "fs.copy within", function(at) return fs.copy(at .. "/file", at .. "/new") end },
  { "fs.copytree", function(at, outside)
    return fs.copytree(outside .. "/tree", at .. "/new")
  end, parts = true },
  { "fs.move of a file", function(at, outside)
    return fs.move(outside .. "/file", at .. "/new")
  end },
  { "fs.move of a file over one", function(at, outside)
    return fs.move(outside .. "/file", at .. "/file")
  end },
  { "fs.move of a tree", function(at, outside)
    return fs.move(outside .. "/tree", at .. "/new")
  end },
}

-- What needs room only where names and attributes are counted as data is.
local counted = {
  { "fs.link", function(at) return fs.link(at .. "/file", at .. "/new") end },
  { "fs.rename", function(at) return fs.rename(at .. "/file", at .. "/new") end },
  { "fs.setxattr", function(at) return fs.setxattr(at .. "/file", "user.halo", "x") end },
}

local inside = { "dir/x=there", "file=what there was", "link -> target", "target=linked" }
local outside = { "file", "tree/a/b/x", "tree/a/y", "tree/l -> a/y", "tree/z" }

---Makes what is outside, where each file has the data.
local function make_outside(root)
  os.execute(quote("rm", "-rf", root))
  tree.make(root, outside)
  for _, item in ipairs(outside) do
    if not item:find " -> " then
      local file = assert(io.open(root .. "/" .. item, "wb"))
      assert(file:write(DATA))
      assert(file:close())
    end
  end
end

---All that is there, with sums of what is in it.
local function contents(...)
  local list = assert(io.popen(([[for at in %s; do
    cd "$at"
    find . -name .names -prune -o ! -name .fill ! -name lost+found -printf '%%P %%y %%m %%l\n'
    find . -name .names -prune -o -type f ! -name .fill -exec cksum {} +
  done | LC_ALL=C sort]]):format(quote(...))))
  local text = list:read "*a"
  list:close()
  return text
end

disk.each(function(place, kind)
  local tried = 0

  ---Makes a call where there is so much room. Returns whether it was refused.
  local function try(call, from)
    local results = { call[2](place.path, from) }
    tried = tried + 1
    if type(results[1]) == "userdata" then
      assert(results[1]:close())
    end
    if results[1] then
      return false
    end
    assert.equal(place.code, results[3])
    assert.equal(place.full .. ": ", results[2]:sub(1, #place.full + 2))
    assert.is_nil(results[4])
    return true
  end

  ---Asserts that what was refused has changed nothing but what it may.
  local function assert_unchanged(call, from, before)
    if call.parts then
      local parts = command.run(("find %s -name '.halo*' -o -path '*/new/*' -type f ! -size %dc")
        :format(quote(place.path), #DATA))
      assert.equal("", parts)
      os.execute(quote("rm", "-rf", place.path .. "/new"))
    end
    assert.equal(before, contents(place.path, from), call[1])
  end

  ---Prepares both places. Returns the one outside, and what is in them.
  local function prepare()
    if place.why_not then
      pending(place.why_not)
    end
    local from = place.root .. "/outside"
    make_outside(from)
    tree.make(place.path, inside)
    return from, contents(place.path, from)
  end

  if not place.counts_names then
    it("is told by each call", function()
      local from, before = prepare()
      place:leave_nothing()
      for _, call in ipairs(calls) do
        assert.is_true(try(call, from), call[1])
        assert_unchanged(call, from, before)
      end
    end)
  end

  local function it_is_told_at_each_step(call)
    it("is told at each step of " .. call[1], function()
      local from, before = prepare()
      place:leave_nothing()
      assert.is_true(try(call, from), "there was room")
      assert_unchanged(call, from, before)
      for _, steps in ipairs(STEPS) do
        place:leave(steps * STEP)
        if not try(call, from) then
          return
        end
        assert_unchanged(call, from, before)
      end
      place:clear()
      assert.is_false(try(call, from))
    end)
  end

  for _, list in ipairs(place.counts_names and { calls, counted } or {}) do
    for _, call in ipairs(list) do
      it_is_told_at_each_step(call)
    end
  end

  teardown(function()
    survived.tell_of_file {
      name = (("no_names_" .. kind):gsub(" ", "_")),
      kind = "no room for one more name, " .. kind, tried = tried, unit = "calls",
      command = "make test SPEC=spec/no_names_spec.lua",
    }
  end)
end)
