-- The examples that do what people write scripts for every day, each as its user would use it.

local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local function example(name, ...)
  return command.halo("examples/" .. name .. ".lua", ...)
end

local function shell(line, ...)
  assert.equal(0, os.execute(line:format(quote(...))))
end

describe("examples/replace.lua", function()
  local dir = temp.dir()

  it("replaces a text as it is, in the files that have it", function()
    shell("mkdir -p %s", dir:path("a/b"))
    dir:file("one", "50% of (it) and (it)\n")
    dir:file("a/b/two", "(it)")
    dir:file("other", "none")
    dir:file("binary", "(it)\0")
    shell("chmod 640 %s", dir:path("one"))
    local stdout, stderr, status = run(example("replace", "(it)", "%1 that", dir.root))
    assert.same({ "", 0 }, { stderr, status })
    assert.equal("50% of %1 that and %1 that\n", dir:read("one"))
    assert.equal("%1 that", dir:read("a/b/two"))
    assert.equal("(it)\0", dir:read("binary"))
    assert.equal("640\n", run("stat -c %a " .. quote(dir:path("one"))))
    assert.matches("    2  " .. dir:path("one"):gsub("%p", "%%%0"), stdout)
    assert.equal("", (run("find " .. quote(dir.root) .. " -name '.halo*'")))
  end)
end)

describe("examples/duplicates.lua", function()
  local dir = temp.dir()

  it("finds the same content under other names, and no hard links", function()
    shell("mkdir %s", dir:path("sub"))
    local a, b = dir:file("a", "same"), dir:file("sub/b", "same")
    dir:file("c", "some") -- of the same size
    dir:file("d", "longer")
    shell("ln %s", a, dir:path("e"))
    local first, second = dir:file("x", ("x"):rep(100000)), dir:file("y", ("x"):rep(100000))
    local stdout, stderr, status = run(example("duplicates", dir.root))
    stdout = stdout:gsub(quote(dir:path("e")):sub(2, -2):gsub("%p", "%%%0") .. "\n", a .. "\n")
    assert.same({ "", 0 }, { stderr, status })
    assert.equal(a .. "\n" .. b .. "\n\n" .. first .. "\n" .. second .. "\n", stdout)
  end)

  it("tells a path that is missing, with status 1", function()
    local stdout, stderr, status = run(example("duplicates", "/nope"))
    assert.same({ "", 1 }, { stdout, status })
    assert.matches("ENOENT", stderr)
  end)
end)

describe("examples/follow.lua", function()
  local dir = temp.dir()

  local function append(path, text)
    local file = assert(io.open(path, "a"))
    file:write(text)
    file:close()
  end

  it("shows what is appended to several logs, over a rotation", function()
    local a, b = dir:file("a.log", "old\n"), dir:file("100%1.log", "")
    local process = command.start(example("follow", a, b))
    eventually("both are open", function()
      local open = run(("ls -l /proc/%d/fd"):format(process.pid))
      return open:find(a, 1, true) and open:find(b, 1, true)
    end)
    process:await_sleep()
    append(a, "one\n")
    process:await(a .. ": one\n")
    append(b, "two ")
    append(b, "halves\n")
    process:await(b .. ": two halves\n")
    assert(os.rename(a, a .. ".1"))
    append(a, "new\n")
    process:await(a .. ": new\n")
    append(b, "no end")
    assert(os.rename(b, b .. ".1"))
    append(b, "renewed\n")
    process:await(b .. ": no end\n" .. b .. ": renewed\n")
    shell("truncate -s 0 %s", a)
    append(a, "x\n")
    process:await(a .. ": x\n")
    process:signal "INT"
    local stdout, stderr, status = process:finish()
    assert.is_nil(stdout:find(": old", 1, true))
    assert.same({ "", 130 }, { stderr, status })
  end)
end)

describe("examples/backup.lua", function()
  local dir = temp.dir()

  it("keeps the latest copies", function()
    shell("mkdir -p %s", dir:path("data/sub"))
    dir:file("data/sub/file", "content")
    shell("mkdir -p %s", dir:path("store/2020-01-01T00:00:00"),
      dir:path("store/2020-01-02T00:00:00"))
    dir:file("store/2020-01-01T00:00:00/old", "")
    local stdout, stderr, status = run(example("backup", dir:path("data"), dir:path("store"), 2))
    assert.same({ "", 0 }, { stderr, status })
    assert.equal("", (run(("diff -r %s"):format(quote(dir:path("data"), stdout:sub(1, -2))))))
    assert.equal(dir:path("store/2020-01-02T00:00:00") .. "\n" .. stdout,
      (run("ls -d " .. quote(dir:path("store")) .. "/*")))
  end)

  it("tells what is missing, with status 1", function()
    local _, stderr, status = run(example("backup", dir:path("nope"), dir:path("store")))
    assert.matches("ENOENT: no such file or directory: /.*/nope", stderr)
    assert.equal(1, status)
  end)
end)

