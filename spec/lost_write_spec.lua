-- A device that loses what was written: the page cache takes it, and the device does not. It is a
-- loop device, whose file is in a memory that has become full, since there is no device mapper
-- everywhere. The first sync tells it, and all later ones of that file; what is replaced as a whole
-- keeps what it had.

local halo = require "halo"
local command = require "spec.support.command"
local posix = require "spec.support.posix"
local survived = require "spec.support.survived"

local fs = halo.fs
local quote, run = command.quote, command.run

local BIG, MEMORY = 8 * 1048576, "16m"

describe("a device that loses writes", function()
  local root, at, why_not
  local tried = 0

  before_each(function()
    root = posix.mkdtemp()
    at = root .. "/disk"
    local _, stderr, status = run(([[cd %s && mkdir memory disk &&
      mount -t tmpfs -o size=%s none memory && truncate -s 64M memory/image &&
      mkfs.ext4 -q -m 0 -O ^has_journal -E lazy_itable_init=0 memory/image &&
      mount -o loop memory/image disk]]):format(quote(root), MEMORY))
    why_not = status ~= 0 and "no such device can be mounted here: " .. stderr or nil
  end)

  after_each(function()
    for _, path in ipairs { at, root .. "/memory" } do
      run(("mountpoint -q %s && { umount %s || umount -l %s; }"):gsub("%%s", quote(path)))
    end
    os.execute(quote("rm", "-rf", "--one-file-system", root))
  end)

  local function fill()
    run(("dd if=/dev/zero of=%s bs=64k"):format(quote(root .. "/memory/fill")))
  end

  ---A test that needs the device.
  local function it_tells(what, test)
    it(what, function()
      if why_not then
        pending(why_not)
      end
      tried = tried + 1
      test()
    end)
  end

  local function assert_lost(_, message, code)
    assert.is_true(code == "ENOSPC" or code == "EIO", message)
  end

  it_tells("is told by each sync of the file from then on, though there is room again", function()
    local file = assert(fs.open(at .. "/file", "w"))
    fill()
    assert.equal(BIG, file:write(("x"):rep(BIG)))
    assert_lost(file:fsync())
    assert_lost(file:fsync())
    os.remove(root .. "/memory/fill")
    assert.equal(1, file:write "y")
    assert_lost(file:fdatasync())
    assert_lost(file:fsync())
    assert.is_true(file:close())
    file = assert(fs.open(at .. "/file", "w")) -- begins anew
    assert.equal(BIG, file:write(("z"):rep(BIG)))
    assert.is_true(file:fsync())
    assert.is_true(file:close())
  end)

  it_tells("is told to all who were waiting", function()
    local file = assert(fs.open(at .. "/file", "w"))
    fill()
    assert.equal(BIG, file:write(("x"):rep(BIG)))
    halo.map({ 1, 2, 3, 4, 5, 6 }, function(i)
      assert_lost(file[i % 2 == 0 and "fsync" or "fdatasync"](file))
    end)
    assert.is_true(file:close())
  end)

  it_tells("leaves what is replaced as a whole as it was", function()
    assert.is_true(fs.writefile(at .. "/file", "old", { atomic = true }))
    fill()
    assert_lost(fs.writefile(at .. "/file", ("n"):rep(BIG), { atomic = true }))
    assert.equal("old", fs.readfile(at .. "/file"))
    for name in fs.dir(at) do
      assert.is_true(name == "file" or name == "lost+found", name)
    end
    os.remove(root .. "/memory/fill")
    assert.is_true(fs.writefile(at .. "/file", "new", { atomic = true }))
    assert.equal("new", fs.readfile(at .. "/file"))
  end)

  it_tells("is told by a write that is to be on the disk", function()
    fill()
    assert_lost(fs.writefile(at .. "/file", ("n"):rep(BIG), { sync = true }))
  end)

  teardown(function()
    survived.tell_of_file { name = "lost_write", kind = "a device that loses what was written",
      tried = tried, unit = "writes",
      command = "make test SPEC=spec/lost_write_spec.lua" }
  end)
end)
