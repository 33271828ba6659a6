-- The programs in examples/, each on a small tree whose answers are known.

local command = require "spec.support.command"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local LINES_MAX = 60

---A line that runs an example, with the rest of the line behind it.
local function example(name, ...)
  return command.halo("examples/" .. name .. ".lua", ...)
end

---A tree with what trees have: levels, names that are odd, links of both kinds, nothing, much.
local function make_tree(dir)
  assert(os.execute(("cd %s && mkdir -p a/b/c 'a/a space' empty"):format(quote(dir.root))) == 0)
  dir:file("a/digits", "123456789")
  dir:file("a/b/large", ("0123456789abcdef"):rep(20000))
  dir:file("a/b/c/nothing", "")
  dir:file("a/a space/new\nline", "x")
  dir:file("z", "abc")
  posix.link(dir:path("a/b/large"), dir:path("hard link"))
  dir:symlink("a/dangling", "/nope")
  dir:symlink("loop", ".")
end

describe("examples/du.lua", function()
  local dir = temp.dir()

  ---What du(1) prints of the directories, largest first.
  local function expected(path)
    return run(("du %s | sort -k 1,1nr | head -n 11"):format(quote(path)))
  end

  it("has the total of du -s", function()
    make_tree(dir)
    local stdout, stderr, status = run(example("du", dir.root))
    assert.equal(run("du -s " .. quote(dir.root)), stdout:match("^[^\n]*\n"))
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("has the sizes that du gives the directories below", function()
    make_tree(dir)
    local sizes = {}
    for line in run(example("du", dir.root)):gmatch("[^\n]+") do
      table.insert(sizes, line)
    end
    local of_du = {}
    for line in run("du " .. quote(dir.root)):gmatch("[^\n]+") do
      table.insert(of_du, line)
    end
    table.sort(sizes)
    table.sort(of_du)
    assert.same(of_du, sizes)
  end)

  it("shows the ten largest directories, in the order of their size", function()
    for i = 1, 12 do
      assert(os.execute("mkdir " .. quote(dir:path("d" .. i))) == 0)
      dir:file(("d%d/file"):format(i), ("x"):rep(i * 8192))
    end
    assert.equal(expected(dir.root), (run(example("du", dir.root))))
  end)

  it("shows units with -h, and what it took", function()
    make_tree(dir)
    local stdout, stderr, status = run(example("du", "-h", dir.root))
    local size, unit = stdout:match "^ +size  directory\n +([%d.]+) (%a+)  /"
    local bytes = size * ({ KiB = 1024, MiB = 1048576 })[unit]
    local expected_bytes = run("du -s " .. quote(dir.root)):match "%d+" * 1024
    assert.is_true(math.abs(bytes - expected_bytes) <= expected_bytes * 0.05, stdout)
    assert.matches("\n13 entries in %d+%.%d+ s: %d+ operations, at most %d+ at once; ", stdout)
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("takes the directory it is in when it is given none", function()
    make_tree(dir)
    local here = ("cd %s && "):format(quote(dir.root))
    local script = quote(command.halo_bin) .. " \"$OLDPWD/examples/du.lua\""
    assert.equal(run(here .. "du -s"), run(here .. script):match("^[^\n]*\n"))
  end)

  it("takes a file as well", function()
    local path = dir:file("file", ("x"):rep(10000))
    assert.equal(run("du -s " .. quote(path)), (run(example("du", path))))
  end)

  it("shows no progress where there is no terminal", function()
    make_tree(dir)
    local stdout, stderr = run(example("du", dir.root))
    assert.is_nil((stdout .. stderr):find("\27", 1, true))
  end)

  it("tells a path that is missing, with status 1", function()
    assert.same({ "", "du: ENOENT: no such file or directory: /nope\n", 1 },
      { run(example("du", "/nope")) })
  end)
end)

describe("examples/cat.lua", function()
  local dir = temp.dir()
  local bytes = {}
  for byte = 0, 255 do table.insert(bytes, string.char(byte)) end
  local binary = table.concat(bytes):rep(5000) -- more than one piece

  it("copies files in their order, byte by byte", function()
    local first, second = dir:file("first", binary), dir:file("second", "no newline at the end")
    local stdout, stderr, status = run(example("cat", first, second, first))
    assert.is_true(stdout == binary .. "no newline at the end" .. binary)
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("copies standard input for -, and for nothing at all", function()
    local file = dir:file("file", "<file>")
    local line = "printf '<input>' | " .. example("cat", "-", file)
    assert.same({ "<input><file>", "", 0 }, { run(line) })
    assert.same({ "<input>", "", 0 }, { run("printf '<input>' | " .. example("cat")) })
    assert.same({ "<file>", "", 0 }, { run(example("cat") .. " <" .. quote(file)) })
  end)

  it("copies nothing of an empty file", function()
    assert.same({ "", "", 0 }, { run(example("cat", dir:file("empty"), "/dev/null")) })
  end)

  it("tells a file that is missing, copies the others, with status 1", function()
    local file = dir:file("file", "copied")
    assert.same({ "copied", "cat: ENOENT: no such file or directory: /nope\n", 1 },
      { run(example("cat", "/nope", file)) })
  end)

  it("tells that a directory is none to copy", function()
    local stdout, stderr, status = run(example("cat", dir.root))
    assert.matches("^cat: EISDIR: ", stderr)
    assert.same({ "", 1 }, { stdout, status })
  end)
end)

describe("examples/checksum.lua", function()
  local dir = temp.dir()

  it("has the CRC-32 of every file, in the order of the paths", function()
    make_tree(dir)
    local stdout, stderr, status = run("cd " .. quote(dir.root) .. " && "
      .. quote(command.halo_bin) .. " \"$OLDPWD/examples/checksum.lua\"")
    assert.equal(table.concat({
      "8cdc1683  ./a/a space/new\nline",
      "00000000  ./a/b/c/nothing",
      "41a33f0a  ./a/b/large",
      "cbf43926  ./a/digits",
      "41a33f0a  ./hard link",
      "352441c2  ./z",
    }, "\n") .. "\n", stdout)
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("agrees with gzip", function()
    local path = dir:file("file", ("halo "):rep(100000))
    -- The CRC is in the eight bytes at the end, the least significant byte first.
    local expected = run(("gzip -c %s | tail -c 8 | head -c 4 | od -An -tx1"):format(quote(path)))
    local a, b, c, d = expected:match("(%x%x) (%x%x) (%x%x) (%x%x)")
    assert.equal(d .. c .. b .. a .. "  " .. path .. "\n", (run(example("checksum", dir.root))))
  end)

  it("reads many files", function()
    for i = 1, 300 do dir:file(("file%03d"):format(i), "123456789") end
    local stdout, stderr, status = run(example("checksum", dir.root))
    assert.same({ "", 0 }, { stderr, status })
    local number = 0
    for sum, name in stdout:gmatch("(%x+)  [^\n]*/(%w+)\n") do
      number = number + 1
      assert.same({ "cbf43926", ("file%03d"):format(number) }, { sum, name })
    end
    assert.equal(300, number)
  end)

  it("tells a path that is missing, with status 1", function()
    assert.same({ "", "checksum: ENOENT: no such file or directory: /nope\n", 1 },
      { run(example("checksum", "/nope")) })
  end)
end)

describe("examples/rebuild.lua", function()
  local dir = temp.dir()

  it("builds once, and once for all changes that come together", function()
    assert(os.execute("mkdir -p " .. quote(dir:path "src/a")) == 0)
    local process = command.start(example("rebuild", dir:path "src", "sh", "-c",
      'cat "$0"/src/a/* 2>/dev/null; echo "it\'s built"', dir.root))
    process:await "it's built\n"
    for i = 1, 5 do dir:file("src/a/" .. i, i .. "\n") end
    process:await "it's built\n"
    assert(os.execute("mkdir " .. quote(dir:path "src/a/new")) == 0)
    dir:file("src/a/5", "changed\n")
    process:await "it's built\n"
    assert(os.execute("rm -r " .. quote(dir:path "src")) == 0)
    local built = "it's built\n"
    local expected = built .. "1\n2\n3\n4\n5\n" .. built .. "1\n2\n3\n4\nchanged\n" .. built
    assert.same({ expected, "", 0 }, { process:finish() })
  end)

  it("tells a path that is missing, with status 1", function()
    local stdout, stderr, status = run(example("rebuild", "/nope", "true"))
    assert.matches("^rebuild: .*ENOENT: no such file or directory: /nope\n$", stderr)
    assert.same({ "", 1 }, { stdout, status })
  end)
end)

describe("each example", function()
  local names = run("ls examples"):gmatch("(%w+)%.lua")
  for name in names do
    it("stays within " .. LINES_MAX .. " lines: " .. name, function()
      local count = 0
      for _ in io.lines("examples/" .. name .. ".lua") do count = count + 1 end
      assert.is_true(count < LINES_MAX)
    end)
  end
end)
