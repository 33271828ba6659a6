-- Digests of files, compared with what other programs say of them.

local halo = require "halo"
local fs = halo.fs
local core = require "halo.core"
local command = require "spec.support.command"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local run, quote = command.run, command.quote

local known = {
  [""] = {
    xxh3 = "2d06800538d394c2",
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  },
  abc = {
    xxh3 = "78af5f94892f3950",
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  },
}

---Around what the algorithms and the pieces are made of.
local sizes = { 1, 3, 4, 8, 9, 16, 17, 55, 56, 64, 128, 129, 240, 241, 1024, 131071, 131072, 131073,
  262145, 1048577 }

describe("fs.hash", function()
  local dir = temp.dir()

  it("gives the digests that are known", function()
    for text, digests in pairs(known) do
      local path = dir:file("file", text)
      assert.equal(digests.xxh3, fs.hash(path))
      for algorithm, digest in pairs(digests) do
        assert.equal(digest, fs.hash(path, algorithm))
      end
    end
  end)

  for algorithm, program in pairs { sha256 = "sha256sum", xxh3 = "xxhsum -H3" } do
    it(("says what %s says of files of any size"):format(program), function()
      if not command.exists(program:match "%w+") then
        pending("there is no " .. program)
        return
      end
      for _, size in ipairs(sizes) do
        local path = dir:file("file" .. size)
        run(("head -c %d /dev/urandom >%s"):format(size, quote(path)))
        local expected = run(program .. " <" .. quote(path)):match(("%x"):rep(16) .. "%x*")
        assert.equal(expected, fs.hash(path, algorithm))
        local file = assert(fs.open(path))
        file:seek("set", 1)
        assert.equal(expected, file:hash(algorithm))
        assert.equal(1, file:tell())
        file:close()
      end
    end)
  end

  it("goes on beside other tasks, of many files at once", function()
    local paths, expected = {}, {}
    for i = 1, 40 do
      paths[i] = dir:file("file" .. i, ("x"):rep(i * 10007))
      expected[i] = fs.hash(paths[i], "sha256")
    end
    assert.same(expected, halo.map(paths, function(path) return fs.hash(path, "sha256") end))
  end)

  it("takes what a file of /proc has, and not the size that it tells", function()
    local path = dir:file("copy", fs.readfile "/proc/version")
    assert.equal(fs.hash(path), fs.hash "/proc/version")
  end)

  it("takes a file that is open with DIRECT", function()
    local path = dir:file("file", ("abc"):rep(50000))
    local file, _, code = fs.open(path, core.flags.RDONLY + core.flags.DIRECT)
    if not file then
      assert.equal("EINVAL", code) -- not every file system can
      return
    end
    assert.equal(fs.hash(path, "sha256"), file:hash "sha256")
    file:close()
  end)

  it("takes a path in an open directory", function()
    dir:file("file", "abc")
    local at = assert(fs.at(dir.root))
    assert.equal(known.abc.xxh3, at:hash "file")
    assert.equal(known.abc.sha256, at:hash("file", "sha256"))
    assert.equal("ENOENT", select(3, at:hash "none"))
    at:close()
  end)

  it("refuses what is no file, and does not open it", function()
    for path, code in pairs { [dir.root] = "EISDIR", ["/dev/null"] = "ESPIPE",
      [dir:fifo "fifo"] = "ESPIPE", [dir:path "none"] = "ENOENT" } do
      local digits, message, refusal = fs.hash(path)
      assert.is_nil(digits)
      assert.equal(code, refusal)
      assert.equal(path, message:match ": ([^:]*)$")
    end
    local file = assert(fs.open(dir:path "fifo", "r+"))
    assert.equal("ESPIPE", select(3, file:hash()))
    file:close()
    file = assert(fs.open(dir:path "new", "w"))
    assert.same({ "EBADF: the file is not open for reading: " .. dir:path "new", "EBADF" },
      { select(2, file:hash()) })
    file:close()
    assert.equal("EBADF", select(3, file:hash()))
  end)

  it("ends soon where it is cancelled, and holds up nobody", function()
    local path = dir:file "sparse"
    assert(fs.truncate(path, 2 ^ 36))
    local turns, going = 0, true
    local other = halo.spawn(function()
      while going do
        halo.sleep(0.001)
        turns = turns + 1
      end
    end)
    local start = halo.now()
    for _, algorithm in ipairs { "xxh3", "sha256" } do
      assert.equal("ETIMEDOUT", select(3, halo.timeout(0.1, fs.hash, path, algorithm)))
    end
    going = false
    other:join()
    assert.is_true(halo.now() - start < 5)
    assert.is_true(turns > 5, turns) -- it would have one or two
    while halo.stats().in_flight > 0 do
      halo.sleep(0.01)
    end
  end)

  it("takes a path or a File, and the name of an algorithm", function()
    assert.misuse("bad argument #2 to 'hash' (no such algorithm, but xxh3 and sha256)",
      function() fs.hash("/etc/passwd", "md5") end)
    assert.misuse("bad argument #2 to 'hash' (name of an algorithm (a string) expected, "
      .. "got number)", function() fs.hash("/etc/passwd", 5) end)
    assert.misuse("bad argument #1 to 'hash' (path (a string) expected, got nil)",
      function() fs.hash() end)
  end)
end)
