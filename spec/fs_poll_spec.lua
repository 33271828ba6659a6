-- fs.poll: changes of a path, seen by looking. fs.cwd and fs.chdir.

local halo = require "halo"
local fs = require "halo.fs"
local temp = require "spec.support.temp"

describe("fs.poll", function()
  local dir = temp.dir()

  it("tells of a file that comes, changes and goes", function()
    local name = dir:path "file"
    local changes = fs.poll(name, 0.001)
    local writer = halo.spawn(function()
      assert(fs.writefile(name, "one"))
    end)
    local now, before = changes()
    writer:join()
    assert.is_false(before)
    assert.is_true(now.is_file)

    assert(fs.writefile(name, "longer"))
    repeat
      now = changes()
    until now.size == 6

    assert(fs.remove(name))
    now, before = changes()
    assert.is_false(now)
    assert.equal(6, before.size)
  end)

  it("can be timed out", function()
    local _, _, code = halo.timeout(0.01, fs.poll(dir:path "nothing", 0.001))
    assert.equal("ETIMEDOUT", code)
  end)
end)

describe("the working directory", function()
  local dir = temp.dir()

  it("is told, and changed", function()
    local before = assert(fs.cwd())
    finally(function() assert(fs.chdir(before)) end)
    assert(fs.chdir(dir.root))
    assert.equal(fs.realpath(dir.root), fs.cwd())
    assert(fs.writefile("here", "x"))
    assert.equal("x", fs.readfile(dir:path "here"))
  end)

  it("is not changed while a path that starts there is being looked up", function()
    local before = assert(fs.cwd())
    finally(function() assert(fs.chdir(before)) end)
    assert(fs.chdir(dir.root))
    assert(fs.mkfifo "fifo")
    local writer = halo.spawn(fs.open, "fifo", fs.flags.WRONLY)
    halo.yield()
    local _, message, code = fs.chdir(before)
    assert.equal("EBUSY", code)
    assert.matches("EBUSY", message)
    local reader = assert(fs.open(dir:path "fifo"))
    assert(writer:join():close())
    assert(reader:close())
  end)

  it("is changed whatever else is under way", function()
    local before = assert(fs.cwd())
    finally(function() assert(fs.chdir(before)) end)
    assert(fs.mkfifo(dir:path "fifo"))
    local fifo = assert(fs.open(dir:path "fifo", "r+"))
    local reader = halo.spawn(function() return fifo:read(1) end)
    local opener = halo.spawn(fs.open, dir:path "other", "w")
    halo.yield()
    assert.is_true(fs.chdir(dir.root))
    fifo:write("x")
    assert.equal("x", reader:join())
    assert(opener:join():close())
    fifo:close()
  end)

  it("is told where it lies deeper than a path can say", function()
    local before = assert(fs.cwd())
    finally(function() assert(fs.chdir(before)) end)
    local name, want = ("d"):rep(200), assert(fs.realpath(dir.root))
    assert(fs.chdir(dir.root))
    for _ = 1, 30 do
      assert(fs.mkdir(name))
      assert(fs.chdir(name))
      want = want .. "/" .. name
    end
    assert.equal(want, fs.cwd())
  end)

  it("is refused where there is none", function()
    local _, _, code = fs.chdir(dir:path "nope")
    assert.equal("ENOENT", code)
  end)
end)
