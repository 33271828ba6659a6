local halo = require "halo"
local fs = halo.fs
local eventually = require "spec.support.eventually"
local posix = require "spec.support.posix"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
require "spec.support.assertions"

local function collect(path)
  local entries = {}
  for name, type in fs.dir(path) do
    assert.is_nil(entries[name])
    entries[name] = type
  end
  return entries
end

local MANY = tonumber(os.getenv "HALO_ENTRIES") or 100000 -- HALO_ENTRIES=1000000 is the long run
local LINKS = 50000 -- to one file; ext4 allows 65,000

---Makes so many names, which are all files.
local function make_many(dir, count)
  local file
  for i = 1, count do
    if i % LINKS == 1 then
      file = dir:file(tostring(i))
    else
      posix.link(file, dir:path(tostring(i)))
    end
  end
end

---Goes through a directory, and returns how many entries it has, and by how many KiB the memory in
---use has grown at most, looking so many times.
local function measure(path, every)
  local count, most = 0, 0
  collectgarbage()
  local before = collectgarbage "count"
  for _ in fs.dir(path) do
    count = count + 1
    if count % every == 0 then
      collectgarbage()
      most = math.max(most, collectgarbage "count" - before)
    end
  end
  return count, most
end

describe("fs.dir", function()
  local dir = temp.dir()

  it("gives names and types, without the directory itself and the one above", function()
    tree.make(dir.root, { "file", "dir/", "link -> file", "fifo|" })
    posix.mksocket(dir:path("socket"))
    assert.same({ file = "file", dir = "dir", link = "symlink", fifo = "fifo", socket = "socket" },
      collect(dir.root))
    assert.same({}, collect(dir:path("dir")))
  end)

  it("gives each of many entries once", function()
    make_many(dir, 5000)
    local entries = collect(dir.root)
    for i = 1, 5000 do
      assert.equal("file", entries[tostring(i)])
      entries[tostring(i)] = nil
    end
    assert.same({}, entries)
  end)

  it("takes names as bytes", function()
    local name = "\1\n\255 x"
    dir:file(name)
    assert.same({ [name] = "file" }, collect(dir.root))
  end)

  it("closes the directory at the end", function()
    dir:file("file")
    local next_entry, directory = fs.dir(dir.root)
    assert.equal("file", next_entry())
    assert.is_true(directory:is_open())
    assert.is_nil(next_entry())
    assert.is_false(directory:is_open())
    assert.is_nil(next_entry())
  end)

  it("leaves it to the collector, or to the caller, where the loop was left", function()
    local before = halo.stats().files_open
    dir:file("file")
    fs.dir(dir.root)()
    eventually("the directory is closed", function()
      collectgarbage()
      return halo.stats().files_open == before
    end)
    local _, directory = fs.dir(dir.root)
    assert.is_true(directory:close())
  end)

  it("goes on while entries are removed", function()
    make_many(dir, 3000)
    local count = 0
    for name in fs.dir(dir.root) do
      assert(fs.remove(dir:path(name)))
      count = count + 1
    end
    assert.equal(3000, count)
    assert.same({}, fs.readdir(dir.root))
  end)

  it("ends where the directory itself is removed", function()
    local path = dir:path("dir")
    fs.mkdir(path)
    local next_entry, directory = fs.dir(path)
    fs.rmdir(path)
    assert.is_nil(next_entry())
    assert.is_false(directory:is_open())
  end)

  it("closes the directory when it is cancelled, and raises that", function()
    local directory
    local task = halo.spawn(function()
      local next_entry
      next_entry, directory = fs.dir(dir.root)
      halo.current():cancel()
      next_entry()
    end)
    assert.is_true(tasks.ends_cancelled(task))
    assert.is_false(directory:is_open())
  end)

  it("can be shared by tasks through halo.map", function()
    make_many(dir, 2000)
    local next_entry = fs.dir(dir.root)
    local seen = {}
    halo.map(next_entry, function(name)
      assert.is_nil(seen[name])
      seen[name] = fs.lstat(dir:path(name), "type")
    end)
    assert.equal("file", seen["2000"])
  end)

  it("takes memory that does not grow with the directory", function()
    make_many(dir, 20000)
    local count, most = measure(dir.root, 2000)
    assert.equal(20000, count)
    assert.is_true(most < 500)
  end)

  it("raises what the operating system refuses, at the caller's line", function()
    local missing, file = dir:path("missing"), dir:file("file")
    assert.misuse("ENOENT: no such file or directory: " .. missing, function() fs.dir(missing) end)
    assert.misuse("ENOTDIR: not a directory: " .. file, function() fs.dir(file) end)
    local next_entry, directory = fs.dir(dir.root)
    directory:close()
    assert.misuse("EBADF: the file is closed: " .. dir.root, function() next_entry() end)
  end)

  it("raises misuse", function()
    assert.misuse("bad argument #1 to 'dir' (path (a string) expected, got nil)",
      function() fs.dir() end)
    assert.misuse("bad argument #1 to 'dir' (the path contains a NUL byte)",
      function() fs.dir("\0") end)
  end)

  it("streams very many entries in the same memory #slow", function()
    make_many(dir, MANY)
    local count, most = measure(dir.root, MANY / 20)
    assert.equal(MANY, count)
    assert.is_true(most < 500)
  end)
end)