describe("examples/jsonlines.lua", function()
  local dir = temp.dir()

  it("sums a field over files, and tells the lines that are none", function()
    local a = dir:file("a", '{"size": 1, "x": "}"}\n{"size": 2.5}\n{"other": 1}\n')
    local b = dir:file("b", '{"size": 10}\nnonsense\n')
    local stdout, stderr, status = run(example("jsonlines", "size", a, b, "/nope"))
    assert.equal(("%12g  %s\n%12g  %s\n%12g  /nope\n%12g  total\n"):format(3.5, a, 10, b, 0, 13.5),
      stdout)
    assert.matches(b:gsub("%p", "%%%0") .. ":2: ", stderr)
    assert.matches("ENOENT: no such file or directory: /nope", stderr)
    assert.equal(1, status)
  end)
end)

describe("examples/mirror.lua", function()
  local dir = temp.dir()

  local function mirror()
    local stdout, stderr, status = run(example("mirror", dir:path("from"), dir:path("to")))
    assert.same({ "", 0 }, { stderr, status })
    assert.equal("", (run(("diff -r --no-dereference %s"):format(quote(dir:path("from"),
      dir:path("to"))))))
    return stdout
  end

  it("makes one tree as the other is, and again does nothing", function()
    shell("mkdir -p %s", dir:path("from/a/b"), dir:path("to/gone/x"), dir:path("to/kind"))
    dir:file("from/a/b/file", "content")
    dir:file("from/kind", "was a directory")
    dir:file("to/gone/x/y", "")
    dir:symlink("from/link", "a/b/file")
    mirror()
    assert.equal("", mirror())
    dir:file("from/a/b/file", "changed")
    shell("touch -d 2020-01-01 %s", dir:path("from/a/b/file"))
    assert.equal("+ " .. dir:path("from/a/b/file") .. "\n", mirror())
    assert.equal("", mirror())
  end)

  it("empties nothing for a source that is missing, or around the other", function()
    shell("mkdir -p %s", dir:path("from/a"))
    local inside = dir:file("from/a/kept", "")
    for _, pair in ipairs {
      { "nope", "from", "ENOENT" }, { "from/a/kept", "from", "ENOTDIR" },
      { "from/a", "from", "one lies in the other" }, { "from", "from/a", "one lies in the other" },
    } do
      local _, stderr, status = run(example("mirror", dir:path(pair[1]), dir:path(pair[2])))
      assert.equal(1, status, pair[1])
      assert.matches(pair[3], stderr, 1, true)
      assert.equal(0, os.execute("test -e " .. quote(inside)))
    end
  end)
end)

describe("examples/rotate.lua", function()
  local dir = temp.dir()

  it("rotates under a lock: several writers lose no line", function()
    local log, lines = dir:path("log"), {}
    local line = "for i in $(seq 200); do echo %s$i; done | " .. example("rotate", log, 300, 100)
    run(("{ %s; } & { %s; } & wait"):format(line:format("a"), line:format("b")))
    for text in run("cat " .. quote(dir.root) .. "/log*"):gmatch("[^\n]+") do
      table.insert(lines, text)
      lines[text] = (lines[text] or 0) + 1
    end
    for i = 1, 200 do
      assert.same({ i, 1, 1 }, { i, lines["a" .. i], lines["b" .. i] })
    end
    assert.equal("", (run("find " .. quote(dir.root) .. " -name 'log*' -size +300c")))
  end)
end)

describe("examples/csv.lua", function()
  local dir = temp.dir()
  local head = "name,city,note\n"
  local ann = 'Ann,"Rome ""X""",x\n'
  local bob = 'Bob,"Paris, F","two\nlines"\n'
  local cid = "Cid,Rome,\n"

  local function filter(column, pattern)
    local path = dir:file("table", head .. ann .. bob .. cid)
    return run(("cat %s | %s | cat"):format(quote(path), example("csv", column, pattern)))
  end

  it("passes on the records whose field matches", function()
    assert.equal(head .. ann .. cid, (filter("city", "^Rome")))
    assert.equal(head .. ann, (filter("city", '"X"$')))
    assert.equal(head .. bob, (filter("city", "^Paris, F$")))
    assert.equal(head .. bob, (filter("note", "\n")))
    assert.equal(head .. cid, (filter("note", "^$")))
  end)

  it("ends when nobody reads what it writes", function()
    local csv = example("csv", "a", ".")
    local stdout, stderr, status = run(("(echo a; yes 1 2>&-) | %s | head -n 2"):format(csv))
    assert.same({ "a\n1\n", "", 0 }, { stdout, stderr, status })
  end)

  it("tells a column that is missing", function()
    local stdout, stderr = filter("nope", "x")
    assert.same({ "", "csv: no column nope\n" }, { stdout, stderr })
  end)
end)
